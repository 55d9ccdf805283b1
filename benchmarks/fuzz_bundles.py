"""Thousands of forged bundles: each is refused, or it is a model that predicts.

    python -m benchmarks.fuzz_bundles --seconds 60 --seed 1

Hypothesis changes the shipped phantom's bundle (benchmarks/forgeries.py), and makes a failure smaller before it shows
it. What may come of one: an InputError, or a prediction. Failures are any other exception, a file that was written,
20 seconds, and 500 MB.
"""

import argparse
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase

from benchmarks.forgeries import Zipped, forgeries, read_original
from benchmarks.fuzz import LIMIT_S, peak_bytes, reset_peak_bytes
from mednca_pipeline.deploy.onnx_description import GraphDescription
from mednca_pipeline.inference.bundle_model import DESCRIPTION, BundleModel
from mednca_pipeline.inference.installed import SHIPPED
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.plans.model_plans import NCAPlan
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.records import from_dict

MOST_BYTES = 500 * 10**6
MOST_TEXT = 4000  # of a failure: hypothesis adds what it made
EXAMPLES = 50  # of one run of hypothesis; then the time is looked at
COSTLY = 10**7  # cells times steps, from which on a plan is not predicted with: slow is not wrong


@dataclass
class Forged:
    """How many forgeries came to what, and what failed, made as small as hypothesis can."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def table(self) -> str:
        rows = [f"| {outcome} | {count} |" for outcome, count in sorted(self.counts.items())]
        return "\n".join(["| what came of it | bundles |", "| --- | --- |", *rows])


def fuzz_bundles(seconds: float, seed: int) -> Forged:
    """Forges and opens bundles for so many seconds, and at least EXAMPLES."""
    report, started = Forged(), time.monotonic()
    original = read_original(SHIPPED / "phantom.mednca")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "forged.mednca"

        def each(made: Zipped) -> None:
            report.counts[outcome_of(made.content, file)] += 1

        for number in range(1_000_000):
            settings = hypothesis.settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            )
            run = hypothesis.seed(seed * 1_000_003 + number)(settings(hypothesis.given(forgeries(original))(each)))
            try:
                run()
            except BaseException as error:  # of a library in Rust even what is no Exception
                if isinstance(error, KeyboardInterrupt):
                    raise
                report.failures.append("".join(traceback.format_exception(error))[:MOST_TEXT])
            if time.monotonic() - started > seconds:
                break
    report.seconds = time.monotonic() - started
    return report


def outcome_of(content: bytes, file: Path) -> str:
    """ "refused", or what a bundle that was read could do. Raises what no bundle may lead to."""
    file.write_bytes(content)
    before = reset_peak_bytes()
    with time_limit(LIMIT_S):
        try:
            outcome = _use(file)
        except InputError as error:
            assert str(error)
            outcome = "refused"
    assert peak_bytes() - before < MOST_BYTES, "too much memory"
    assert [path.name for path in file.parent.iterdir()] == [file.name], "a file was written"
    return outcome


def _use(file: Path) -> str:
    model = BundleModel.open(file)
    if DESCRIPTION in model.bundle:
        from_dict(GraphDescription, model.bundle.json(DESCRIPTION), model.bundle.place(DESCRIPTION))
    plan, config = model.plans.config(model.config).model(model.model), model.plans.config(model.config)
    if not isinstance(plan, NCAPlan) or np.prod(config.image_size) * sum(level.steps for level in plan.levels) > COSTLY:
        return "read, too costly to predict with"
    if max(max(level.factor) for level in plan.levels) > 64:
        return "read, too costly to predict with"
    predictor = Predictor.from_bundle(file, options=PredictionOptions(device="cpu", memory_bytes=100 * 10**6))
    channels, axes = len(model.plans.channel_names), len(model.plans.training_range.extent_mm)
    image = np.random.default_rng(0).normal(size=(channels, *(6, 20, 18)[-axes:])).astype(np.float32)
    maps = predictor.predict(image, (1.0,) * axes).maps
    assert np.isfinite(np.concatenate([volume.reshape(-1) for _, volume in maps.probability_maps()])).all()
    return "read and predicted with"


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def too_long(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {seconds} s")

    former = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    report = fuzz_bundles(arguments.seconds, arguments.seed)
    print(f"{report.table()}\n\n{report.total} bundles in {report.seconds:.0f} s, {len(report.failures)} failures")
    for failure in report.failures[:10]:
        print(f"\n{failure}", file=sys.stderr)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
