"""Names that become parts of paths, and names that are printed."""

import logging

import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.names import check_name, check_text
from mednca_pipeline.runtime.printing import PrintableFormatter, printable


@pytest.mark.parametrize("name", ["case_1", "Größe 測試", "a.b-c (2)", "=1", "[x]"])
def test_usual_names_stay_as_they_are(name):
    assert check_name("x", name) == printable(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".x", "a/b", "../a", "/a", "a\\b", "a\0", "a\x1b[2J", "\udcff", None, 3]
)
def test_names_that_lead_elsewhere_or_spoil_a_terminal_are_refused(name):
    with pytest.raises(InputError, match="^splits.json: a: ") as caught:
        check_name("splits.json: a", name)
    assert str(caught.value).isprintable()


def test_texts_may_have_slashes_and_no_control_characters():
    assert check_text("x", "T1/T2 ratio") == "T1/T2 ratio"
    with pytest.raises(InputError, match="control"):
        check_text("x", "a\x07")


def test_what_a_terminal_obeys_is_printed_as_escapes():
    assert printable("a\x1b[2J\r\n\u202eb\udcff") == "a\\x1b[2J\\r\\n\\u202eb\\udcff"
    assert printable("a\n\x07", keep="\n") == "a\n\\x07"


def test_errors_and_logs_are_printable():
    error = InputError("a\x1b[2J", "b\x1b", "c\n  d\x1b", "e\x1b")
    assert "\x1b" not in str(error) and "\n" in str(error)
    record = logging.LogRecord("x", logging.INFO, "x", 1, "read %s", ("a\x1b[2J",), None)
    assert PrintableFormatter("%(message)s").format(record) == "read a\\x1b[2J"
