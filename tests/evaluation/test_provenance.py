"""What results say of the commit that made them."""

import subprocess

import mednca_pipeline
from mednca_pipeline.evaluation.provenance import commit


def git(folder, *arguments):
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_dirty_is_changed_code_and_not_the_results_that_a_command_writes(tmp_path, monkeypatch):
    package = tmp_path / "package" / "__init__.py"
    package.parent.mkdir()
    package.touch()
    (tmp_path / "runs.csv").write_text("a\n", encoding="utf-8")
    monkeypatch.setattr(mednca_pipeline, "__file__", str(package))
    assert commit() == "unknown (not a git checkout)"
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    clean = commit()
    assert len(clean) == 12
    (tmp_path / "runs.csv").write_text("a\nb\n", encoding="utf-8")
    assert commit() == clean
    package.write_text("changed = True\n", encoding="utf-8")
    assert commit() == f"{clean}-dirty"
