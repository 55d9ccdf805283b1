"""Result tables on the terminal."""

import math

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..crossval.comparison import Comparison
from ..execution.terminal import duration
from ..results.summary import Summary
from ..runtime.listing import counted
from .findings import plain


def comparison_table(comparison: Comparison) -> Group:
    """Two tables that fit 80 columns: accuracy per model and class, and what each model cost. Warnings come first."""
    warnings = [Text(f"warning: {warning}.", style="bold yellow") for warning in comparison.warnings]
    accuracy = _narrow_table()
    accuracy.title = "Out-of-fold cases as mednca_predict writes them, mean ± sd"
    accuracy.add_column("model", no_wrap=True)
    accuracy.add_column("class")
    for title in ("cases", "Dice", f"HD95 ({comparison.distance_unit})", "NSD"):
        accuracy.add_column(title, justify="right", no_wrap=True)
    costs = _narrow_table()
    costs.add_column("model", no_wrap=True)
    costs.add_column("folds")
    for title in ("parameters", "time/fold", "s/case", "schedule"):
        costs.add_column(title, justify="right", no_wrap=True)
    models = {row["model"]: row for row in comparison.rows}
    for row in comparison.rows:
        accuracy.add_row(
            plain(_in_lines(row["model"])),
            plain(row["class"]),
            str(row["cases"]),
            _spread(row["dice_mean"], row["dice_sd"], 3),
            _spread(row["hd95_mean"], row["hd95_sd"], 1),
            _spread(row["nsd_mean"], row["nsd_sd"], 3),
        )
    for name, row in models.items():
        costs.add_row(
            plain(_in_lines(name)),
            row["folds"] + (" (incomplete)" if row["missing_folds"] else ""),
            f"{row['parameters']:,.0f}",
            _time(60 * row["training_minutes"]),
            f"{row['seconds_per_case']:.2f}",
            "–" if math.isnan(row["schedule_percent"]) else f"{math.floor(row['schedule_percent'])} %",
        )
    return Group(*warnings, accuracy, costs)


def summary_table(summary: Summary) -> Table:
    """One line per class. Where a class is absent from a case's two masks, a column has nnU-Net's mean beside ours."""
    units, nnunet, applied = summary.units, summary.mean_nnunet, summary.policy_applied or {}
    absent = nnunet and any(counts["empty_in_both"] for counts in applied.values())
    count = len(summary.cases)
    of = f"{count} of {count + len(summary.missing)} with a reference" if summary.missing else counted(count, "case")
    table = Table(title=f"{of}, mean ± sd" if count > 1 else of)
    table.add_column("class")
    tolerance = f"{units.nsd_tolerance:g} {units.distance}"
    for title in ("Dice", f"HD95 ({units.distance})", f"NSD at {tolerance}"):
        table.add_column(title, justify="right", no_wrap=True)
    if absent:
        table.add_column("nnU-Net Dice", justify="right")
        table.caption = "Absent from both masks of a case: Dice 1 here, left out by nnU-Net."
    for name, mean in summary.mean.items():
        sd = summary.sd[name] if count > 1 else dict.fromkeys(mean, math.nan)
        table.add_row(
            plain(name),
            _spread(mean["dice"], sd["dice"], 4),
            _spread(mean["hd95"], sd["hd95"], 2),
            _spread(mean["nsd"], sd["nsd"], 4),
            *([_known(nnunet[name]["dice"])] if nnunet and absent else []),
        )
    return table


def _time(seconds: float) -> str:
    return "–" if math.isnan(seconds) else duration(seconds)


def _known(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"


def _narrow_table() -> Table:
    return Table(title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)


def _in_lines(model: str) -> str:
    """The models of an ensemble one below the other."""
    return model.replace(" + ", " +\n")


def _spread(mean: float, sd: float, digits: int) -> str:
    return f"{mean:.{digits}f}" if math.isnan(sd) else f"{mean:.{digits}f} ± {sd:.{digits}f}"
