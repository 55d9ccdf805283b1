"""made_from.json: what each output in a folder of predictions was made from, and which files are ours."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..runtime.errors import InputError
from ..runtime.files import flush, read_json, state_of, write_json
from ..runtime.hashes import file_sha256, files_sha256
from ..runtime.images import stored_files
from ..runtime.locks import locked
from ..runtime.records import from_dict
from ..runtime.temporary import temporary_name
from .cases import predict_case
from .inputs import InputCase
from .prediction import ImagePredictor
from .quality_table import LOCK, Row
from .trained import choose_folds
from .trained_model import TrainedModel

FILE = "made_from.json"
SCHEMA = 1


@dataclass(frozen=True)
class Weights:
    """One model. plans: their digest. folds: the SHA-256 of each fold's weights.

    threshold: of its quality score. validation: its Dice. Both decide the flags.
    """

    model: str
    plans: str
    folds: dict[str, str]
    threshold: float | None
    validation: float | None


@dataclass(frozen=True)
class Recipe:
    """All that decides a result besides the input. components: class -> how many are kept."""

    models: tuple[Weights, ...]
    runs_per_fold: int
    seed: int
    everywhere: bool
    quality: bool
    components: dict[str, int]

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def difference(self, new: "Recipe") -> str:
        """Why what this recipe made is not what `new` makes; "" where it is the same."""
        if self == new:
            return ""
        before, after = asdict(self), asdict(new)
        models = [(weights.model, tuple(weights.folds)) for weights in self.models]
        other = [
            f"{name} {_told(after[name])} instead of {_told(before[name])}"
            for name in before
            if name != "models" and before[name] != after[name]
        ]
        if models != [(weights.model, tuple(weights.folds)) for weights in new.models]:
            other.append(f"{_named(new.models)} instead of {_named(self.models)}")
        elif [weights.folds for weights in self.models] != [weights.folds for weights in new.models]:
            return "the model has other weights"
        elif self.models != new.models:
            other.append("another plan, quality threshold or validation of the model")
        return f"other settings: {'; '.join(other)}"


@dataclass(frozen=True)
class Source:
    """An input: number and bytes of its files, and the SHA-256 of their content (runtime.hashes)."""

    files: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Output:
    """What an output was made from. recipe: its digest. files: SHA-256 of each file that was written.

    replaced: of the files that these replace, which are still there if the command was killed in between.
    """

    recipe: str
    source: Source
    files: dict[str, str]
    replaced: dict[str, str] = field(default_factory=dict)

    def has_written(self, name: str, sha256: str) -> bool:
        return sha256 in (self.files.get(name), self.replaced.get(name))


class MadeFrom:
    """The records of a folder of predictions, by label file. Other processes may add theirs at the same time."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.recipes: dict[str, Recipe] = {}
        self.outputs: dict[str, Output] = {}
        self._state: tuple[int, ...] | None = None
        self._read()

    def put(self, file: str, recipe: Recipe, source: Source, files: Mapping[str, str]) -> dict[str, str]:
        """Notes, before it is moved to its place, what `file` is made from.

        Returns the files that were written for it before and are not now, with their SHA-256.
        """
        with locked(self.out / LOCK):
            self._read()
            former = self.outputs.get(file)
            replaced = {name: former.files[name] for name in files if name in former.files} if former else {}
            self.outputs[file] = Output(recipe.digest, source, dict(files), replaced)
            self.recipes[recipe.digest] = recipe
            used = {output.recipe for output in self.outputs.values()}
            self.recipes = {digest: kept for digest, kept in self.recipes.items() if digest in used}
            data = {
                "schema": SCHEMA,
                "recipes": {digest: asdict(kept) for digest, kept in self.recipes.items()},
                "outputs": {name: asdict(output) for name, output in self.outputs.items()},
            }
            write_json(self.out / FILE, data, durable=True)
            self._state = state_of(self.out / FILE)
        return {name: sha256 for name, sha256 in former.files.items() if name not in files} if former else {}

    def present_hashes(self, file: str) -> dict[str, str]:
        """SHA-256 of each file that was written for the output `file` and is still there."""
        output = self.outputs.get(file)
        names = {*output.files, *output.replaced} if output else set()
        return {name: file_sha256(self.out / name) for name in names if (self.out / name).is_file()}

    def foreign_file(
        self, file: str, names: Iterable[str], hashes: Mapping[str, str], has_row: bool, overwrite: bool
    ) -> InputError | None:
        """What forbids to write `names`, the files of the output `file`: one that is the user's.

        hashes: see present_hashes. has_row: whether quality.csv says that this output was made; of an earlier version
        it alone does.
        """
        output = self.outputs.get(file)
        for path in filter(os.path.lexists, (self.out / name for name in names)):
            if path.is_dir():
                return InputError(path, found="a folder where a file must be", remedy="Choose another folder with -o.")
            if output is None and has_row:
                continue
            if output is None or path.name not in output.files:
                found = "a file that mednca_predict did not write"
                return InputError(path, found=found, remedy="Choose another folder with -o: it is not overwritten.")
            if not overwrite and not output.has_written(path.name, hashes.get(path.name, "")):
                found = "a file that was changed after mednca_predict wrote it"
                remedy = "Choose another folder with -o, or write over it with --overwrite."
                return InputError(path, found=found, remedy=remedy)
        return None

    def reason_to_repeat(self, case: InputCase, recipe: Recipe) -> str:
        """Why an output that has a record is made again; "" where it is what would be made now."""
        output = self.outputs[case.output]
        former = self.recipes.get(output.recipe)
        if former is None:
            return "nothing says what it was made with"
        if difference := former.difference(recipe):
            return difference
        return "" if is_source(case, output.source) else f"scan {case.name} was replaced"

    def _read(self) -> None:
        file = self.out / FILE
        if (state := state_of(file)) == self._state:
            return  # nobody else has written it: in a folder of many outputs, reading it takes as long as predicting
        data = {"recipes": {}, "outputs": {}} if state is None else read_json(file, schema=SCHEMA)
        self.recipes = _records(Recipe, data, "recipes", file)
        self.outputs = _records(Output, data, "outputs", file)
        self._state = state


@lru_cache(maxsize=1)
def _records_in(out: Path) -> MadeFrom:
    """The records of a folder, kept for the cases that this process predicts."""
    return MadeFrom(out)


def recipe_of(
    models: Sequence[TrainedModel], folds: Sequence[Any] | None, components: Mapping[str, int], **settings: Any
) -> Recipe:
    """The recipe of models, each with `folds`. settings: the other fields."""
    made = []
    for model in models:
        hashes = {str(fold): model.weights_sha256(fold) for fold in choose_folds(model, folds)}
        standing = model.standing()
        threshold = standing.threshold.value if standing.threshold else None
        validation = standing.validation.dice if standing.validation else None
        digest = model.plans.digest(model.config, model.model)
        name = f"{model.plans.dataset} {model.model}_{model.config}"
        made.append(Weights(name, digest, hashes, threshold, validation))
    return Recipe(tuple(made), components=dict(components), **settings)


def predict_and_record(
    predictor: ImagePredictor, case: InputCase, out: Path, recipe: Recipe, maps: tuple[bool, bool]
) -> Row:
    """As predict_case, with the label file's SHA-256 in the row.

    What the files are made from is noted before they lie in `out`: there is no file without its record, whenever the
    process is killed. Maps that were written before and not now are removed. maps: whether to save probabilities, and
    the variance.
    """
    if case.problem:
        raise case.problem
    part = out / temporary_name("outputs")
    part.mkdir()
    try:
        try:
            source = source_of(case)  # before it is read: another one that comes meanwhile is found the next time
        except (OSError, InputError):
            predict_case(predictor, case, part, *maps)  # says better what cannot be read
            raise
        row = predict_case(predictor, case, part, *maps)
        written = sorted(part.iterdir(), key=lambda file: (file.name == case.output, file.name))
        hashes = {file.name: file_sha256(file) for file in written}
        stale = _records_in(out).put(case.output, recipe, source, hashes)
        for file in written:
            flush(file)
            os.replace(file, out / file.name)
        for name, sha256 in stale.items():
            if (out / name).is_file() and file_sha256(out / name) == sha256:
                (out / name).unlink()
        flush(out)
        return row | {"sha256": hashes[case.output]}
    finally:
        shutil.rmtree(part, ignore_errors=True)


def source_of(case: InputCase) -> Source:
    files = _files(case)
    return Source(len(files), _bytes(files), files_sha256(files))


def is_source(case: InputCase, source: Source) -> bool:
    """Whether an output was made from the files of this case as they are now; unequal sizes need no reading."""
    try:
        files = _files(case)
        same_size = len(files) == source.files and _bytes(files) == source.bytes
        return same_size and files_sha256(files) == source.sha256
    except (OSError, InputError):  # that the files cannot be read is said by whoever predicts them
        return False


def _files(case: InputCase) -> list[Path]:
    return [file for path in case.files for file in stored_files(path)]


def _bytes(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _records(kind: type[Any], data: Any, name: str, file: Path) -> dict[str, Any]:
    found = data.get(name)
    if not isinstance(found, dict):
        raise InputError(f"{file}: {name}", "records", f"{found!r:.80}", "Correct it, or choose another folder.")
    return {key: from_dict(kind, value, f"{file}: {name}.{key}") for key, value in found.items()}


def _named(models: Sequence[Weights]) -> str:
    return " + ".join(
        f"{weights.model} fold{'s' * (len(weights.folds) > 1)} {' '.join(weights.folds)}" for weights in models
    )


def _told(value: object) -> str:
    return (
        ", ".join(f"{name} {count}" for name, count in value.items()) or "none"
        if isinstance(value, dict)
        else str(value)
    )
