"""Public datasets, and pairs of images and masks, as raw datasets of the pipeline. One module per converter."""

CONVERTERS = {
    "msd": "dataset_conversion.msd",
    "promise12": "dataset_conversion.promise12",
    "busi": "dataset_conversion.busi",
    "chest_xray": "dataset_conversion.chest_xray",
    "pairs": "dataset_conversion.pairs",
}
