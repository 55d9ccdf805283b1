"""Small bundles for tests of the reader: their members hold anything, but the zip and the manifest are right."""

import hashlib
import json
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from mednca_pipeline.runtime.bundle import FORMAT, MANIFEST

MEMBERS = {
    "README.md": b"# A model\n",
    "plans.json": b'{"schema": 2}',
    "fold_0/final.safetensors": bytes(range(256)) * 4,
}


def manifest_of(members, /, **changes) -> bytes:
    sums = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in members.items()
    }
    made = {"format": FORMAT, "schema": 1, "made_with": "a test", "weights": "float32", "members": sums, **changes}
    return json.dumps({name: value for name, value in made.items() if value is not None}).encode()


def write_zip(path: Path, members, method: int = ZIP_DEFLATED) -> Path:
    """members: pairs of a name or ZipInfo, and the content."""
    with ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name if isinstance(name, ZipInfo) else ZipInfo(name), content, method)
    return path


def write_small_bundle(path: Path, members=MEMBERS, /, **changes) -> Path:
    """changes: of the manifest's fields; None leaves one out."""
    return write_zip(path, [(MANIFEST, manifest_of(members, **changes)), *members.items()])


def altered(path: Path, out: Path, changes) -> Path:
    """A copy of a bundle with other members and the right sums. changes: name -> content; None leaves one out."""
    with ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != MANIFEST}
        weights = json.loads(archive.read(MANIFEST))["weights"]
    members = {name: content for name, content in {**members, **changes}.items() if content is not None}
    return write_small_bundle(out, members, weights=weights)
