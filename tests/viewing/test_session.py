"""What the page is told, and that every address it is told is in the server's table."""

import json
from urllib.parse import unquote

import numpy as np
import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.viewing.page import page_files
from mednca_pipeline.viewing.review import ReviewCase
from mednca_pipeline.viewing.server import given
from mednca_pipeline.viewing.session import Offer, table_of

REGIONS = Labels(("whole", "core"), ((1, 2), (2,)), (1, 2))


@pytest.fixture
def page(tmp_path):
    folder = tmp_path / "page"
    (folder / "examples").mkdir(parents=True)
    for name in ("index.html", "session.json", "sw.js", "examples/phantom.mednca", "examples/phantom.nii.gz"):
        (folder / name).write_text(name)
    return folder


def test_the_page_without_what_a_served_page_has_no_use_for(page):
    table = page_files(page)
    assert set(table) == {"", "index.html", "examples/phantom.mednca", "examples/phantom.nii.gz"}
    assert table[""]() == page / "index.html"


def test_a_page_that_was_not_built_says_how_to_get_it(tmp_path):
    with pytest.raises(InputError, match="make web"):
        page_files(tmp_path)


def test_every_address_in_the_session_is_served(tmp_path, page):
    files = [tmp_path / f"a case {index}.nii.gz" for index in range(3)]
    model = tmp_path / "liver é.mednca"
    cases = [ReviewCase("a", files[:1], files[1:2], files[2:3], "review", "why", "0.2"), ReviewCase("b", files[:1])]
    table = table_of(Offer({"Dataset001 mednca_2d": given(model)}, cases, REGIONS), tmp_path, page)
    session = json.loads(table["session.json"]().read_text(encoding="utf-8"))
    assert session["served"] and session["classes"] == {"1": "whole", "2": "core"}
    assert session["example"] == {"model": "examples/phantom.mednca", "image": "examples/phantom.nii.gz"}
    (offered,) = session["models"]
    assert offered["name"] == "Dataset001 mednca_2d" and table[unquote(offered["url"])]() == model
    first, second = session["cases"]
    assert [table[unquote(first[kind])]() for kind in ("prediction", "image", "reference")] == files
    assert (first["flag"], first["reason"], first["quality"]) == ("review", "why", "0.2")
    assert second["image"] is None and second["reference"] is None


def test_names_do_not_lead_elsewhere(tmp_path, page):
    table = table_of(Offer({"../../etc": given(tmp_path)}), tmp_path, page)
    assert np.all([".." not in address.split("/") for address in table])
