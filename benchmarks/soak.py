"""Thousands of damaged files and forged bundles, and 50 kills of each command, counted in results/benchmarks/soak.md.

python -m benchmarks.soak --seconds 1800 --kills 50
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.fuzz import Report, all_kinds, fuzz
from benchmarks.fuzz_bundles import Forged, fuzz_bundles
from benchmarks.kills import COMMANDS, Killed, kill_all, table
from mednca_pipeline.evaluation.provenance import provenance
from mednca_pipeline.runtime.files import write_text

PAGE = Path(__file__).parents[1] / "results" / "benchmarks" / "soak.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1800, help="of damaging files, and of forging bundles")
    parser.add_argument("--kills", type=int, default=50, help="of each command; 0 leaves them out")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, all_kinds(Path(folder)) as kinds:
        report = fuzz(kinds, arguments.seconds, arguments.seed)
    forged, killed = Forged(), dict[str, Killed]()
    write_page(arguments, report, forged, killed)
    forged = fuzz_bundles(arguments.seconds, arguments.seed)
    write_page(arguments, report, forged, killed)
    for command in COMMANDS if arguments.kills else ():
        killed |= kill_all(arguments.kills, arguments.seed, command.name)
        write_page(arguments, report, forged, killed)
    problems = [*report.failures, *forged.failures, *(problem for one in killed.values() for problem in one.problems)]
    for problem in problems[:40]:
        print(problem, file=sys.stderr)
    print(f"{report.total} damaged files, {forged.total} forged bundles, {len(problems)} problems: {PAGE}")
    return 1 if problems else 0


def write_page(arguments: argparse.Namespace, report: Report, forged: Forged, killed: dict[str, Killed]) -> None:
    commit = provenance()["commit"]
    command = f"python -m benchmarks.soak --seconds {arguments.seconds:g} --kills {arguments.kills}"
    text = [
        f"# Damaged files and killed commands\n\n`{command} --seed {arguments.seed}`, commit {commit}.\n",
        f"## Damaged files\n\n{report.total} files in {report.seconds:.0f} s, {len(report.failures)} failures. Other "
        "data are valid values that no checksum guards. The columns after it are failures.\n",
        report.table(),
        f"\n## Forged bundles\n\n{forged.total} bundles in {forged.seconds:.0f} s, {len(forged.failures)} failures. "
        "Hypothesis changed the values, members, sums, headers and bytes of a real one, and made most sums right "
        "again. Nothing but these outcomes is allowed.\n",
        forged.table(),
        "\n## Killed commands\n\nEach was killed (-9) at a random moment and run again. The results are compared with "
        f"those of an undisturbed run.\n\n{table(killed) if killed else 'Not run.'}",
    ]
    write_text(PAGE, "\n".join(text) + "\n")


if __name__ == "__main__":
    sys.exit(main())
