"""The JSON schemas in the docs are those of the code."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "schemas" / "make_schemas.py"


def script():
    spec = importlib.util.spec_from_file_location("make_schemas", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_schemas_are_of_the_present_dataclasses():
    made = script()
    assert len(made.FILES) == len(list(made.FOLDER.glob("*.json")))
    for name in made.FILES:
        committed = (made.FOLDER / name).read_text(encoding="utf-8")
        assert committed == made.text(name), f"run python {SCRIPT.relative_to(ROOT)}"


def test_choices_and_needed_fields_are_in_it():
    schema = script().plans_schema()
    training = schema["$defs"]["TrainingPlan"]
    assert training["properties"]["optimiser"] == {"enum": ["muon", "adam"]}
    assert "batch_size" in training["required"] and "mirror_axes" not in training["required"]
    assert set(schema["$defs"]["ConfigPlan"]["properties"]["models"]["properties"]) >= {"mednca", "unet_small"}
