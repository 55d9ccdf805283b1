"""Models that every command on this machine knows by a name: those that were installed, and those that are shipped."""

import os
import re
import shutil
import sys
from pathlib import Path

from ..models.registry import MODELS
from ..runtime.bundle import ENDING
from ..runtime.errors import InputError
from ..runtime.files import replacing
from ..runtime.hashes import file_sha256
from ..runtime.names import check_name
from .bundle_model import BundleModel

VARIABLE = "MEDNCA_MODELS"
SHIPPED = Path(__file__).parent / "shipped_models"
_NAME = re.compile(r"[\w-][\w.-]*")


def installed_folder() -> Path:
    """$MEDNCA_MODELS, else a folder of the user's own, where programs keep data on this system."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        data = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        data = Path.home() / "Library" / "Application Support"
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "mednca_pipeline" / "models"


def named_bundles() -> dict[str, Path]:
    """Name -> file of every model that is shipped or installed. An installed one hides a shipped one of its name."""
    return dict(sorted({**_bundles(SHIPPED), **_bundles(installed_folder())}.items()))


def install(file: Path, name: str | None = None, force: bool = False) -> Path:
    """Copies a bundle to where named_bundles finds it, and returns its place there.

    name: by default the file's. Raises InputError for a file that is no whole bundle, for a name that means something
    else, and, unless `force`, for one that another model has.
    """
    model = BundleModel.open(file)
    chosen = _checked_name(file.name.removesuffix(ENDING) if name is None else name)
    target, sha256 = installed_folder() / f"{chosen}{ENDING}", file_sha256(file)
    if target.exists() and not force and file_sha256(target) != sha256:
        remedy = "Choose another name with --name, or replace that model with --force."
        raise InputError(f"--name {chosen}", "a name that is free", f"another model in {target}", remedy)
    with replacing(target, durable=True) as temporary:
        shutil.copyfile(model.path, temporary)
        if file_sha256(temporary) != sha256:
            raise InputError(file, "a file that stays as it is", "another content now", "Run the command again.")
    return target


def _checked_name(name: str) -> str:
    check_name("--name", name)
    model, _, config = name.rpartition("_")
    if name in MODELS or (model in MODELS and config in ("2d", "3d")):
        raise InputError(f"--name {name}", "a name of its own", "that of a kind of model", "Choose another name.")
    if not _NAME.fullmatch(name):
        expected = "letters, digits, dots, dashes and underscores"
        raise InputError(f"--name {name}", expected, "others", "Choose another name with --name.")
    return name


def _bundles(folder: Path) -> dict[str, Path]:
    files = sorted(folder.glob(f"*{ENDING}")) if folder.is_dir() else []
    return {file.name.removesuffix(ENDING): file for file in files if file.is_file() and not file.name.startswith(".")}
