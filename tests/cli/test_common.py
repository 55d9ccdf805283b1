"""How every command ends when a signal asks it to: nothing temporary stays, workers are gone, the code says which."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mednca_pipeline.cli.common import command_parser, run_command
from mednca_pipeline.execution.executors import open_executor
from mednca_pipeline.execution.work import Task, run
from mednca_pipeline.runtime.files import replacing, write_text

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


def quick(folder, name):
    write_text(folder / f"{name}.csv", "whole")


def slow(folder, name):
    """Is half done when it is asked to end."""
    with replacing(folder / f"{name}.csv") as temporary:
        temporary.write_text("half")
        (folder / f"{name}.pid").write_text(str(os.getpid()))
        for _ in range(600):
            time.sleep(0.1)


def command(folder, workers):
    """The command: a quick task, and more slow ones than there are workers."""
    tasks = [Task("quick", quick, (folder, "quick"))]
    tasks += [Task(name, slow, (folder, name)) for name in ("a", "b", "c", "d", "e")]
    parser = command_parser("mednca_test", "", "")
    parser.add_argument("-np", type=int)

    def action(arguments):
        with open_executor(arguments.np) as executor:
            for _ in run(tasks, executor):
                pass

    return run_command(parser, action, ["-np", str(workers)])


SCRIPT = """
import pathlib, signal, sys
from tests.cli.test_common import command
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[3] == "nohup" else signal.SIG_DFL)
if __name__ == "__main__":
    sys.exit(command(pathlib.Path(sys.argv[1]), int(sys.argv[2])))
"""


def started(tmp_path, workers, how=""):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    out = tmp_path / "out"
    out.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, str(script), str(out), str(workers), how],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.pid"))) < max(1, workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    return process, out


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


WITHOUT_SLOW = """
import sys
from importlib import import_module
code = import_module(f"mednca_pipeline.cli.{sys.argv[1]}").main(sys.argv[2:])
loaded = {"torch", "scipy", "monai", "pandas", "SimpleITK", "matplotlib", "nibabel.nifti1"} & set(sys.modules)
sys.exit(code if not loaded else f"imported {loaded}")
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train 99 0", "no dataset at all"),
        ("train 99 first", "expected a number such as 0"),
        ("train 99 0 --budget soon", "expected a time such as 90s"),
        ("crossval 99", "no dataset at all"),
        ("plan_and_preprocess -d 99", "no dataset at all"),
        ("check -d 99", "no dataset at all"),
        ("convert msd -i nowhere -d 3", "nothing there"),
        ("evaluate -p nowhere -l nowhere", "nothing there"),
        ("plot -i nowhere -p nowhere -o out", "nothing there"),
        ("predict -i nowhere -o out", "nothing there"),
    ],
)
def test_what_can_be_said_at_once_is_said_before_anything_slow_is_imported(tmp_path, words, said):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    command = [sys.executable, "-c", WITHOUT_SLOW, *words.split()]
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 2 and said in run.stderr, run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "workers", "code"), [("SIGTERM", 0, 143), ("SIGHUP", 0, 129), ("SIGINT", 0, 130), ("SIGTERM", 2, 143)]
)
def test_a_command_that_is_stopped_leaves_what_is_finished_and_nothing_else(tmp_path, name, workers, code):
    process, out = started(tmp_path, workers)
    process.send_signal(getattr(signal, name))
    said = process.communicate(timeout=30)[1]
    assert process.returncode == code
    assert "Traceback" not in said and ("Interrupted" if name == "SIGINT" else f"Stopped by {name}") in said
    workers = [int(file.read_text(encoding="utf-8")) for file in out.glob("*.pid")]
    assert not any(map(is_alive, workers))
    assert {path.name for path in out.iterdir() if path.suffix != ".pid"} == {"quick.csv"}


def test_nohup_keeps_a_command_alive(tmp_path):
    process, _ = started(tmp_path, 0, "nohup")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143


def test_a_reader_that_ends_early_is_no_fault():
    """As in `mednca_models | head`. The command waits until its reader has gone."""
    code = (
        "import sys, time; from mednca_pipeline.cli.common import command_parser, run_command\n"
        "def action(arguments):\n sys.stdin.readline(); print('x' * 100000, flush=True)\n"
        "sys.exit(run_command(command_parser('mednca_x', 'does', '  mednca_x'), action, []))"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", code], **pipes)
    process.stdout.close()
    process.stdin.write(b"gone\n")
    process.stdin.close()
    assert (process.stderr.read(), process.wait(timeout=60)) == (b"", 141)
    process.stderr.close()
