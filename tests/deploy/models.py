"""Model folders as training and cross-validation leave them, with records that must not leave the house."""

from pathlib import Path

from mednca_pipeline.evaluation.metrics import Units
from mednca_pipeline.evaluation.summary import make_summary
from mednca_pipeline.inference.calibration import calibrate
from mednca_pipeline.inference.folder_model import FolderModel
from mednca_pipeline.results.model_folder import ModelFolder, ModelRecord
from mednca_pipeline.results.postprocessing import Postprocessing
from mednca_pipeline.results.run_record import RunRecord
from mednca_pipeline.results.summary import CaseResult

from ..inference.tiny_model import make_plans, save_model

SECRETS = ("doe_jane", "/home/alice", "alice-laptop", "Linux-6.1", "Xeon")
VERSIONS = {"torch": "2.13.0", "numpy": "2.4.6", "platform": "Linux-6.1-alice-laptop"}


def validated_model(root: Path, plans=None, model="mednca", config="2d", folds=(0, 1)) -> FolderModel:
    """Random weights whose folds have summaries of three cases each, a quality threshold and a postprocessing."""
    plans = plans or make_plans()
    folder = ModelFolder(save_model(root, plans, model, config, folds))
    digest = plans.digest(config, model)
    folder.write_record(ModelRecord(plans.dataset, model, config))
    for fold in folds:
        run = RunRecord(
            finished=True,
            digest=digest,
            fold=fold,
            command="mednca_train 4 0 --root /home/alice/study",
            commit="0123456789ab",
            seed=3,
            iterations=2000,
            training_minutes=12.3,
            machine="Xeon of alice-laptop",
            versions=VERSIONS,
        )
        folder.fold(fold).write_run(run)
        if fold != "all":
            folder.fold(fold).write_summary(make_summary(_cases(plans, fold), Units()))
    metrics = {f"doe_jane_{fold}{case}": {} for fold in folds for case in range(3)}
    folder.write_postprocessing(
        Postprocessing({"anterior": 2}, {"anterior": {"kept": 2}}, (0, 1), digest, metrics, "x")
    )
    calibrate(folder)
    return FolderModel.open(folder.path)


def _cases(plans, fold) -> dict[str, CaseResult]:
    cases = {}
    for case, dice in enumerate((0.8, 0.85, 0.9)):
        row = {
            "dice": dice,
            "hd95": 2.0,
            "nsd": 0.9,
            "volume_predicted": 90.0,
            "volume_reference": 100.0,
            "diagonal": 9.0,
        }
        scores = {"foreground": 0.1 * (case + 1)}
        classes = {name: dict(row) for name in ("foreground", *plans.labels.names)}
        cases[f"doe_jane_{fold}{case}"] = CaseResult(classes, 1.0, {"score": scores})
    return cases
