"""A plain installation: what it serves, and what it says of the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cerebatch.cli.extras import EXTRAS, explained

LEFT_OUT = sorted(module for modules in EXTRAS.values() for module in modules)


def plain(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command where no module of an extra can be found."""
    script = f"""
import sys
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {LEFT_OUT}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Nowhere())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {LEFT_OUT} else found(name, package)
from cerebatch.cli.main import main
main()
"""
    line = [sys.executable, "-P", "-c", script, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, timeout=600)


def test_a_profile_that_needs_dask_names_the_extra_before_anything_is_written(tmp_path: Path) -> None:
    done = plain(tmp_path, "run", tmp_path, tmp_path / "out", "participant")
    assert done.returncode == 2, done.stderr
    assert "pip install 'cerebatch[cluster]'" in done.stderr
    assert "--profile serial" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_scan_is_looked_at_without_any_extra(tmp_path: Path) -> None:
    done = plain(tmp_path, "segment", tmp_path / "none.nii.gz")
    assert done.returncode == 1, done.stderr
    assert "expected a NIfTI" in done.stderr


@pytest.mark.parametrize(("module", "extra"), [("ray._raylet", "cluster"), ("torchio", "train"), ("weasyprint", "pdf")])
def test_a_missing_module_names_its_extra(module: str, extra: str) -> None:
    explanation = explained(ModuleNotFoundError(f"No module named {module!r}", name=module))
    assert explanation is not None
    assert f"cerebatch[{extra}]" in str(explanation)


def test_a_module_of_no_extra_is_not_explained_away() -> None:
    assert explained(ModuleNotFoundError("No module named 'numpy'", name="numpy")) is None
