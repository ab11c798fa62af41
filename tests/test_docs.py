"""The documentation: its commands run, its links lead somewhere, and it builds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```console test( slow)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.slow


def commands(page: str) -> list[str]:
    """Commands of the blocks of a page that are marked to be run, in order."""
    text = (ROOT / "docs" / page).read_text()
    return [line[2:] for _, block in BLOCK.findall(text) for line in block.splitlines() if line.startswith("$ ")]


def run(command: str, folder: Path) -> None:
    """A line as a user types it, in a folder, with the cerebatch under test."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=os.environ | {"PATH": programs},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", sorted(p.name for p in (ROOT / "docs").glob("*.md") if BLOCK.search(p.read_text())))
def test_the_commands_of_a_page_work_one_after_the_other(page: str, tmp_path: Path) -> None:
    found = commands(page)
    assert found
    for command in found:
        run(command, tmp_path)
    if page == "index.md":
        assert (tmp_path / "results/cohort.html").is_file()


def test_pages_of_the_site_are_those_of_the_folder() -> None:
    nav = (ROOT / "mkdocs.yml").read_text()
    assert set(re.findall(r"(\w+\.md)", nav)) == {path.name for path in (ROOT / "docs").glob("*.md")}


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("material")
    program = shutil.which("mkdocs", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program is not None
    done = subprocess.run(
        [program, "build", "--strict", "-q", "-d", str(tmp_path / "site")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site/index.html").read_text()
    assert "https://fonts" not in page
