"""What the page must compute, by mednca_pipeline.runtime: arrays.safetensors, cases.json and a few NIfTI files.

    python web/test/make_fixtures.py [FOLDER]

The files are committed; tests/web/test_fixtures.py makes them again and compares.
"""

import gzip
import json
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
from safetensors.numpy import save_file

from mednca_pipeline.evaluation.colours import colour_of
from mednca_pipeline.evaluation.component_removal import apply_postprocessing
from mednca_pipeline.inference.installed import SHIPPED
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.runtime.fire_masks import RandomRun, fires_at
from mednca_pipeline.runtime.folding import Architecture, light_nca
from mednca_pipeline.runtime.images import read_image, write_labels
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.runtime.light_nca import level_by_level, pyramid
from mednca_pipeline.runtime.network_input import InputFormat, parts
from mednca_pipeline.runtime.outline import Outline
from mednca_pipeline.runtime.preprocessing import PreprocessingPlan, preprocess_image
from mednca_pipeline.runtime.quality import Deviation
from mednca_pipeline.runtime.weights import FoldWeights

FOLDER = Path(__file__).parent / "fixtures"
PHANTOM = Path(__file__).parents[1] / "public" / "examples" / "phantom.nii.gz"
CLASSES = Labels(("one", "two"), ((1,), (2,)))
REGIONS = Labels(("whole", "core"), ((1, 2), (2,)), (1, 2))
PLANS = {  # spacing of the grid, axis order, normalisation
    "zscore": PreprocessingPlan((0, 1, 2), (None, 1.0, 1.0), ("zscore",), clip_percentiles=False),
    "clipped": PreprocessingPlan((1, 0, 2), (None, 1.5, 0.8), ("zscore",)),
    "ct": PreprocessingPlan((2, 0, 1), (2.0, 1.0, 1.0), ("ct",), ((20.0, 30.0, -40.0, 80.0),)),
    "none": PreprocessingPlan((0, 1, 2), (None, None, None), ("none",)),
}


class Fixtures:
    """Collects arrays by name and cases by kind."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.arrays, self.cases = folder, {}, {}

    def array(self, name: str, array: np.ndarray) -> str:
        self.arrays[name] = np.ascontiguousarray(array, np.int32 if array.dtype.kind in "iub" else np.float32)
        return name

    def case(self, kind: str, **fields: object) -> None:
        self.cases.setdefault(kind, []).append(fields)

    def write(self) -> None:
        save_file(self.arrays, self.folder / "arrays.safetensors")
        text = json.dumps(self.cases, indent=1, sort_keys=True)
        (self.folder / "cases.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    make(folder)


def make(folder: Path) -> None:
    fixtures, rng = Fixtures(folder), np.random.default_rng(0)
    files = nifti_files(fixtures, rng)
    preprocessing(fixtures, files, rng)
    network_input(fixtures, rng)
    automata(fixtures, rng)
    fire_masks(fixtures)
    components(fixtures, rng)
    fixtures.case(
        "colours", colours={str(value): [round(255 * part) for part in colour_of(value)] for value in range(1, 20)}
    )
    masks(fixtures.folder)
    fixtures.write()


def nifti_files(fixtures: Fixtures, rng: np.random.Generator) -> list[str]:
    """Orientations and forms of the header. Returns the names of volumes with one channel."""
    volume = rng.integers(-200, 900, (9, 8, 7)).astype(np.int16)
    volume[:2] = volume[:, :1] = 0  # something to crop
    turned = np.array([[0, -1.1, 0, 5], [0, 0, 0.9, -3], [1.4, 0, 0, 8], [0, 0, 0, 1]])
    angle = np.deg2rad(25)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    oblique = np.eye(4)
    oblique[:3, :3] = rotation @ np.diag([-0.8, 1.2, 2.5])
    written = {
        "ras": nib.Nifti1Image(volume, np.diag([1.2, 1.0, 0.9, 1.0])),
        "turned": nib.Nifti1Image(volume.astype(np.float32) / 7, turned),
        "oblique": nib.Nifti1Image(volume, oblique),
        "nifti2": nib.Nifti2Image(volume, turned),
        "big_endian": nib.Nifti1Image(volume, turned, nib.Nifti1Header(endianness=">")),
        "slice": nib.Nifti1Image(volume[:, 3:4], turned),
        "channels": nib.Nifti1Image(np.stack([volume, volume[::-1]], axis=-1), turned),
        "anisotropic": nib.Nifti1Image(volume, np.diag([-0.7, 0.8, 4.0, 1.0])),
    }
    no_form, qform = nib.Nifti1Image(volume, None), nib.Nifti1Image(volume, None)
    no_form.header.set_zooms((1.5, 1.0, 2.0))
    qform.set_qform(oblique, code="scanner")
    qform.header["sform_code"] = 0
    metres = nib.Nifti1Image(volume, np.diag([0.001, 0.001, 0.002, 1.0]))
    metres.header.set_xyzt_units("meter")
    scaled = nib.Nifti1Image(volume, turned)
    scaled.header.set_slope_inter(0.5, -100)
    written |= {"no_form": no_form, "qform": qform, "metres": metres, "scaled": scaled}
    for name, image in written.items():
        path = fixtures.folder / f"{name}.nii.gz"
        path.write_bytes(gzip.compress(image.to_bytes(), mtime=0))
        found = read_image(path)
        labels = (np.arange(found.array[0].size) % 3).reshape(found.array[0].shape).astype(np.uint8)
        mask = fixtures.folder / "mask.nii"
        write_labels(mask, labels, found.geometry)
        content = np.frombuffer(mask.read_bytes(), np.uint8)
        mask.unlink()
        fixtures.case(
            "nifti",
            file=path.name,
            array=fixtures.array(f"nifti.{name}", found.array),
            spacing=list(found.spacing_mm),
            labels=fixtures.array(f"nifti.{name}.labels", labels),
            mask=fixtures.array(f"nifti.{name}.mask", content),
        )
    return [name for name in written if name not in ("slice", "channels")]


def preprocessing(fixtures: Fixtures, files: list[str], rng: np.random.Generator) -> None:
    """Onto the grid and back, by several plans, from files of several orientations."""
    pairs = [(name, "zscore") for name in files] + [("turned", plan) for plan in PLANS] + [("anisotropic", "clipped")]
    for name, plan in dict.fromkeys(pairs):
        image = read_image(fixtures.folder / f"{name}.nii.gz")
        grid, frame = preprocess_image(image.array, image.spacing_mm, PLANS[plan])
        for labels in (CLASSES, REGIONS):
            coarse = rng.random((labels.n_outputs, *(side // 3 + 1 for side in grid.shape[1:])), np.float32)
            maps = np.ascontiguousarray(coarse.repeat(3, 1).repeat(3, 2).repeat(3, 3)[:, : grid.shape[1]])
            maps = maps[:, :, : grid.shape[2], : grid.shape[3]]
            case = f"{name}.{plan}.{'regions' if labels.has_regions else 'classes'}"
            fixtures.case(
                "preprocessing",
                file=f"{name}.nii.gz",
                plan=_plan(PLANS[plan]),
                grid=fixtures.array(f"grid.{name}.{plan}", grid),
                labels=_labels(labels),
                probabilities=fixtures.array(f"maps.{case}", maps),
                restored=fixtures.array(f"restored.{case}", frame.restore_labels(maps, labels)),
            )


def network_input(fixtures: Fixtures, rng: np.random.Generator) -> None:
    image = rng.standard_normal((2, 5, 7, 6), np.float32)
    source = fixtures.array("seen.image", image)
    for number, seen in enumerate(
        (
            InputFormat(2, (8, 12), (4, 4), 0, ()),
            InputFormat(2, (4, 4), (2, 2), 2, (5.0, 8.0, 6.0)),
            InputFormat(2, (4, 4), (4, 2), 0, (8.0, 6.0)),
            InputFormat(3, (8, 8, 4), (4, 4, 2), 0, (5.0, 8.0, 6.0)),
        )
    ):
        (part,) = parts(image, seen)
        fixtures.case(
            "network_input",
            image=source,
            format=_format(seen),
            seen=fixtures.array(f"seen.{number}", part.array),
            unpadded=fixtures.array(f"seen.{number}.unpadded", part.pad.inverse(part.array)),
        )


def automata(fixtures: Fixtures, rng: np.random.Generator) -> None:
    """Random weights: probabilities at the outline, and how far a random run deviates before the last level."""
    flat, deep = (((4, 4), 3), ((2, 2), 2), ((1, 1), 2)), (((2, 2, 1), 2), ((1, 1, 1), 2))
    plain = Architecture(flat, 7, 2, 3, 0.75, "replicate", "layer", False)
    for name, form, outline in (
        ("layer", plain, Outline(0.3, 1)),
        ("everywhere", plain, None),
        ("rms", replace(plain, norm="rms", border="reflect", sigmoid=True, n_outputs=2), Outline(0.3, 1)),
        ("zeros", replace(plain, norm="none", border="zeros"), Outline(0.3, 2)),
        ("deep", replace(plain, levels=deep), Outline(0.3, 1)),
        ("paper", replace(plain, levels=flat[1:], norm="none", border="reflect"), None),
    ):
        dim = len(form.levels[0][0])
        shape = (3, 8, 12) if dim == 2 else (1, 4, 6, 8)
        image = rng.standard_normal((form.n_image, *shape), np.float32)
        weights = _paper_weights(rng, form) if name == "paper" else _weights(rng, form)
        nca = light_nca(FoldWeights(weights, name), form)
        seen, run = pyramid(nca, image), RandomRun(0, 0, form.fire_rate)
        levels = max(1, len(form.levels) - 1)

        def fires(level, steps, cells, run=run):
            return fires_at(run, level, range(steps), cells)

        deviation = Deviation(REGIONS if form.sigmoid else CLASSES)
        passes = list(level_by_level(nca, seen, outline, [fires], levels))
        deviation.add(*passes[levels - 1].deviation(1))
        fixtures.case(
            "automata",
            name=name,
            form=_form(form),
            outline=outline and {"eps": outline.eps, "halo": outline.halo},
            image=fixtures.array(f"{name}.image", image),
            weights={key: fixtures.array(f"{name}.{key}", value) for key, value in weights.items()},
            probabilities=fixtures.array(f"{name}.probabilities", passes[-1].probabilities()),
            computed=list(passes[-1].computed),
            levels=levels,
            score=deviation.scores()["foreground"],
        )


def fire_masks(fixtures: Fixtures) -> None:
    cells = np.flatnonzero(np.arange(200) % 3)
    fires = fires_at(RandomRun(0, 0, 0.75), 1, range(3), cells + 1000)
    fixtures.case("fire_masks", fires=fixtures.array("fires", fires), cells=fixtures.array("fires.cells", cells))


def components(fixtures: Fixtures, rng: np.random.Generator) -> None:
    for number, (labels, shape) in enumerate(((CLASSES, (6, 9, 8)), (REGIONS, (6, 9, 8)), (CLASSES, (20, 24)))):
        mask = rng.choice(np.array([0, 1, 2], np.uint8), shape, p=[0.8, 0.1, 0.1])
        kept, removed = apply_postprocessing(mask, dict.fromkeys(labels.names, 1 + number // 2), labels)
        assert removed
        fixtures.case(
            "components",
            labels=_labels(labels),
            kept=dict.fromkeys(labels.names, 1 + number // 2),
            mask=fixtures.array(f"components.{number}", mask),
            expected=fixtures.array(f"components.{number}.expected", kept),
        )


def masks(folder: Path) -> None:
    """What mednca_predict makes of the phantom with the model that comes with the page; and of two slices of it, with
    every cell computed."""
    phantom = nib.load(PHANTOM)
    first = phantom.shape[2] // 2
    middle = phantom.slicer[:, :, first : first + 2]
    (folder / "two_slices.nii.gz").write_bytes(gzip.compress(middle.to_bytes(), mtime=0))
    _mask(PHANTOM, folder / "phantom_mask.nii.gz", PredictionOptions())
    _mask(folder / "two_slices.nii.gz", folder / "two_slices_mask.nii.gz", PredictionOptions(everywhere=True))


def _mask(file: Path, out: Path, options: PredictionOptions) -> None:
    image, plain = read_image(file), out.with_suffix("")
    predictor = Predictor.from_bundle(SHIPPED / "phantom.mednca", options=options)
    write_labels(plain, predictor.predict(image.array, image.spacing_mm).labels, image.geometry)
    out.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    plain.unlink()


def _weights(rng: np.random.Generator, form: Architecture) -> dict[str, np.ndarray]:
    hidden, dim, weights = 6, len(form.levels[0][0]), {}
    for level in range(len(form.levels)):
        weights[f"cells.{level}.hidden.weight"] = rng.standard_normal((hidden, form.channels, *(3,) * dim)) * 0.3
        weights[f"cells.{level}.update.weight"] = rng.standard_normal((form.channels - form.n_image, hidden)) * 0.3
        if form.norm != "none":
            weights[f"cells.{level}.norm.weight"] = 1 + 0.2 * rng.standard_normal(hidden)
            weights[f"cells.{level}.norm.bias"] = 0.2 * rng.standard_normal(hidden)
        else:
            weights[f"cells.{level}.hidden.bias"] = 0.2 * rng.standard_normal(hidden)
    return {name: array.astype(np.float32) for name, array in weights.items()}


def _paper_weights(rng: np.random.Generator, form: Architecture) -> dict[str, np.ndarray]:
    """The published perception: the identity and two banks of filters."""
    hidden, dim, total, weights = 6, len(form.levels[0][0]), form.channels, {}
    for level in range(len(form.levels)):
        for bank in range(2):
            weights[f"cells.{level}.banks.{bank}.weight"] = rng.standard_normal((total, total, *(3,) * dim)) * 0.1
            weights[f"cells.{level}.banks.{bank}.bias"] = rng.standard_normal(total) * 0.1
        weights[f"cells.{level}.hidden.weight"] = rng.standard_normal((hidden, 3 * total, *(1,) * dim)) * 0.2
        weights[f"cells.{level}.hidden.bias"] = rng.standard_normal(hidden) * 0.1
        weights[f"cells.{level}.update.weight"] = rng.standard_normal((total, hidden)) * 0.3
    return {name: array.astype(np.float32) for name, array in weights.items()}


def _plan(plan: PreprocessingPlan) -> dict[str, object]:
    return {
        "axisOrder": plan.axis_order,
        "spacingMm": plan.spacing_mm,
        "anisotropyThreshold": plan.anisotropy_threshold,
        "normalise": {
            "schemes": plan.normalisation,
            "ctStatistics": plan.ct_statistics,
            "clipPercentiles": plan.clip_percentiles,
        },
    }


def _labels(labels: Labels) -> dict[str, object]:
    return {"names": labels.names, "values": labels.values, "regionOrder": labels.region_order}


def _format(seen: InputFormat) -> dict[str, object]:
    named = {"imageSize": seen.image_size, "adjacentSlices": seen.adjacent_slices}
    return {"dim": seen.dim, "factor": seen.factor, "position": seen.position, **named}


def _form(form: Architecture) -> dict[str, object]:
    return {
        "levels": [{"factor": factor, "steps": steps} for factor, steps in form.levels],
        "channels": form.channels,
        "nImage": form.n_image,
        "nOutputs": form.n_outputs,
        "fireRate": form.fire_rate,
        "border": form.border,
        "norm": form.norm,
        "sigmoid": form.sigmoid,
    }


if __name__ == "__main__":
    main()
