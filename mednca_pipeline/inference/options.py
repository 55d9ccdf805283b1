"""What a user asks of a prediction."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PredictionOptions:
    """How a model predicts, with the meaning and the defaults of mednca_predict's options.

    device: "auto" is the CPU without torch, where the model has such a form; "onnx" is a UNet on the CPU in ONNX
    Runtime. runs: random runs over all folds, rounded up to the same number per fold; 0 is one deterministic pass of
    each fold by the expected update. quality: score each case. seed: of random runs, that of the quality score
    included. postprocess: keep the components that a cross-validation chose for the model, else those of its plan;
    False keeps all. everywhere: compute every cell, not only those at the outline. memory_bytes: what one image may
    take; None: what is free.
    """

    device: str = "auto"
    runs: int = 0
    quality: bool = True
    seed: int = 0
    postprocess: bool = True
    everywhere: bool = False
    memory_bytes: int | None = None


DEFAULTS = PredictionOptions()
