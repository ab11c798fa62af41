"""The arrows between the rooms, and that the contract which holds them sees one that points up."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of the tree that lies in a folder.

    Without `site` (-S), for an editable installation puts its own tree before every other.
    """
    pytest.importorskip("importlinter", reason="import-linter is not installed")
    program = (
        f"import sys; sys.path[:0] = {[str(folder), sysconfig.get_path('purelib'), sysconfig.get_path('platlib')]!r}; "
        "from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    command = [sys.executable, "-S", "-c", program, "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The sources and their contracts, to do harm to."""
    for package in ("cerebatch", "lifespan"):
        sources = (path for path in (ROOT / package).rglob("*.py"))
        for source in sources:
            target = tmp_path / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def test_all_arrows_point_down() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("cerebatch/spatial/space.py", "from cerebatch.io.files import write_image"),
        ("cerebatch/batch/ledger/events.py", "from cerebatch.batch.runner import Outcome"),
        ("cerebatch/stages/measure.py", "import ray"),
        ("lifespan/errors.py", "import cerebatch.errors"),
    ],
    ids=["to a room above", "in a circle inside a room", "to Ray from a stage", "from lifespan to cerebatch"],
)
def test_a_wrong_arrow_is_seen(copied: Path, file: str, line: str) -> None:
    path = copied / file
    path.write_text(path.read_text() + f"\n\n{line}\n")
    done = lint_imports(copied)
    assert done.returncode == 1, done.stdout
    assert "1 broken" in done.stdout or "2 broken" in done.stdout


def test_a_new_room_must_be_given_its_place(copied: Path) -> None:
    (copied / "cerebatch/attic").mkdir()
    (copied / "cerebatch/attic/__init__.py").touch()
    done = lint_imports(copied)
    assert done.returncode == 1, done.stdout
    assert "attic" in done.stdout
