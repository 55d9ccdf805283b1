import pytest

from mednca_pipeline.cli.train import main as train_main

from ..phantom_workspaces import linked_workspace
from .trainings import BEGIN, arguments


@pytest.fixture
def root(phantom_workspace, tmp_path):
    """A workspace of its own for a training of the phantoms."""
    return linked_workspace(phantom_workspace, tmp_path)


@pytest.fixture(scope="session")
def uninterrupted(phantom_workspace):
    """The workspace of a finished training, which tests leave as it is."""
    assert train_main(arguments(phantom_workspace, *BEGIN)) == 0
    return phantom_workspace
