"""A package imports only packages below it, and nothing but the command line imports the planner."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "mednca_pipeline"
# From the bottom to the top. `execution` shares out any work, the check of a dataset too. `models` names code of
# `planning` and `inference` as text, in one table.
ORDER = (
    "runtime",
    "workspace",
    "device",
    "execution",
    "plans",
    "results",
    "datasets",
    "fingerprint",
    "models",
    "preprocessing",
    "evaluation",
    "planning",
    "inference",
    "deploy",
    "training",
    "crossval",
    "viewing",
    "phantom",
    "cli",
    "api",
    "demo",
)


def imports():
    """(importing package or module, imported one, file), of every import statement, those inside of functions too."""
    for file in sorted(ROOT.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom):
                continue
            if node.level:
                inside = parts[: len(parts) - node.level]
                target = [*inside, *(node.module.split(".") if node.module else [])]
            elif (node.module or "").split(".")[0] == ROOT.name:
                target = node.module.split(".")[1:]
            else:
                continue
            names = [target[0]] if target else [alias.name for alias in node.names]
            for name in names:
                if (ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file():
                    yield parts[0], name, file.relative_to(ROOT)


EDGES = sorted({(source, target, str(file)) for source, target, file in imports() if source != target})


def test_every_package_has_its_place():
    present = {path.stem for path in ROOT.iterdir() if path.suffix in ("", ".py") and not path.name.startswith("__")}
    assert present - {"py"} <= {*ORDER}, present - {*ORDER}
    assert len(EDGES) > 100


@pytest.mark.parametrize(("source", "target", "file"), EDGES, ids=lambda value: value)
def test_imports_point_downwards(source, target, file):
    if source == "__init__":
        return  # the package's door opens all rooms
    assert ORDER.index(target) < ORDER.index(source), f"{file}: {source} lies below {target}"


def test_only_commands_import_the_planner():
    assert {source for source, target, _ in EDGES if target == "planning"} == {"cli", "api"}


def test_every_name_in_the_table_of_models_is_there():
    from mednca_pipeline.models.registry import MODELS, resolved

    for model in MODELS.values():
        for code in filter(None, (model.planner, model.network, model.predictor, model.light)):
            assert callable(resolved(code)), code
