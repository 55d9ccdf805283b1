"""The models whose candidate scores benchmarks/quality.py compares: one fold, and the mean of several."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks import quality_scores as scores_of
from benchmarks.scans import Scan
from mednca_pipeline.inference.network import Asked, Network
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.runtime.preprocessing import preprocess_image
from mednca_pipeline.runtime.quality import FOREGROUND, Deviation

PRESENT, PRESENT_CLASSES = "present: 1 run before the finest level", "present, mean of the classes"
ONE, THREE, THREE_PAIRS, MANY = "1 run after all levels", "3 runs, SD", "3 runs, pairwise", "6 runs, SD"
RUNS = 6
PROBABILITIES = "expected Dice"
EVERY = "6 runs of every cell, SD"
PERTURBED = {
    "no perturbation": scores_of.unchanged,
    f"noise of {scores_of.NOISE} SD": scores_of.noisy,
    f"{scores_of.ZEROED:.0%} of cells zeroed": scores_of.zeroed,
}
FOLDS_SD, FOLDS_LABELS = "folds, SD", "folds, labels"


@dataclass(frozen=True)
class PreprocessedScan(Scan):
    """preprocessed: what the network is given of the image, (C, S, H, W)."""

    preprocessed: np.ndarray


class Single:
    """One fold, whose candidates are computed from the passes that they share. everywhere: the fold on every cell."""

    def __init__(self, folder: Path, fold: int = 0) -> None:
        self.plain = Predictor.from_folder(
            folder, [fold], PredictionOptions(device="cpu", quality=False, postprocess=False)
        )
        self.predictor = Predictor.from_folder(folder, [fold], PredictionOptions(device="cpu", postprocess=False))
        self.everywhere = Predictor.from_folder(
            folder, [fold], PredictionOptions(device="cpu", everywhere=True)
        ).networks[fold]
        self.network, self.labels = self.predictor.networks[fold], self.predictor.plans.labels

    def judge(self, scan: PreprocessedScan, every_cell: bool) -> tuple[np.ndarray, dict[str, float]]:
        """The label map, and each candidate's score."""
        maps = self.predictor.predict_maps(scan.array, scan.spacing_mm)
        expected = scores_of.foreground(maps.mean, self.labels)
        found = {
            PRESENT: maps.quality[FOREGROUND],
            PRESENT_CLASSES: float(np.nanmean([maps.quality[name] for name in self.labels.names])),
            PROBABILITIES: scores_of.missing_dice(expected),
        }
        runs = self.runs(self.network, scan, RUNS)
        found[ONE] = scores_of.deviation(runs[0], expected)
        found[THREE], found[THREE_PAIRS] = scores_of.spread(runs[:3]), scores_of.pairwise(runs[:3])
        found[MANY] = scores_of.spread(runs)
        passes = self.last_passes(scan)
        for name, perturb in PERTURBED.items():
            soft, hard = scores_of.resilience(passes, perturb, self.labels)
            found |= {resilience_name(name): soft, resilience_name(name, labels=True): hard}
        if every_cell:
            found[EVERY] = scores_of.spread(self.runs(self.everywhere, scan, RUNS))
        return maps.decode(self.labels), found

    def runs(self, network: Network, scan: PreprocessedScan, count: int) -> list[np.ndarray]:
        """Foreground probabilities (S, H, W) of random runs; 0: of the expected update."""
        parts = []
        for seen in network.see(scan.preprocessed):
            outcomes = network.probabilities(seen, Asked(count, quality=False), Deviation(self.labels))
            parts.append([scores_of.foreground(outcome, self.labels) for outcome in outcomes])
        return [np.concatenate(run) for run in zip(*parts, strict=True)]

    def last_passes(self, scan: PreprocessedScan) -> list:
        return [(seen, scores_of.last_pass(self.network, seen)) for seen in self.network.see(scan.preprocessed)]

    def costs(self, scan: PreprocessedScan, every_cell: bool) -> dict[str, float]:
        """Each candidate's share of the prediction's seconds, of one image."""
        array, spacing_mm = scan.array, scan.spacing_mm
        base = seconds(lambda: self.plain.predict(array, spacing_mm))
        scored = seconds(lambda: self.predictor.predict(array, spacing_mm))
        one_pass, one, three, many = (seconds(lambda n=n: self.runs(self.network, scan, n)) for n in (0, 1, 3, RUNS))
        expected, passes = self.runs(self.network, scan, 0)[0], self.last_passes(scan)
        added = dict.fromkeys((PRESENT, PRESENT_CLASSES), scored - base)
        added |= {ONE: one - one_pass, THREE: three - one_pass, THREE_PAIRS: three - one_pass, MANY: many - one_pass}
        added[PROBABILITIES] = seconds(lambda: scores_of.missing_dice(expected))
        for name, perturb in PERTURBED.items():
            spent = seconds(lambda perturb=perturb: scores_of.resilience(passes, perturb, self.labels))
            added |= dict.fromkeys((resilience_name(name), resilience_name(name, labels=True)), spent)
        if every_cell:
            added[EVERY] = seconds(lambda: self.runs(self.everywhere, scan, RUNS), times=1)
        return {name: max(0.0, spent) / base for name, spent in added.items()}


class Folds:
    """The mean of several folds. Where they are predicted anyway, their disagreement costs what comparing them does."""

    def __init__(self, folder: Path) -> None:
        self.plain = Predictor.from_folder(
            folder, None, PredictionOptions(device="cpu", quality=False, postprocess=False)
        )
        self.predictor = Predictor.from_folder(folder, None, PredictionOptions(device="cpu", postprocess=False))
        self.first = Predictor.from_folder(
            folder, [next(iter(self.predictor.networks))], PredictionOptions(device="cpu", postprocess=False)
        )
        self.labels = self.predictor.plans.labels

    def judge(self, scan: PreprocessedScan, every_cell: bool = False) -> tuple[np.ndarray, dict[str, float]]:
        maps, outcomes = self.first.predict_maps(scan.array, scan.spacing_mm), self.each(scan)
        maps = replace(maps, mean=np.mean(outcomes, axis=0))
        found = {
            PRESENT: maps.quality[FOREGROUND],
            PROBABILITIES: scores_of.missing_dice(scores_of.foreground(maps.mean, self.labels)),
        }
        return maps.decode(self.labels), found | self.disagreement(outcomes)

    def each(self, scan: PreprocessedScan) -> list[np.ndarray]:
        """Probabilities (K, S, H, W) of each fold."""
        outcomes = []
        for network in self.predictor.networks.values():
            asked, unused = Asked(quality=False), Deviation(self.labels)
            parts = [next(network.probabilities(seen, asked, unused)) for seen in network.see(scan.preprocessed)]
            outcomes.append(np.concatenate(parts, axis=1))
        return outcomes

    def disagreement(self, outcomes: Sequence[np.ndarray]) -> dict[str, float]:
        return {
            FOLDS_SD: scores_of.spread([scores_of.foreground(one, self.labels) for one in outcomes]),
            FOLDS_LABELS: scores_of.label_change([self.labels.decode(one) for one in outcomes], self.labels),
        }

    def costs(self, scan: PreprocessedScan, every_cell: bool = False) -> dict[str, float]:
        base = seconds(lambda: self.plain.predict(scan.array, scan.spacing_mm))
        scored = seconds(lambda: self.predictor.predict(scan.array, scan.spacing_mm))
        outcomes = self.each(scan)
        compared = seconds(lambda: self.disagreement(outcomes))
        expected = scores_of.foreground(outcomes[0], self.labels)
        added = {PRESENT: scored - base, PROBABILITIES: seconds(lambda: scores_of.missing_dice(expected))}
        added |= {FOLDS_SD: compared, FOLDS_LABELS: compared}
        return {name: max(0.0, spent) / base for name, spent in added.items()}


def as_scan(judge: Single | Folds, array: np.ndarray, spacing_mm: Sequence[float]) -> PreprocessedScan:
    plan = judge.predictor.plans.config(judge.predictor.config).preprocessing
    return PreprocessedScan(array, tuple(spacing_mm), preprocess_image(array, spacing_mm, plan)[0])


def resilience_name(perturbation: str, labels: bool = False) -> str:
    return f"resilience, {perturbation}, {'labels' if labels else 'probabilities'}"


def seconds(work: Callable[[], object], times: int = 2) -> float:
    """Of the processor, the least of `times`: other processes on the machine do not count."""
    spent = []
    for _ in range(times):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)
