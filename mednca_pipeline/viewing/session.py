"""What the page is served: its own files, models, and the cases of a folder of predictions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ..evaluation.colours import class_names
from ..runtime.bundle import ENDING
from ..runtime.files import write_json
from ..runtime.labels import Labels
from .page import SESSION, page_files
from .review import ReviewCase, as_nifti, nifti_name

Files = Mapping[str, Callable[[], Path]]


@dataclass(frozen=True)
class Offer:
    """models: name -> bundle. cases: to review. labels: of their label files."""

    models: Files
    cases: Sequence[ReviewCase] = ()
    labels: Labels | None = None


def table_of(offer: Offer, scratch: Path, page: Path | None = None) -> dict[str, Callable[[], Path]]:
    """Address -> file of everything that is served. scratch: a folder for files that are made for the page.
    page: the folder of the built page, by default that in the package.

    Raises InputError where the page was not built.
    """
    table = page_files(page)
    models = []
    for number, (name, file) in enumerate(offer.models.items()):
        address = f"models/{number}/{name.replace('/', '_').replace(' ', '_')}{ENDING}"
        table[address] = file
        models.append({"name": name, "url": quote(address)})
    cases = []
    for number, case in enumerate(offer.cases):
        entry: dict[str, str | None] = {"name": case.name, "flag": case.flag, "reason": case.reason}
        entry["quality"] = case.quality
        for kind, files in (("prediction", case.prediction), ("image", case.image), ("reference", case.reference)):
            entry[kind] = None
            if files:
                address = f"cases/{number}/{kind}/{nifti_name(files[0])}"
                table[address] = as_nifti(files, scratch / f"case_{number}" / kind)
                entry[kind] = quote(address)
        cases.append(entry)
    classes = class_names(offer.labels) if offer.labels else {}
    session = scratch / SESSION
    values = {"served": True, "models": models, "example": _example(table), "cases": cases, "classes": classes}
    write_json(session, values)
    table[SESSION] = lambda: session
    return table


def _example(table: Files) -> dict[str, str] | None:
    """The phantom that comes with the page."""
    files = {"model": "examples/phantom.mednca", "image": "examples/phantom.nii.gz"}
    return files if set(files.values()) <= set(table) else None
