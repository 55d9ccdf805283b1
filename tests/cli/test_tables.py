"""Tables in the terminal."""

import re
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from mednca_pipeline.cli.fitting import print_table
from mednca_pipeline.cli.tables import comparison_table
from mednca_pipeline.crossval.collect import collect_results
from mednca_pipeline.crossval.comparison import compare
from mednca_pipeline.runtime.files import read_json, write_json

from ..crossval.made_results import SPLITS, fold, two_models


def test_terminal_table_fits_80_columns_without_cutting_names(tmp_path, capsys):
    results = two_models(tmp_path)
    fold(results, "mednca_paper_2d", 0, {case: 0.5 for case in "abc"})
    models = collect_results(results, SPLITS[:2])
    models.append(
        replace(models[0], name="mednca_paper_2d + unet_small_2d", members=("mednca_paper_2d", "unet_small_2d"))
    )
    file = results / "mednca_paper_2d" / "fold_0" / "run.json"
    write_json(file, {**read_json(file), "planned_iterations": 300})
    Console(width=80).print(comparison_table(compare(collect_results(results, SPLITS[:2]) + models[-1:])))
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert re.search("unet_small_2d +organ", shown)
    assert "0.825 ± 0.019" in shown
    assert "0 (incomplete)" in shown
    assert re.search(r"mednca_paper_2d +0 \(incomplete\) .* 33 %", shown) and re.search(
        r"unet_small_2d +0 1 .* –", shown
    )
    assert shown.index("warning: mednca_paper_2d got 33 % of its planned") < shown.index("Out-of-fold cases")


def test_a_table_that_is_too_wide_becomes_a_paragraph_for_each_row(capsys):
    table = Table(title="a title")
    for header in ("model", "Dice", "note"):
        table.add_column(header, no_wrap=True)
    table.add_row("mednca_2d", "0.875 ± 0.012", "")
    table.add_row("unet_small_2d", "0.880 ± 0.010", "trained for less than half of its plan")
    print_table(Console(width=40), table)
    assert capsys.readouterr().out.splitlines() == [
        "a title",
        "mednca_2d; Dice: 0.875 ± 0.012",
        "unet_small_2d; Dice: 0.880 ± 0.010;",
        "  note: trained for less than half of",
        "  its plan",
    ]
    print_table(Console(width=100), table)
    assert "┃" in capsys.readouterr().out
