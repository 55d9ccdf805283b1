"""What README and docs/ say is so: links, commands, options, constants, tests, and promises about the code."""

import argparse
import ast
import dataclasses
import importlib
import importlib.util
import re
import shlex
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from mednca_pipeline.inference.network import Asked
from mednca_pipeline.models.registry import build_model, read_plans
from mednca_pipeline.models.weights import save_weights
from mednca_pipeline.runtime.outline import Outline
from mednca_pipeline.runtime.quality import Deviation
from mednca_pipeline.runtime.weights import read_weights

from .commands import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = [
    path for folder in ("mednca_pipeline", "dataset_conversion") for path in sorted((ROOT / folder).rglob("*.py"))
]
COMPLAINTS = 28


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@lru_cache
def parser_of(module: str) -> argparse.ArgumentParser:
    """The parser that a command builds, caught at the moment when it would parse."""

    class Caught(Exception):
        pass

    def catch(parser, *_):
        raise Caught(parser)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", catch)
        try:
            importlib.import_module(module).main([])
        except Caught as caught:
            return caught.args[0]
    raise AssertionError(f"{module} parses nothing")


def options_of(module: str) -> set[str]:
    return {option for action in parser_of(module)._actions for option in action.option_strings}


def module_of(words: list[str]) -> str | None:
    """The module of the first command in a line of words, or None where there is none."""
    for index, word in enumerate(words):
        if word.removeprefix("mednca_") in COMMANDS and word.startswith("mednca_"):
            return f"mednca_pipeline.cli.{word.removeprefix('mednca_')}"
        if word == "-m" and words[index + 1 : index + 2] and words[index + 1].startswith("mednca_pipeline."):
            return words[index + 1]
    return None


def command_lines(text: str) -> list[str]:
    """The commands of a page: lines of its code blocks, and pieces of inline code that begin like one."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    inline = [code for code in re.findall(r"`([^`\n]+)`", prose) if re.match(r"(mednca_\w+|python -m) ", code)]
    return [line.removeprefix("$ ") for line in (*lines, *inline)]


def heading_anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_relative_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    broken = []
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in heading_anchors(file)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_and_options_on_the_page_exist(page):
    unknown = []
    for line in command_lines(page.read_text(encoding="utf-8")):
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # no shell line
            continue
        module = module_of(words)
        if module is None or words[0] not in ("python", "nohup", "time") and not words[0].startswith("mednca_"):
            continue
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)} - {"-m"}
        known = options_of(module) | ({"-m"} if words[0] == "python" else set())
        unknown += [f"{line}: {option}" for option in sorted(given - known)]
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_command_that_a_page_names_exists(page):
    """A word such as mednca_something is a command, one of the packages and models, or a mistake."""
    others = {"pipeline", "runtime", "paper", "demo", "2d", "3d", "*"}
    words = set(re.findall(r"\bmednca_([a-z0-9_]+)\b", page.read_text(encoding="utf-8")))
    assert words - others - set(COMMANDS) - {"paper_2d", "paper_3d"} == set()


def option_rows(section: str) -> list[tuple[list[str], str]]:
    """(options, meaning) of each row of a section of the commands' reference."""
    text = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL))
    rows = [row.split("|") for row in sections[section].splitlines() if row.startswith("| `-")]
    return [(re.findall(r"`(--?[\w-]+)`", row[1]), "|".join(row[2:])) for row in rows]


def default_of(action: argparse.Action) -> str:
    """The default of an option; where the code chooses one later, that in its help: "(default: 4GB, less on ...)"."""
    if action.default is None:
        stated = re.search(r"\(default: ([^\s,;)]+)", action.help)
        return stated[1] if stated else ""
    return " ".join(action.default) if isinstance(action.default, (list, tuple)) else str(action.default)


EVERY_COMMAND = [*(f"mednca_{name}" for name in COMMANDS), "python -m mednca_pipeline.demo"]


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_reference_names_every_option_of_a_command_and_no_other(command):
    rows = [*option_rows(command), *option_rows("Options of every command")]
    documented = {option for options, _ in rows for option in options}
    assert documented == options_of(module_of(command.split()))


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_defaults_of_the_reference_are_those_of_the_commands(command):
    """A default that is a value is stated without a colon: (default 5); one that is explained has one."""
    actions = parser_of(module_of(command.split()))._option_string_actions
    wrong = []
    for options, meaning in option_rows(command):
        stated = re.search(r"\bdefault (?:`([^`]+)`|([^\s,:;)]+))", meaning)
        if stated and (stated[1] or stated[2]) != default_of(actions[options[0]]):
            wrong.append(f"{options[0]}: {stated[0]}, the command says {default_of(actions[options[0]])!r}")
    assert not wrong


def test_constants_of_the_planner_page_are_those_of_the_code():
    text = (ROOT / "docs" / "reference" / "planner.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)\.(\w+)` \| `(.+)` \|$", text, flags=re.MULTILINE)
    assert len(rows) > 30
    wrong = []
    for module, name, stated in rows:
        value = getattr(importlib.import_module(f"mednca_pipeline.planning.{module}"), name)
        value = dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
        if ast.literal_eval(stated) != value:
            wrong.append(f"{module}.{name} is {value!r}, the page says {stated}")
    assert not wrong


def test_memory_of_a_process_is_stated_as_in_the_code():
    from mednca_pipeline.planning.memory import PROCESS_BYTES

    for page in ("reference/planner.md", "how-to/small-machines.md"):
        assert f"{PROCESS_BYTES // 10**6} MB" in (ROOT / "docs" / page).read_text(encoding="utf-8")


def test_tutorial_shows_the_decisions_of_the_committed_plan():
    plans = read_plans(ROOT / "plans" / "reference" / "Dataset004_Hippocampus" / "plans.json")
    decided = [(made.name, made.value, made.because) for made in plans.decisions if made.config == "2d"]
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| ([^|-]+) \| ([^|]+) \| ([^|]+) \|$", text, flags=re.MULTILINE)[1:]
    assert shown == decided


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_tests_that_a_page_names_exist(page):
    missing = []
    for file, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", page.read_text(encoding="utf-8")):
        path = ROOT / file
        if not (path.is_file() and re.search(rf"^ *def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE)):
            missing.append(f"{file}::{name}")
    assert not missing


def test_every_known_fault_has_an_answer_with_a_place():
    text = (ROOT / "docs" / "known-faults.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (\d+)\. ", text, flags=re.MULTILINE)[1:]
    answers = dict(zip(map(int, parts[::2]), parts[1::2], strict=True))
    assert len(answers) > COMPLAINTS and list(answers) == list(range(1, len(answers) + 1))
    for number, answer in answers.items():
        assert re.search(r"tests/[\w/]+\.py::\w+|\]\(|Not yet", answer), f"part {number} names no place"


def test_readme_has_the_five_lines_as_they_are_promised():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    promised = [
        "mednca_convert msd -i ../shared/data/Task04_Hippocampus -d 4",
        "mednca_plan_and_preprocess -d 4",
        "mednca_train 4 fold0",
        "mednca_crossval 4",
        "mednca_predict -i in -o out",
    ]
    start = lines.index(promised[0])
    assert lines[start : start + 5] == promised


@pytest.fixture
def figure_script(monkeypatch):
    """Loads a script of docs/figures by its name."""

    def load(name: str):
        spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "figures" / f"{name}.py")
        script = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, script)  # its dataclasses look themselves up there
        spec.loader.exec_module(script)
        return script

    return load


def test_figure_shows_every_level_of_a_plan(phantom_workspace, tmp_path, figure_script):
    script = figure_script("draw_med_nca")
    plans = script.read_plans(phantom_workspace / "plans" / "Dataset001_Phantom" / "plans.json")
    model = script.build_model("mednca", plans, "2d").eval()
    image, origin = script.phantom_slice(plans, model)
    views = script.level_views(model, image, origin)
    grids = [tuple(s // f for s, f in zip(image.shape[2:], level.factor, strict=True)) for level in model.plan.levels]
    assert [view.hidden.shape for view in views] == grids
    assert [view.box is None for view in views] == [
        level.patch is None or tuple(level.patch) == grid for level, grid in zip(model.plan.levels, grids, strict=True)
    ]
    script.draw(plans, views, trained=False).savefig(tmp_path / "figure.png")


def test_figure_of_the_outline_shows_the_cells_that_each_level_computes(phantom_workspace, tmp_path, figure_script):
    script = figure_script("draw_outline")
    plans = read_plans(phantom_workspace / "plans" / "Dataset001_Phantom" / "plans.json")
    weights, plan = tmp_path / "final.safetensors", plans.config("2d").models["mednca"]
    torch.manual_seed(0)
    save_weights(weights, build_model("mednca", plans, "2d"))
    network = script.LightNetwork(
        read_weights(weights), plans, "2d", dataclasses.replace(plan, outline=Outline(eps=0.9, halo=0))
    )
    image = np.random.default_rng(0).standard_normal((len(plans.channel_names), 1, 40, 44)).astype(np.float32)
    views = script.level_views(network, image)
    grids = [(40 // level.factor[0], 44 // level.factor[1]) for level in plan.levels]
    assert [view.computed.shape for view in views] == grids
    assert views[0].computed.all()
    (seen,) = network.see(image)
    list(network.probabilities(seen, Asked(quality=False), Deviation(plans.labels)))
    assert [view.computed.mean() for view in views] == pytest.approx(network.computed)
    assert 0 < network.computed[-1] < 1
    took = script.timing(network, image, rounds=1)
    assert len(took.everywhere) == len(took.outline) == len(views)
    script.draw(views, took).savefig(tmp_path / "figure.png")


def imported_names(tree: ast.AST) -> set[str]:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("path", SOURCES, ids=page_id)
def test_code_unpickles_and_compiles_nothing_and_opens_no_connection(path):
    """README and docs/known-faults.md (16, 17, 19) promise: no torch.compile, no pickle, no network, no /dev/shm."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    forbidden = {"pickle", "dill", "joblib", "urllib.request", "http.client", "requests", "socket"}
    forbidden |= {"torch.multiprocessing", "torch.utils.data", "multiprocessing.shared_memory"}
    assert imported_names(tree) & forbidden == set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        assert name not in ("torch.compile", "torch.jit.script", "torch.hub.load")
        if name == "torch.load":
            assert "weights_only=True" in ast.unparse(call)
