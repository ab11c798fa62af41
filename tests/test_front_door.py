"""What a newcomer types: every command and call of the README and of the page about one scan, and the notebook."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from small_networks import write_cascade

ROOT = Path(__file__).parents[1]
README, ONE_SCAN = (ROOT / name for name in ("README.md", "docs/segment.md"))
OTHERWISE = ("pip install", "make ", "cerebatch profile", "cerebatch library fetch")
"""Run by tests of their own: installation, demo, cluster, download."""

pytestmark = pytest.mark.slow


def typed(page: Path) -> list[str]:
    """Commands of a page, in order: lines after ``$``, and indented ones."""
    text = re.sub(r"^```python\n.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^(?:\$ | {4}(?=cerebatch |pip |make ))(.*)$", text, re.MULTILINE)
    return [line.split("  #")[0].split("    #")[0].strip() for line in found]


def python_of(page: Path) -> list[str]:
    """Blocks of Python of a page."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Options that have a scan segmented in seconds: untrained networks at 4 mm."""
    return f"--weights {write_cascade(tmp_path_factory.mktemp('weights') / 'mine')} --resolution 4.0"


@pytest.fixture
def desk(tmp_path: Path, phantoms: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages speak of; `cerebatch` is this tree's."""
    scan = phantoms / "sub-phantom001/anat/sub-phantom001_T1w.nii.gz"
    shutil.copy(scan, tmp_path / "T1w.nii.gz")
    image = nib.load(scan)
    values = image.get_fdata(dtype=np.float32)
    nib.save(nib.Nifti1Image(values.max() - values, image.affine), tmp_path / "T2w.nii.gz")
    nib.save(nib.MGHImage(values, image.affine), tmp_path / "second.mgz")
    command = tmp_path / "bin/cerebatch"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m cerebatch "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def run(line: str, folder: Path) -> None:
    done = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_every_command_of_the_readme_is_run_here_or_by_a_test_of_its_own() -> None:
    known = ("cerebatch segment T1w.nii.gz", "cerebatch run BIDS_DIR OUT_DIR", *OTHERWISE)
    found = typed(README)
    assert len(found) >= 6
    assert [line for line in found if not line.startswith(known)] == []


def test_the_readme_one_scan_then_a_cohort(desk: Path, trial: str, phantoms: Path) -> None:
    (desk / "BIDS_DIR").symlink_to(phantoms)
    for line in typed(README):
        if line.startswith("cerebatch segment"):
            run(f"{line} {trial} --no-pdf", desk)
        elif line.startswith("cerebatch run") and "--profile" not in line:
            run(f"{line} {trial if 'participant' in line else ''} --no-pdf --profile serial", desk)
    assert (desk / "cerebatch-out/reports/sub-T1w.html").is_file()
    assert (desk / "cerebatch-out/sub-T1w/anat/sub-T1w_seg-lobules_volumes.tsv").is_file()
    assert (desk / "OUT_DIR/cohort.html").is_file()


@pytest.mark.long
def test_the_page_about_one_scan(desk: Path, trial: str, data: Path) -> None:
    (desk / "dicom-folder").symlink_to(data / "scan-dicom")
    (desk / "T1w.nii.gz").rename(desk / "whole.nii.gz")
    shutil.copy(desk / "whole.nii.gz", desk / "T1w.nii.gz")
    lines = [line for line in typed(ONE_SCAN) if line.startswith("cerebatch segment ") and "--help" not in line]
    assert len(lines) >= 3
    for line in lines:
        run(f"{line} {trial} --no-pdf", desk)
    pages = {path.name for path in desk.glob("**/reports/*.html")}
    assert {"sub-T1w.html", "sub-second.html", "sub-dicomfolder.html"} <= pages


@pytest.mark.parametrize("page", [README, ONE_SCAN], ids=["README", "segment"])
def test_the_calls_of_a_page(page: Path, desk: Path, trial: str) -> None:
    _, weights, _, resolution = trial.split()
    quick = (
        "import cerebatch, functools\n"
        f"cerebatch.segment = functools.partial(cerebatch.segment, weights={weights!r}, resolution={resolution})\n"
    )
    blocks = python_of(page)
    assert blocks
    for block in blocks:
        (desk / "block.py").write_text(quick + block)
        run(f"{sys.executable} block.py", desk)


def test_the_notebook_runs_from_its_first_cell_to_its_last(desk: Path, trial: str) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(ROOT / "docs/notebooks/one_scan.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # nobody's results are committed
    _, weights, _, resolution = trial.split()
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    parameters.source += f"\nSETTINGS = {{'weights': {weights!r}, 'resolution': {resolution}}}"
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(desk)}}).execute()
    assert (desk / "results/reports/sub-T1w.html").is_file()
    assert "sub-T1w.html" in str(notebook.cells[-1].outputs)
