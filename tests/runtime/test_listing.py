from mednca_pipeline.runtime.listing import listed


def test_only_the_first_names_are_listed():
    assert listed(["a", "b"], 2) == "a, b"
    assert listed([1, 2, 3], 2) == "1, 2, ..."
    assert listed([]) == ""
