"""The commands that the installation brings, without mednca_ before them."""

COMMANDS = (
    "convert",
    "check",
    "plan_and_preprocess",
    "train",
    "crossval",
    "predict",
    "evaluate",
    "plot",
    "export",
    "info",
    "install",
    "models",
    "view",
)
