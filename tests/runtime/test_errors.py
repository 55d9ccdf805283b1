"""The rendering of errors, and faults of the environment."""

import errno
import os
import pickle

import pytest

from mednca_pipeline.runtime.errors import InputError, correctable


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            InputError("a.json: fold", "a number", "'x'", "Correct it."),
            "a.json: fold: expected a number, found 'x'. Correct it.",
        ),
        (InputError("scan.nii", expected="three axes"), "scan.nii: expected three axes."),
        (
            InputError("scan.nii", found="no space left", remedy="Free some."),
            "scan.nii: found no space left. Free some.",
        ),
        (InputError(expected="a", found="b"), "Expected a, found b."),
        (InputError("No cases in raw", remedy="Convert some."), "No cases in raw. Convert some."),
        (InputError("Interrupted!"), "Interrupted!"),
        (InputError("s", "one", "two:\n  a\n  b", "Choose."), "s: expected one, found two:\n  a\n  b\nChoose."),
    ],
)
def test_what_is_not_given_is_left_out(error, text):
    assert str(error) == text
    assert str(pickle.loads(pickle.dumps(error))) == text  # between processes


def test_an_error_knows_where_it_is_inside_of():
    inner = InputError("label.nii", "values 0, 1", "7", "Correct them.").at("Case 3")
    assert (inner.where, inner.found) == ("Case 3: label.nii", "7")
    assert str(inner) == "Case 3: label.nii: expected values 0, 1, found 7. Correct them."


@pytest.mark.parametrize(
    ("number", "found"),
    [
        (errno.EACCES, "no permission"),
        (errno.ENOSPC, "no space left"),
        (errno.ENAMETOOLONG, "too long"),
        (errno.EIO, ""),
    ],
)
def test_faults_of_the_environment_have_path_and_cause(number, found):
    error = correctable(OSError(number, "as the system says", "/data/out"))
    assert error.where == "/data/out" and found in error.found
    assert (error.found == "as the system says") == (number == errno.EIO)


@pytest.mark.parametrize(
    ("module", "extra"),
    [("scipy.ndimage", "train"), ("SimpleITK", "formats"), ("distributed", "cluster"), ("onnx", "onnx")],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(module, extra):
    error = correctable(ModuleNotFoundError(f"No module named '{module}'", name=module))
    assert isinstance(error, InputError) and error.expected == module.partition(".")[0]
    assert f"mednca_pipeline[{extra}]" in error.remedy


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shapes differ"),
        ModuleNotFoundError("No module named 'mednca_pipeline.gone'", name="mednca_pipeline.gone"),
        InputError("a.nii", found="nothing"),
    ],
)
def test_what_the_environment_did_not_cause_stays_as_it_is(error):
    assert correctable(error) is error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 4.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory."),
    ],
)
def test_too_little_memory_is_told_with_what_was_asked_for(error):
    told = correctable(error)
    assert isinstance(told, InputError) and told.__cause__ is error
    assert told.found.startswith("too little memory") and str(error) in told.found and "-np 0" in told.remedy


def test_a_name_that_a_library_cannot_encode_is_the_users_to_change():
    with pytest.raises(UnicodeEncodeError) as caught:
        os.fsdecode(b"caf\xe9.png").encode()
    assert str(correctable(caught.value)) == "caf\\udce9.png: expected a name in UTF-8, found other bytes. Rename it."
