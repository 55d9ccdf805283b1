"""Trains several folds that have not seen fold 0's validation cases, for the disagreement of folds in quality.py.

    python -m benchmarks.quality_folds --root WORKSPACE -d 4 --out FOLDER [--folds 3] [--iterations 1500]

The product's other folds train on fold 0's validation cases. These are folds of a 5-fold cross-validation within fold
0's training cases: two of them share three quarters of their training cases, as the product's folds do. Writes
FOLDER/<model>_<config>. One thread.
"""

import argparse
import logging
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.recipe.screen import prepare
from mednca_pipeline.cli.common import wait_briefly

VALIDATED = 2  # cases after each training, which measures them: their Dice is not used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=Path, help="workspace with the planned and preprocessed dataset")
    parser.add_argument("-d", required=True, help="dataset")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=1500)
    arguments = parser.parse_args()
    wait_briefly()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as scratch:
        trained = train_folds(arguments.root.resolve(), Path(scratch), arguments)
        shutil.copytree(trained, arguments.out / trained.name, dirs_exist_ok=True)


def train_folds(root: Path, scratch: Path, arguments: argparse.Namespace) -> Path:
    """The model's folder in the scratch workspace."""
    from mednca_pipeline.planning.folds import make_folds
    from mednca_pipeline.plans.splits import groups_in, read_splits, write_splits
    from mednca_pipeline.training.fold import train_fold
    from mednca_pipeline.training.options import TrainingOptions
    from mednca_pipeline.workspace import Workspace

    asked = argparse.Namespace(d=arguments.d, model="mednca", config=None)
    dataset, config = prepare(root, scratch, asked, changes={})
    given, made = Workspace(root).splits_file(dataset), Workspace(scratch)
    (inner,) = read_splits(made.splits_file(dataset), _cases(made, dataset, config))
    training = {*inner.train, *inner.val}  # fold 0's training cases
    groups = [kept for group in groups_in(given) if (kept := [case for case in group if case in training])]
    folds = make_folds(training, 5, groups)[: arguments.folds]
    write_splits(made.splits_file(dataset), [replace(fold, val=fold.val[:VALIDATED]) for fold in folds])
    for number in range(len(folds)):
        options = TrainingOptions(
            dataset, number, config=config, iterations=arguments.iterations, device="cpu", workers=0, threads=1
        )
        folder = train_fold(made, options)
    return folder.path.parent


def _cases(workspace, dataset: str, config: str) -> list[str]:
    from mednca_pipeline.preprocessing.store import CaseStore

    return CaseStore(workspace.preprocessed_folder(dataset, config)).cases()


if __name__ == "__main__":
    main()
