"""The page in a real browser: web/browser, with cases that mednca_predict segments here."""

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from mednca_pipeline.deploy.bundle import write_bundle
from mednca_pipeline.deploy.card import make_card
from mednca_pipeline.inference.folder_model import FolderModel
from mednca_pipeline.inference.installed import SHIPPED
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.phantom import write_phantom_dataset
from mednca_pipeline.results.model_card import DataFacts
from mednca_pipeline.results.model_folder import ModelRecord
from mednca_pipeline.runtime.files import write_json
from mednca_pipeline.runtime.images import read_image, write_labels
from mednca_pipeline.viewing.page import FOLDER
from mednca_pipeline.viewing.review import review_cases
from mednca_pipeline.viewing.server import ViewServer, given
from mednca_pipeline.viewing.session import Offer, table_of

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
PHANTOM = SHIPPED / "phantom.mednca"
HIPPOCAMPUS = ROOT / "results" / "recipe" / "finals" / "Dataset004_Hippocampus_mednca_2d_15147it_3b480672"
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("npx"), reason="node and npm are absent: the page is not tested in a browser"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is absent: the page is not tested in a browser"),
    pytest.mark.skipif(not (FOLDER / "index.html").exists(), reason="the page is not built (make web)"),
    pytest.mark.skipif(not (WEB / "node_modules").exists(), reason="npm packages are absent (make web)"),
]


def browse(*arguments, **variables) -> str:
    """Runs the tests of web/browser and returns what they print."""
    environment = os.environ | {name: str(value) for name, value in variables.items()} | {"NO_COLOR": "1"}
    command = ["npm", "run", "--silent", "browser", "--", *arguments]
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """Unseen phantoms with the masks of the model that comes with the page: folders imagesTs, labelsTs, predicted."""
    folder = write_phantom_dataset(tmp_path_factory.mktemp("phantoms"), n_train=1, n_test=2, seed=7)
    (folder / "predicted").mkdir()
    predictor = Predictor.from_bundle(PHANTOM)
    for file in sorted((folder / "imagesTs").iterdir()):
        predicted(predictor, file, folder / "predicted" / file.name.replace("_0000", ""))
    return folder


def predicted(predictor: Predictor, image: Path, out: Path) -> Path:
    read = read_image(image)
    found = predictor.predict(read.array, read.spacing_mm)
    assert found.labels.any()
    write_labels(out, found.labels, read.geometry)
    return out


def hippocampus(folder: Path) -> dict[str, object] | None:
    """A case of the real dataset beside the checkout, with five folds; None where it is absent."""
    images = sorted((ROOT.parent / "shared" / "data" / "Task04_Hippocampus" / "imagesTr").glob("hippocampus_*.nii.gz"))
    if not images:
        return None
    model = folder / "mednca_2d"
    plans = ROOT / "plans" / "reference" / "Dataset004_Hippocampus" / "plans.json"
    for fold in range(5):
        shutil.copytree(HIPPOCAMPUS, model / f"fold_{fold}", ignore=shutil.ignore_patterns("summary.json"))
        run = json.loads((HIPPOCAMPUS / "run.json").read_text(encoding="utf-8"))
        write_json(model / f"fold_{fold}" / "run.json", run | {"fold": fold})
    shutil.copyfile(plans, model / "plans.json")
    write_json(model / "model.json", ModelRecord("Dataset004_Hippocampus", "mednca", "2d"))
    opened, bundle = FolderModel.open(model), folder / "hippocampus.mednca"
    write_bundle(opened, range(5), "float16", make_card(opened, range(5), DataFacts()), bundle)
    mask = predicted(Predictor.from_bundle(bundle), images[0], folder / "mask.nii.gz")
    return {"name": "hippocampus, five folds", "files": [str(bundle), str(images[0])], "mask": str(mask)}


def test_labels_are_those_of_mednca_predict_and_the_page_works_offline_and_on_a_phone(tmp_path, phantoms):
    images = sorted((phantoms / "imagesTs").iterdir())
    masks = sorted((phantoms / "predicted").iterdir())
    cases = [
        {"name": image.name, "files": [str(PHANTOM), str(image)], "mask": str(mask)}
        for image, mask in zip(images, masks, strict=True)
    ]
    cases += [hippocampus(tmp_path), dicom_series(tmp_path, images[0])]
    cases = [case for case in cases if case is not None]
    (tmp_path / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    printed = browse("page", MEDNCA_CASES=tmp_path / "cases.json")
    print(printed)
    assert printed.count("of the voxels agree") == 1 + len(cases)


def dicom_series(folder: Path, image: Path) -> dict[str, object]:
    """A phantom as a DICOM series, with the mask that mednca_predict makes of it."""
    sitk = pytest.importorskip("SimpleITK")
    volume = sitk.DICOMOrient(sitk.ReadImage(str(image)), "LPS")
    series = folder / "series"
    series.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index in range(volume.GetDepth()):
        slice_ = sitk.Cast(volume[:, :, index], sitk.sitkInt16)
        place = volume.TransformIndexToPhysicalPoint((0, 0, index))
        tags = {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.4",
            "0008|0018": f"1.2.826.0.1.3680043.2.1125.9.{index + 1}",
            "0008|0020": "20260101",
            "0008|0030": "120000",
            "0008|0060": "MR",
            "0020|000d": "1.2.826.0.1.3680043.2.1125.7",
            "0020|000e": "1.2.826.0.1.3680043.2.1125.8",
            "0020|0011": "1",
            "0020|0013": str(index + 1),
            "0020|0032": "\\".join(f"{value:.6f}" for value in place),
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0018|0050": f"{volume.GetSpacing()[2]:.6f}",
        }
        for key, value in tags.items():
            slice_.SetMetaData(key, value)
        writer.SetFileName(str(series / f"{index:03d}.dcm"))
        writer.Execute(slice_)
    mask = predicted(Predictor.from_bundle(PHANTOM), series, folder / "dicom_mask.nii.gz")
    assert (read_image(series).array == read_image(image).array).all()
    return {"name": "a DICOM series", "files": [str(PHANTOM)], "dicom": [str(series)], "mask": str(mask)}


def test_mednca_view_shows_flagged_cases_first(tmp_path, phantoms):
    names = [file.name.removesuffix(".nii.gz") for file in sorted((phantoms / "predicted").iterdir())]
    rows = [f"{name},{name}.nii.gz,{flag},," for name, flag in zip(names, ("ok", "review"), strict=True)]
    table = phantoms / "predicted" / "quality.csv"
    table.write_text("\n".join(["case,file,flag,reason,quality_foreground", *rows]) + "\n", encoding="utf-8")
    labels = Predictor.from_bundle(PHANTOM).plans.labels
    cases = review_cases(phantoms / "predicted", phantoms / "imagesTs", phantoms / "labelsTs")
    with ViewServer(table_of(Offer({"phantom": given(PHANTOM)}, cases, labels), tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browse("review", MEDNCA_VIEW=server.url, MEDNCA_VIEW_CASES=f"{names[1]}review {names[0]}ok")
        server.shutdown()
    assert np.all([case.image and case.reference for case in cases])
