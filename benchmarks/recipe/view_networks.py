"""The networks of views.py: trained on one view of a volume or on three, and what they predict."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.scans import LabelledScan, read_scan
from mednca_pipeline.datasets.dataset import load_dataset
from mednca_pipeline.evaluation.provenance import commit
from mednca_pipeline.fingerprint.fingerprint import read_fingerprint
from mednca_pipeline.inference.light import architecture
from mednca_pipeline.inference.network import input_format
from mednca_pipeline.models.mednca import MedNCA
from mednca_pipeline.models.weights import save_weights
from mednca_pipeline.planning.sizes import image_size, preprocessed_shapes, typical_large_shape
from mednca_pipeline.plans.model_plans import NCAPlan
from mednca_pipeline.preprocessing.run import Target, preprocess_dataset
from mednca_pipeline.runtime.files import read_json, write_json
from mednca_pipeline.runtime.folding import light_nca
from mednca_pipeline.runtime.light_nca import LightNCA, level_by_level, pyramid
from mednca_pipeline.runtime.network_input import InputFormat, parts
from mednca_pipeline.runtime.preprocessing import PreprocessingPlan, preprocess_image
from mednca_pipeline.runtime.weights import read_weights
from mednca_pipeline.training.batches import BatchRecipe, Sampler
from mednca_pipeline.training.job import Job
from mednca_pipeline.training.loop import mask_generator
from mednca_pipeline.training.state import new_state
from mednca_pipeline.training.step import train_step
from mednca_pipeline.workspace import Workspace

ORDERS = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}  # axis_order; slices along the first
ALL = tuple(ORDERS)
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
        config = replace(config, preprocessing=preprocessing, image_size=size).with_model("mednca", plan)
        plans = replace(self.job.plans, configs={config.name: config})
        preprocess_dataset(self.dataset, Target.planned(plans, config.name, store))
        recipe = replace(self.job.recipe, store=store, image_size=size, position=plan.position)
        return View(name, preprocessing, recipe, input_format(config, plan, plan.levels[0].factor))

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
        network = light_nca(read_weights(file), architecture(plan, n_image, labels))
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
            tell = len(trained[0]) > 1
            maps = [self._probabilities(network, self.views[name], tell, case) for case in self.cases]
            self._predicted[member] = maps, (time.process_time() - began) / len(maps)
        return self._predicted[member]

    @cached_property
    def cases(self) -> list[LabelledScan]:
        """The held-out cases."""
        raw = {case.name: case for case in self.dataset.training}
        return [read_scan(raw[name]) for name in self.job.fold.val]

    def _probabilities(self, network: LightNCA, view: View, tell: bool, case: LabelledScan) -> np.ndarray:
        image, frame = preprocess_image(case.array, case.spacing_mm, view.preprocessing)
        found = []
        for part in parts(image, view.seen):
            channels = told(part.array, view) if tell else part.array
            *_, outcome = level_by_level(network, pyramid(network, channels), self.plan.outline)
            found.append(part.pad.inverse(outcome.probabilities()))
        return frame.permute.inverse(np.concatenate(found, axis=1))


def told(channels: np.ndarray, view: View) -> np.ndarray:
    """(C, N, H, W) as a network of this view sees it -> its position along z, y, x, and further channels: the view."""
    image, position = np.split(channels, [-3])
    which = np.zeros((len(ALL), *channels.shape[1:]), channels.dtype)
    which[ALL.index(view.name)] = 1
    return np.concatenate([image, position[np.argsort(view.preprocessing.axis_order)], which])
