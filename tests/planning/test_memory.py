from mednca_pipeline.planning.memory import largest_batch


def test_batch_is_halved_until_it_fits_what_the_process_leaves():
    assert largest_batch(8, 4_000_000_000, lambda batch: batch * 1_000_000_000) == 2
    assert largest_batch(8, 20_000_000_000, lambda batch: batch * 1_000_000_000) == 8
    assert largest_batch(8, 600_000_000, lambda batch: batch * 1_000_000_000) == 1
