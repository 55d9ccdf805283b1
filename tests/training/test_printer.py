"""What a training says on the console."""

import pytest

from mednca_pipeline.execution import progress
from mednca_pipeline.models.registry import build_model, read_plans
from mednca_pipeline.training.printer import EpochPrinter, told
from mednca_pipeline.training.state import Spent, new_state
from mednca_pipeline.workspace import open_workspace

ROW = {"train_loss": 0.25, "hidden_magnitude": 3.0, "dice_liver": 0.5, "dice_spleen": float("nan"), "mean_dice": 0.5}


def test_an_epoch_names_its_classes_and_no_jargon():
    assert told(ROW) == "loss 0.250; Dice: liver 0.500, spleen -"


def test_where_the_time_went():
    spent = Spent(timing_s=18, training_s=546, epoch_ends_s=36, validation_s=24)
    assert str(spent) == "10 min: timing 18 s, training 9.1 min, epoch ends 36 s; validation 24 s"
    assert str(Spent(training_s=60)) == "1 min: training 1 min"


@pytest.fixture
def state(phantom_workspace):
    plans = read_plans(open_workspace(phantom_workspace).plans_file("Dataset001_Phantom"))
    made = new_state(build_model("mednca", plans, "2d"), plans.config("2d").model("mednca").training, 4)
    made.rows, made.iteration = [ROW], 4
    return made


def test_each_stage_speaks_where_nobody_sees_a_bar(state, monkeypatch, capsys):
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    with EpochPrinter(quiet=False) as printer:
        printer.begins("Timing", 25)
        printer.advances(5)
        printer.begins("Training", 4)
        printer.epoch(state)
        printer.begins("Predicting validation cases", 8)
        printer.advances(3)
    assert capsys.readouterr().out.splitlines() == [
        "Timing...",
        "Timing: 5 of 25",
        "Training...",
        "Training: 4 of 4; loss 0.250; Dice: liver 0.500, spleen -",
        "Predicting validation cases...",
        "Predicting validation cases: 3 of 8",
    ]
    with EpochPrinter(quiet=True) as printer:
        printer.begins("Timing", 25)
        printer.advances(5)
    assert capsys.readouterr() == ("", "")
