"""Whether a change changes no bit of a training: trains with another commit and with this one, and compares.

    python -m benchmarks.same_weights COMMIT --raw ../ws/raw --dataset 4 --iterations 200

Both preprocess and train fold 0 in folders of their own, with the plan that COMMIT makes, from the same raw dataset and
seed, on this machine: a digest kept in the repository would also change with the processor. Exits with 1 where weights
differ.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", help="to compare with, such as HEAD~10")
    parser.add_argument("--raw", type=Path, required=True, help="folder of raw datasets")
    parser.add_argument("--dataset", default="4")
    parser.add_argument("--models", nargs="+", default=["mednca", "unet_small"])
    parser.add_argument("--iterations", type=int, default=200)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        subprocess.run(["git", "worktree", "add", "-q", "--detach", before, arguments.commit], cwd=HERE, check=True)
        try:
            first, second = Path(folder) / "first", Path(folder) / "second"
            digests = [_digests(before, first, arguments), _digests(HERE, second, arguments, planned=first)]
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", before], cwd=HERE, check=True)
    same = True
    for model in arguments.models:
        old, new = (each[model] for each in digests)
        same &= old == new
        print(f"{model}: {arguments.commit} {old[:16]}, this {new[:16]}: {'same' if old == new else 'DIFFERENT'}")
    return 0 if same else 1


def _digests(code: Path, workspace: Path, arguments: argparse.Namespace, planned: Path | None = None) -> dict[str, str]:
    """SHA-256 of each model's final weights, as `code` trains them in `workspace`.

    planned: a workspace whose plan is taken instead of that of `code`.
    """
    workspace.mkdir()
    (workspace / "raw").symlink_to(arguments.raw.resolve())
    # Until November 2026, what prediction needs was a distribution of its own, in runtime/.
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(code), str(code / "runtime"))),
        "MEDNCA_ROOT": str(workspace),
    }
    digests = {}
    for command in [
        ["plan_and_preprocess", "-d", arguments.dataset],
        *(
            ["train", arguments.dataset, "fold0", "--model", model, "--iterations", str(arguments.iterations)]
            for model in arguments.models
        ),
    ]:
        module = [sys.executable, "-m", f"mednca_pipeline.cli.{command[0]}", *command[1:]]
        done = subprocess.run(module, cwd=code, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{code}: {' '.join(command)} failed:\n{done.stderr}")
        if planned and command[0] == "plan_and_preprocess":
            for file in planned.glob("plans/*/plans.json"):
                shutil.copy(file, workspace / file.relative_to(planned))
    for model in arguments.models:
        (weights,) = workspace.glob(f"results/*/{model}_*/fold_0/final.safetensors")
        digests[model] = hashlib.sha256(weights.read_bytes()).hexdigest()
    return digests


if __name__ == "__main__":
    sys.exit(main())
