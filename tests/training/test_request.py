"""What is asked of a training is refused before torch is loaded."""

import subprocess
import sys

import pytest

from mednca_pipeline.cli.train import main
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.training.options import TrainingOptions
from mednca_pipeline.training.request import check_trainable, check_validatable, resolve
from mednca_pipeline.workspace import open_workspace


def test_the_modules_that_refuse_load_no_torch():
    modules = "mednca_pipeline.training.request, mednca_pipeline.crossval.work, mednca_pipeline.planning.run"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_not_there_is_neither_continued_nor_validated(phantom_workspace):
    workspace = open_workspace(phantom_workspace)
    asked = resolve(workspace, TrainingOptions("1", 0, "unet", "2d", resume=True))
    with pytest.raises(InputError, match="the checkpoint of a training to continue, found no such file"):
        check_trainable(asked)
    with pytest.raises(InputError, match="Train this fold before validating it"):
        check_validatable(asked)
    with pytest.raises(InputError, match="expected one of the folds 0 to"):
        resolve(workspace, TrainingOptions("1", 17))


def test_the_command_says_so_before_it_loads_torch(phantom_workspace, capsys):
    assert main(["1", "0", "-m", "unet_2d", "--continue", "--root", str(phantom_workspace)]) == 2
    assert "Loading torch" not in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"device": "gpu"}, {"workers": -1}, {"threads": 0}, {"iterations": 0}])
def test_options_are_checked_where_they_enter(wrong):
    with pytest.raises(InputError):
        TrainingOptions("1", 0, **wrong)
