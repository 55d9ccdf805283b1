"""Writes comparison.csv, comparison_pairs.csv, comparison.md and comparison.png."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..evaluation.colours import class_colours
from ..evaluation.metrics import POLICY
from ..evaluation.provenance import provenance
from ..execution.terminal import duration
from ..runtime.files import write_text
from ..runtime.labels import Labels
from ..runtime.quality import FOREGROUND
from .collect import ModelResults
from .comparison import COMPARED, LEAST_SHARE, Comparison, compare
from .figures import comparison_figure
from .statistics import BOOTSTRAP_RESAMPLES, BOOTSTRAP_SEED

_TITLES = {"dice": "Dice", "hd95": "HD95", "nsd": "NSD"}


def write_comparison(
    folder: Path, dataset: str, models: Sequence[ModelResults], command: str, labels: Labels | None = None
) -> list[Path]:
    """Writes the comparison of `models` into `folder` (results/<dataset>) and returns the files' paths.

    command: the command line that asked for it, quoted in the table. labels: give the classes their colours.
    """
    comparison = compare(models)
    files = [folder / f"comparison{ending}" for ending in (".csv", "_pairs.csv", ".md", ".png")]
    write_text(files[0], _csv(comparison.rows))
    write_text(files[1], _csv(comparison.pairs))
    write_text(files[2], comparison_markdown(dataset, models, comparison, command))
    comparison_figure(
        files[3], dataset, [results for results in models if results.folds], class_colours(labels) if labels else None
    )
    return files


def comparison_markdown(dataset: str, models: Sequence[ModelResults], comparison: Comparison, command: str) -> str:
    """The tables as Markdown, with what is missing first and the origin last."""
    parts = [f"# {dataset}: models compared on out-of-fold cases\n"]
    sentences = [*(f"**Warning:** {warning}" for warning in comparison.warnings), *comparison.notes]
    if sentences:
        parts.append("**Read this first**\n\n" + "\n".join(f"- {each.removesuffix('.')}." for each in sentences) + "\n")
    parts.append(_accuracy_table(comparison))
    parts.append(_cost_table(comparison))
    if comparison.pairs:
        parts.append(_pair_table(comparison))
    parts.append(_origin(models, command))
    return "\n".join(parts)


def _accuracy_table(comparison: Comparison) -> str:
    rows = [
        [
            row["model"],
            row["class"],
            row["cases"],
            row["folds"] + (f" (missing {row['missing_folds']})" if row["missing_folds"] else ""),
            *(_spread(row, metric) for metric in COMPARED),
            f"{row['dice_raw_mean']:.4f}, {row['hd95_raw_mean']:.2f}, {row['nsd_raw_mean']:.4f}",
        ]
        for row in comparison.rows
    ]
    header = ["model", "class", "cases", "folds", "Dice", f"HD95 ({comparison.distance_unit})", "NSD"]
    kept = {row["model"]: row["components"] or "all components" for row in comparison.rows}
    caption = (
        f'Mean ± sd over cases [95 % bootstrap interval of the mean]. "{FOREGROUND}" is all classes merged. '
        "Predictions are measured as mednca_predict writes them by default. It keeps "
        + "; ".join(f"{components} ({name})" for name, components in kept.items())
        + '. "Raw" are the means of Dice, HD95 and NSD before components are removed.\n\n'
    )
    return "## Accuracy\n\n" + caption + _table([*header, "raw"], rows)


def _cost_table(comparison: Comparison) -> str:
    rows = [
        [
            row["model"],
            _number(row["parameters"], "{:,.0f}"),
            _number(row["file_bytes"] / 1024, "{:,.0f}"),
            "–" if math.isnan(row["training_minutes"]) else duration(60 * row["training_minutes"]),
            _number(row["seconds_per_case"], "{:.2f}"),
            _number(row["peak_memory_bytes"] / 2**20, "{:,.0f}"),
            _schedule(row),
        ]
        for row in {row["model"]: row for row in comparison.rows}.values()
    ]
    header = ["model", "parameters", "weights file (KiB)", "training per fold", "inference (s per case)"]
    caption = (
        "Schedule: iterations of those that the plan's schedule has on the machine that trained, in the fold that got "
        f"least. Models below {LEAST_SHARE:.0%} are compared without significance.\n\n"
    )
    return "## Cost\n\n" + caption + _table([*header, "peak memory (MiB)", "schedule"], rows)


def _pair_table(comparison: Comparison) -> str:
    rows = [
        [
            _TITLES[pair["metric"]],
            pair["class"],
            f"{pair['first']} – {pair['second']}",
            pair["cases"],
            f"{pair['mean_difference']:+.4f}",
            f"{pair['wins_first']} / {pair['wins_second']} / {pair['ties']}",
            _number(pair["p_wilcoxon"], "{:.2g}"),
            _number(pair["p_holm"], "{:.2g}"),
        ]
        for pair in comparison.pairs
    ]
    header = ["metric", "class", "models", "common cases", "mean difference", "wins / losses / ties", "p", "p (Holm)"]
    caption = (
        "Two-sided Wilcoxon signed-rank test on the cases that both models have (equal pairs dropped); Holm's "
        "correction over all classes and pairs of a metric. Wins are cases in which the first model is better.\n\n"
    )
    return "## Paired comparison\n\n" + caption + _table(header, rows)


def _origin(models: Sequence[ModelResults], command: str) -> str:
    origin = provenance()
    lines = [
        f"- Table: `{command}`",
        f"- Commit {origin['commit']}, {origin['date']}, Python {origin['python']}; {origin['machine']}",
        f"- Bootstrap: percentile method, {BOOTSTRAP_RESAMPLES} resamples, seed {BOOTSTRAP_SEED}",
        f"- Metrics: {POLICY}",
    ]
    for results in models:
        if results.measured_with:
            lines.append(f"- {results.name}: the components to keep were chosen on the cases of these tables")
        if results.members:
            commands = dict.fromkeys(fold.run.command for fold in results.folds)
            lines.append(
                f"- {results.name}: the mean of the models' probabilities, fold by fold; parameters, file and training "
                f"are their sums (by {', '.join(f'`{each}`' for each in commands)})"
            )
            continue
        for fold in results.folds:
            run = fold.run
            lines.append(
                f"- {results.name} fold {fold.fold}: `{run.command}`, seed {run.seed}, {run.iterations} iterations, "
                f"{run.device}, {run.threads} threads, plans {run.digest}"
            )
    return "## Origin\n\n" + "\n".join(lines) + "\n"


def _spread(row: Mapping[str, Any], metric: str) -> str:
    digits = 2 if metric == "hd95" else 4
    mean, sd, low, high = (row[f"{metric}_{part}"] for part in ("mean", "sd", "ci_low", "ci_high"))
    if math.isnan(low):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {sd:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _schedule(row: Mapping[str, Any]) -> str:
    if math.isnan(row["schedule_percent"]):
        return "–"
    return f"{row['iterations']:,} of {row['planned_iterations']:,} ({math.floor(row['schedule_percent'])} %)"


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else form.format(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as CSV; NaN is written as an empty field."""
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        empty = {key: "" for key, value in row.items() if isinstance(value, float) and math.isnan(value)}
        writer.writerow({**row, **empty})
    return text.getvalue()
