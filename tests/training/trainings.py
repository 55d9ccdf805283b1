"""Short trainings of the phantom dataset by mednca_train, and what they leave."""

import os
import signal

import torch
from safetensors.torch import load_file

from mednca_pipeline.training import loop

ITERATIONS, SEED = 12, 3
BEGIN = ("--iterations", str(ITERATIONS), "--seed", str(SEED))


def arguments(root, *more):
    return ["1", "fold0", "--root", str(root), "-np", "0", "--quiet", *more]


def fold_folder(root, model="mednca", config="2d", number=0):
    return root / "results" / "Dataset001_Phantom" / f"{model}_{config}" / f"fold_{number}"


def weights(root, model="mednca"):
    return load_file(fold_folder(root, model) / "final.safetensors")


def assert_same_bits(expected, found):
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def interrupt_at(number, sent=signal.SIGTERM):
    """A train_step that sends this process a signal during its call `number`."""
    real, calls = loop.train_step, []

    def step(*args):
        calls.append(1)
        if len(calls) == number:
            os.kill(os.getpid(), sent)
        return real(*args)

    return step


def explode_at(number):
    """A train_step whose call `number` has a loss that is not a number."""
    real, calls = loop.train_step, []

    def step(*args):
        calls.append(1)
        loss, magnitude = real(*args)
        return (float("nan"), magnitude) if len(calls) == number else (loss, magnitude)

    return step
