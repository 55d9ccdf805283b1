"""Constants that nca_cost.py and unet_cost.py share."""

FLOAT_BYTES = 4
BACKWARD = 3  # a training pass costs about three forward passes
WEIGHT_COPIES = 5  # weights, gradient, two moments of the optimiser, moving average
