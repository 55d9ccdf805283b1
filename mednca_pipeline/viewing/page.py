"""The built page, which `make web` puts into the package."""

from collections.abc import Callable
from pathlib import Path

from ..runtime.errors import InputError
from .server import given

FOLDER = Path(__file__).parent / "web_page"
SESSION = "session.json"  # the server's own takes the place of the page's
_WORKER = "sw.js"  # keeps the page for a visit without a network: a served page is there as long as its server is


def page_files(folder: Path | None = None) -> dict[str, Callable[[], Path]]:
    """Address -> file of the page, by default the one in the package. Raises InputError where it was not built."""
    folder = FOLDER if folder is None else folder
    index = folder / "index.html"
    if not index.is_file():
        remedy = "In a clone of the repository: make web. Else install a wheel that has the page."
        raise InputError(folder, "the page for browsers", "none", remedy)
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    table = {file.relative_to(folder).as_posix(): file for file in files}
    table = {"": index, **table}
    return {address: given(file) for address, file in table.items() if address not in (SESSION, _WORKER)}
