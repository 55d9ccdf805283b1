"""Whether one network that has seen all three views of a volume is worth three networks, one per view.

    python -m benchmarks.recipe.views --root WORKSPACE --work FOLDER -d 4 --iterations 2500 --seeds 0 1
    python -m benchmarks.recipe.views      the table again, of the rows that are there

Training and held-out cases are those of screens (screen.py): both lie inside fold 0's training cases. Every network has
as many iterations. The batches of one that sees three views are of the axial, the coronal and the sagittal view in
turn; its position channels are in the order of the image's axes whatever the view, and three more channels tell the
view. Predictions are by the expected update at the outline, averaged as probabilities, with the components that the
plan keeps. FOLDER holds a store per view and the trained networks, which are not trained again. Writes views.csv and
views.md of results/recipe.
"""

import argparse
import csv
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mednca_pipeline.cli.common import wait_briefly
from mednca_pipeline.datasets.dataset import load_dataset
from mednca_pipeline.evaluation.metrics import evaluate_case
from mednca_pipeline.evaluation.postprocessing import apply_postprocessing
from mednca_pipeline.evaluation.provenance import commit
from mednca_pipeline.fingerprint.fingerprint import read_fingerprint
from mednca_pipeline.inference.network import input_format
from mednca_pipeline.models.mednca import MedNCA
from mednca_pipeline.models.weights import save_weights
from mednca_pipeline.planning.plans import NCAPlan
from mednca_pipeline.planning.sizes import image_size, preprocessed_shapes, typical_large_shape
from mednca_pipeline.preprocessing.run import preprocess_dataset
from mednca_pipeline.training.batches import BatchRecipe, Sampler
from mednca_pipeline.training.job import Job, prepare
from mednca_pipeline.training.loop import mask_generator
from mednca_pipeline.training.options import TrainingOptions
from mednca_pipeline.training.state import new_state
from mednca_pipeline.training.step import train_step
from mednca_pipeline.workspace import Workspace
from mednca_runtime.files import read_json, replacing, write_json, write_text
from mednca_runtime.folding import light_nca, read_weights
from mednca_runtime.images import read_image, read_labels
from mednca_runtime.light_nca import LightNCA, level_by_level, pyramid
from mednca_runtime.network_input import InputFormat, parts
from mednca_runtime.preprocessing import PreprocessingPlan, preprocess_image, restore_labels
from mednca_runtime.quality import FOREGROUND

from . import screen

OUT = Path(__file__).parents[2] / "results" / "recipe"
ORDERS = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}  # axis_order; slices along the first
ALL = tuple(ORDERS)
COLUMNS = (
    "commit,dataset,what,seeds,iterations,networks,cpu_minutes,class_dice,mean_class_dice,foreground_dice,foreground_hd95,"
    "cpu_seconds_per_case,cases_mean_class_dice,cases_foreground_dice"
).split(",")
HEAD = (
    """\
`python -m benchmarks.recipe.views --root WORKSPACE --work FOLDER -d 4 --iterations ITERATIONS --seeds SEEDS`, on the
training and held-out cases of screens (128 and 32). Iterations are of each network, minutes of CPU for all of them.
Less (a): the mean difference from the coronal network of the same seed and iterations (of several seeds: from the mean
of these), case by case, ± its standard error over the cases. CPU seconds per case are of preprocessing, prediction and
decoding without the quality score, on one thread beside other processes.

| iterations | what | seeds | networks | minutes | classes | mean of classes | whole | HD95 (mm) | mean less (a) |
 whole less (a) | CPU s per case | commit |
""".replace("|\n ", "| ")
    + "|---" * 13
    + "|\n"
)
BASE = "(a) coronal"
Trained = tuple[tuple[str, ...], int]  # the views that a network has seen, and its seed
Member = tuple[Trained, str]  # a network, and the view that it predicts


@dataclass(frozen=True)
class View:
    """One view of the dataset. seen: how its slices become a network's input."""

    name: str
    preprocessing: PreprocessingPlan
    recipe: BatchRecipe
    seen: InputFormat


class Study:
    """Trains networks and predicts the held-out cases when they are first asked for."""

    def __init__(self, job: Job, root: Workspace, work: Path, iterations: int) -> None:
        assert isinstance(job.plan, NCAPlan) and len(job.plan.position) == 3, "a plan that sees the position"
        self.job, self.plan, self.work, self.iterations = job, job.plan, work, iterations
        self.dataset = load_dataset(root.raw_folder(job.plans.dataset))
        self.fingerprint = read_fingerprint(root.fingerprint_file(job.plans.dataset))
        self.views = {name: self._view(name) for name in ALL}
        self._predicted: dict[Member, tuple[list[np.ndarray], float]] = {}

    def _view(self, name: str) -> View:
        """A view as the planner would plan it, with its store; the plan's own view is the plan's own."""
        order, store, config = ORDERS[name], self.work / name, self.job.config
        preprocessing = replace(config.preprocessing, axis_order=order)
        shapes = preprocessed_shapes(self.fingerprint, order[1:], preprocessing.spacing_mm[1:])
        size = image_size(typical_large_shape(shapes), self.plan.levels[0].factor).value
        sides = dict(zip(config.preprocessing.axis_order, self.plan.position, strict=True))
        plan = replace(self.plan, position=tuple(sides[axis] for axis in order))
        config = replace(config, preprocessing=preprocessing, image_size=size, mednca=plan)
        plans = replace(self.job.plans, configs={config.name: config})
        preprocess_dataset(self.dataset, plans, config.name, store)
        recipe = replace(self.job.recipe, store=store, image_size=size, position=plan.position)
        return View(name, preprocessing, recipe, input_format(config, plan))

    def network(self, trained: Trained) -> tuple[LightNCA, dict[str, Any]]:
        """A network and the record of its training, which is done where it was not before."""
        seen, seed = trained
        file = self.work / "networks" / f"{'_'.join(seen)}_{self.iterations}_seed{seed}.safetensors"
        more = len(ALL) if len(seen) > 1 else 0  # channels that tell the view
        plan = replace(self.plan, channels=self.plan.channels + more)
        n_image, labels = self.job.plans.input_channels(self.plan) + more, self.job.plans.labels
        if not file.exists():
            torch.manual_seed(seed)
            network = MedNCA(plan, 2, n_image, labels.n_outputs, labels.has_regions)
            began = time.process_time()
            ema = self._train(network, [self.views[name] for name in seen], seed)
            record = {"commit": commit(), "cpu_minutes": (time.process_time() - began) / 60}
            write_json(file.with_suffix(".json"), record)
            save_weights(file, ema)
        network = light_nca(
            read_weights(file),
            [(level.factor, level.steps) for level in plan.levels],
            channels=plan.channels,
            n_image=n_image,
            n_outputs=labels.n_outputs,
            fire_rate=plan.fire_rate,
            border=plan.border,
            norm=plan.norm,
            sigmoid=labels.has_regions,
            source=file,
        )
        return network, read_json(file.with_suffix(".json"))

    def _train(self, network: MedNCA, views: Sequence[View], seed: int) -> torch.nn.Module:
        samplers = [Sampler(replace(view.recipe, seed=seed)) for view in views]
        state = new_state(network, self.plan.training, self.iterations)
        while state.iteration < state.iterations:
            turn = state.iteration % len(views)
            batch = samplers[turn].batch(state.iteration)
            if len(views) > 1:
                image = told(batch.image.swapaxes(0, 1), views[turn]).swapaxes(0, 1)
                batch = batch._replace(image=np.ascontiguousarray(image))
            generator = mask_generator(samplers[turn].recipe, state.iteration, torch.device("cpu"))
            outcome = train_step(state, batch, self.plan.training, self.job.plans.labels, generator)
            problem = state.guard.problem(*outcome)
            if problem:
                raise RuntimeError(f"iteration {state.iteration}: {problem}")
            state.iteration += 1
            if state.iteration % 500 == 0:
                logging.info("%s, seed %d: %d", "+".join(view.name for view in views), seed, state.iteration)
        return state.ema

    def predicted(self, member: Member) -> tuple[list[np.ndarray], float]:
        """Probabilities (K, z, y, x) of each held-out case in its cropped image, and CPU seconds per case."""
        if member not in self._predicted:
            trained, name = member
            network, _ = self.network(trained)
            began = time.process_time()
            maps = [self._probabilities(network, self.views[name], len(trained[0]) > 1, *raw[:2]) for raw in self.cases]
            self._predicted[member] = maps, (time.process_time() - began) / len(maps)
        return self._predicted[member]

    @cached_property
    def cases(self) -> list[tuple[np.ndarray, tuple[float, ...], np.ndarray]]:
        """Image (C, z, y, x), spacing in mm and labels (z, y, x) of each held-out case."""
        raw = {case.name: case for case in self.dataset.training}
        images = [(read_image(raw[name].images), raw[name].label) for name in self.job.validation_cases]
        return [(image.array, image.spacing_mm, read_labels(label).array[0]) for image, label in images]

    def _probabilities(
        self, network: LightNCA, view: View, tell: bool, array: np.ndarray, spacing_mm: Sequence[float]
    ) -> np.ndarray:
        image, _ = preprocess_image(array, tuple(spacing_mm), view.preprocessing)
        found = []
        for part in parts(image, view.seen):
            channels = told(part.array, view) if tell else part.array
            *_, outcome = level_by_level(network, pyramid(network, channels), self.plan.outline)
            found.append(outcome.probabilities()[part.inside])
        back = np.argsort(view.preprocessing.axis_order)
        return np.concatenate(found, axis=1).transpose(0, *(axis + 1 for axis in back))

    def row(self, what: str, members: Sequence[Member]) -> dict[str, Any]:
        """The measurement of some networks' predictions, averaged, as a row of views.csv."""
        predicted = [self.predicted(member) for member in members]
        trained = dict.fromkeys(network for network, _ in members)
        records = [self.network(network)[1] for network in trained]
        plan, labels = self.views["axial"].preprocessing, self.job.plans.labels
        metrics, began = [], time.process_time()
        segmented = []
        for index, (array, spacing_mm, _) in enumerate(self.cases):
            mean = np.mean([maps[index] for maps, _ in predicted], axis=0)
            _, frame = preprocess_image(array, tuple(spacing_mm), plan)
            decoded = restore_labels(mean, frame, plan, labels)
            segmented.append(apply_postprocessing(decoded, self.job.plans.components, labels)[0])
        seconds = (time.process_time() - began) / len(segmented) + sum(part for _, part in predicted)
        for (_, spacing_mm, reference), found in zip(self.cases, segmented, strict=True):
            metrics.append(evaluate_case(found, reference, spacing_mm, labels, self.job.plans.spacing_known))
        classes = [name for name in metrics[0] if name != FOREGROUND]
        of_cases = [statistics.mean(case[name]["dice"] for name in classes) for case in metrics]
        whole = [case[FOREGROUND]["dice"] for case in metrics]
        means = {name: round(statistics.mean(case[name]["dice"] for case in metrics), 4) for name in classes}
        return {
            "commit": " ".join(dict.fromkeys(record["commit"] for record in records)),
            "dataset": self.job.plans.dataset,
            "what": what,
            "seeds": " ".join(str(seed) for seed in dict.fromkeys(seed for _, seed in trained)),
            "iterations": self.iterations,
            "networks": len(trained),
            "cpu_minutes": round(sum(record["cpu_minutes"] for record in records), 1),
            "class_dice": json.dumps(means),
            "mean_class_dice": round(statistics.mean(of_cases), 4),
            "foreground_dice": round(statistics.mean(whole), 4),
            "foreground_hd95": round(statistics.mean(case[FOREGROUND]["hd95"] for case in metrics), 3),
            "cpu_seconds_per_case": round(seconds, 4),
            "cases_mean_class_dice": json.dumps([round(value, 4) for value in of_cases]),
            "cases_foreground_dice": json.dumps([round(value, 4) for value in whole]),
        }


def told(channels: np.ndarray, view: View) -> np.ndarray:
    """(C, N, H, W) as a network of this view sees it -> its position along z, y, x, and further channels: the view."""
    image, position = np.split(channels, [-3])
    which = np.zeros((len(ALL), *channels.shape[1:]), channels.dtype)
    which[ALL.index(view.name)] = 1
    return np.concatenate([image, position[np.argsort(view.preprocessing.axis_order)], which])


def comparisons(seeds: Sequence[int]) -> list[tuple[str, list[Member]]]:
    """In this order networks are trained."""
    found: list[tuple[str, list[Member]]] = []
    for seed in seeds:
        three = (ALL, seed)
        found += [
            (BASE, [((("coronal",), seed), "coronal")]),
            ("(b) one network of three views, predicts coronal", [(three, "coronal")]),
            ("(c) one network of three views, averaged over them", [(three, name) for name in ALL]),
        ]
    if len(seeds) > 1:
        found.append(("(e) coronal, seeds averaged", [((("coronal",), seed), "coronal") for seed in seeds]))
    for seed in seeds:
        found += [(name, [(((name,), seed), name)]) for name in ALL if name != "coronal"]
        found.append(("(d) three networks, one per view, averaged", [(((name,), seed), name) for name in ALL]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="workspace with the planned and preprocessed dataset")
    parser.add_argument("--work", type=Path, help="folder for the views' stores and the networks")
    parser.add_argument("-d", help="dataset")
    parser.add_argument("--iterations", type=int, default=2500, help="of each network")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments = parser.parse_args()
    if not arguments.root:
        report()
        return
    wait_briefly()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    root = arguments.root.resolve()
    arguments.model, arguments.config = "mednca", "2d"
    with tempfile.TemporaryDirectory() as scratch:
        dataset, config = screen.prepare(root, Path(scratch), arguments, {})
        options = TrainingOptions(dataset=dataset, fold=0, model=arguments.model, config=config, device="cpu")
        job = prepare(Workspace(Path(scratch)), options)
    logging.info("%d training, %d held-out cases", len(job.recipe.cases), len(job.validation_cases))
    study = Study(job, Workspace(root), arguments.work.resolve(), arguments.iterations)
    for what, members in comparisons(arguments.seeds):
        add(study.row(what, members))


def key(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in ("dataset", "iterations", "what", "seeds"))


def rows() -> dict[tuple[str, ...], dict[str, Any]]:
    file = OUT / "views.csv"
    if not file.exists():
        return {}
    with file.open(newline="", encoding="utf-8") as stream:
        return {key(row): row for row in csv.DictReader(stream)}


def add(row: dict[str, Any]) -> None:
    """Puts a row into views.csv, in place of an earlier one of the same networks, and writes the table."""
    logging.info("%s", {name: value for name, value in row.items() if not name.startswith("cases_")})
    known = {**rows(), key(row): row}
    with replacing(OUT / "views.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(known[name] for name in sorted(known))
    report()


def report() -> None:
    known = rows()
    lines = [line(row, known) for row in known.values()]
    write_text(OUT / "views.md", HEAD + "\n".join(lines) + "\n")


def line(row: dict[str, Any], known: dict[tuple[str, ...], dict[str, Any]]) -> str:
    bases = [
        known.get(key({**row, "what": BASE, "seeds": seed})) for seed in row["seeds"].split() if row["what"] != BASE
    ]
    differences = []
    for column in ("cases_mean_class_dice", "cases_foreground_dice"):
        if bases and all(bases):
            base = np.mean([json.loads(one[column]) for one in bases], axis=0)
            gains = np.array(json.loads(row[column])) - base
            differences.append(f"{gains.mean():+.4f} ± {gains.std(ddof=1) / len(gains) ** 0.5:.4f}")
        else:
            differences.append("")
    classes = ", ".join(f"{name} {value:.4f}" for name, value in json.loads(row["class_dice"]).items())
    cells = [
        *(row["iterations"], row["what"], row["seeds"], row["networks"], row["cpu_minutes"], classes),
        *(row["mean_class_dice"], row["foreground_dice"], row["foreground_hd95"], *differences),
        *(row["cpu_seconds_per_case"], row["commit"]),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    main()
