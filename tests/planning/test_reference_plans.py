"""The committed plans are what the planner makes of the committed fingerprints."""

from pathlib import Path

import pytest

from mednca_pipeline.fingerprint.fingerprint import read_fingerprint
from mednca_pipeline.models.registry import read_plans
from mednca_pipeline.planning.planner import make_plans

PLANS = Path(__file__).resolve().parents[2] / "plans" / "reference"
NAMES = ("Dataset004_Hippocampus", "Dataset012_PROMISE12", "Dataset020_BUSI", "Dataset021_ChestXray")
FOLDERS = sorted({*(PLANS / name for name in NAMES), *(file.parent for file in PLANS.glob("*/fingerprint.json"))})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_committed_plans_are_rebuilt_from_their_fingerprint(folder):
    committed = read_plans(folder / "plans.json")
    rebuilt = make_plans(read_fingerprint(folder / "fingerprint.json"), committed.overrides, committed.memory_bytes)
    assert rebuilt == committed
