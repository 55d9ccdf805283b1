"""What benchmarks.small_machine predicts: images of five sizes, each with a folder of mednca and one of unet_small.

The weights of mednca are those of fold 0 in results/recipe/finals, copied to five folds; unet_small's are random, which
changes neither its time nor its memory. hippocampus: a validation case as it is. 320x320x20: a prostate case resampled
to as many voxels of 0.4 x 0.4 x 1.6 mm. 480, 960 and 2048: a chest X-ray resampled to as many pixels.

"planned grid" resamples as the plan says. "native" leaves the grid as the file has it: for each doubling of the sides
the NCA has one more level, with the finest level's weights, and the UNet works in windows.
"""

import argparse
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from .prediction import Prepared, prepare

VOLUME, VOLUME_MM = (20, 320, 320), (1.6, 0.4, 0.4)
SIDES = (480, 960, 2048)


@dataclass(frozen=True)
class SmallCase:
    """name: for the table. source: the image file. models: folder by model's name."""

    name: str
    source: Path
    models: dict[str, Path]


def small_cases(root: Path, scratch: Path) -> Iterator[SmallCase]:
    """root: a workspace with raw/ and plans/*/splits.json."""
    hippocampus, prostate, xray = (prepare(root, dataset, scratch / dataset) for dataset in ("4", "12", "21"))
    scan = hippocampus.cases[len(hippocampus.cases) // 2].images[0]
    yield SmallCase("hippocampus 35x51x35", copied(scan, scratch / "hippocampus_0000.nii.gz"), models_of(hippocampus))
    volume = enlarged_volume(prostate.cases[0].images[0], scratch / "volume_0000.nii.gz")
    yield SmallCase("320x320x20, planned grid", volume, models_of(prostate))
    yield SmallCase("320x320x20, native", volume, native_models(prostate, scratch / "native" / "volume", VOLUME[1]))
    for side in SIDES:
        picture = enlarged_picture(xray.cases[0].images[0], side, scratch / f"{side}.png")
        if side == SIDES[-1]:
            yield SmallCase(f"{side}x{side}, planned grid", picture, models_of(xray))
        models = native_models(xray, scratch / "native" / str(side), side)
        yield SmallCase(f"{side}x{side}, native", picture, models)


def models_of(prepared: Prepared) -> dict[str, Path]:
    return {"mednca": prepared.mednca, "unet_small": prepared.unet}


def copied(source: Path, target: Path) -> Path:
    shutil.copy(source, target)
    return target


def enlarged_volume(source: Path, target: Path) -> Path:
    import nibabel as nib

    from mednca_pipeline.runtime.images import read_image
    from mednca_pipeline.runtime.resampling import CUBIC, resample

    volume = resample(read_image(source).array[0], VOLUME, CUBIC)
    nib.save(nib.Nifti1Image(volume.T.astype(np.int16), np.diag([*VOLUME_MM[::-1], 1.0])), target)
    return target


def enlarged_picture(source: Path, side: int, target: Path) -> Path:
    from PIL import Image

    with Image.open(source) as picture:
        picture.convert("L").resize((side, side), Image.Resampling.BICUBIC).save(target)
    return target


def native_models(prepared: Prepared, folder: Path, side: int) -> dict[str, Path]:
    """The models for images of `side` pixels that no plan resamples."""
    return {
        name: native_model(model, folder / name, side)
        for name, model in (("mednca", prepared.mednca), ("unet_small", prepared.unet))
    }


def native_model(folder: Path, into: Path, side: int) -> Path:
    from safetensors.numpy import load_file, save_file

    from mednca_pipeline.models.registry import read_plans
    from mednca_pipeline.plans.model_plans import NCAPlan
    from mednca_pipeline.results.model_folder import ModelFolder
    from mednca_pipeline.results.run_record import RunRecord

    record, plans = ModelFolder(folder).record(), read_plans(ModelFolder(folder).plans_file)
    assert record
    config, made = plans.configs["2d"], ModelFolder(into)
    plan, trained = config.model(record.model), ModelFolder(folder).trained_folds()
    if isinstance(plan, NCAPlan):
        doublings = round(math.log2(side / max(config.image_size)))
        plan = with_more_levels(plan, doublings)
        config = replace(config, image_size=(side, side))
    preprocessing = replace(config.preprocessing, spacing_mm=(None, None, None))
    config = replace(config, preprocessing=preprocessing).with_model(record.model, plan)
    plans = replace(plans, configs={**plans.configs, "2d": config})
    for fold in trained:
        made.begin(record, plans, RunRecord(fold=fold, digest=plans.digest("2d", record.model)))
        weights = load_file(ModelFolder(folder).fold(fold).weights)
        save_file(copied_to_more_levels(weights, plan), made.fold(fold).weights)
    return into


def with_more_levels(plan, doublings: int):
    """An NCA's plan with `doublings` finer levels more, each with the steps of the finest."""
    from mednca_pipeline.plans.model_plans import LevelPlan

    for _ in range(doublings):
        coarser = (replace(level, factor=tuple(2 * side for side in level.factor)) for level in plan.levels)
        levels = (*coarser, LevelPlan((1, 1), plan.levels[-1].steps))
        plan = replace(plan, levels=levels, position=tuple(2 * side for side in plan.position))
    return plan


def copied_to_more_levels(weights: dict[str, np.ndarray], plan) -> dict[str, np.ndarray]:
    """The finest level's weights for each level that has none."""
    trained = [int(name.split(".")[1]) for name in weights if name.startswith("cells.")]
    if not trained:
        return weights
    finest = f"cells.{max(trained)}."
    own = {name.removeprefix(finest): value for name, value in weights.items() if name.startswith(finest)}
    added = range(max(trained) + 1, len(plan.levels))
    return weights | {f"cells.{level}.{name}": value for level in added for name, value in own.items()}


def main() -> None:
    """Prints the cases as JSON. A process of its own, so that benchmarks.small_machine needs no torch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=Path, help="workspace with raw/ and plans/*/splits.json")
    parser.add_argument("--scratch", required=True, type=Path, help="folder for images and models")
    arguments = parser.parse_args()
    cases = small_cases(arguments.root.resolve(), arguments.scratch.resolve())
    print(json.dumps([asdict(case) for case in cases], default=str))


if __name__ == "__main__":
    main()
