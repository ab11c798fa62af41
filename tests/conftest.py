from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from cerebatch.library import writing
from cerebatch.library.case import LabelledCase
from cerebatch.library.tissues import TISSUES
from cerebatch.simulation.phantom import write_cohort
from cerebatch.spatial import ants_bridge, space

# The programs of benchmarks/ stand in no package that is installed; last, so that they hide nothing.
sys.path.append(str(Path(__file__).parents[1]))

# ITK reads its thread count once a process; all tests share one.
ants_bridge.use_one_thread()

# No test sees a library of the user who runs them.
os.environ.pop("CEREBATCH_LIBRARY", None)
_NO_DATA = tempfile.TemporaryDirectory(prefix="cerebatch-no-data-")
os.environ["XDG_DATA_HOME"] = _NO_DATA.name


MakeCase = Callable[..., LabelledCase]
WriteLibrary = Callable[[Path, list[LabelledCase]], Path]

SLURM_IN_A_BOX = Path(__file__).parents[1] / "cluster/slurm-in-a-box/slurm_in_a_box.py"


def without(what: str, reason: str) -> NoReturn:
    """Skip the test, unless CEREBATCH_REQUIRE lists what is missing: then it fails."""
    if what in (word.strip() for word in os.environ.get("CEREBATCH_REQUIRE", "").split(",")):
        pytest.fail(f"{reason}, and CEREBATCH_REQUIRE asks for {what}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real scans and maps, outside the repository."""
    folder = os.environ.get("CEREBATCH_DATA", "")
    if folder and Path(folder).is_dir():
        return Path(folder).resolve()
    reason = f"CEREBATCH_DATA names no folder of real data: {folder!r}" if folder else "CEREBATCH_DATA is not set"
    without("data", reason)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium that the tests of pages drive."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        without("chromium", "no Chromium is installed")
    return found


@pytest.fixture(scope="session")
def pdf() -> None:
    """PDFs can be written."""
    from cerebatch.report.pdf import can_write_pdf

    if not can_write_pdf():
        without("pdf", "WeasyPrint finds no Pango")


@pytest.fixture(scope="session")
def bids_validator() -> str:
    """Path of the official validator of BIDS."""
    found = shutil.which("bids-validator-deno", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        without("bids", "bids-validator-deno is not installed")
    return found


@contextmanager
def slurm_in_a_box(*options: str) -> Iterator[Path]:
    """A Slurm in a box that runs meanwhile; SLURM_CONF points at it."""
    # Not tmp_path_factory: its paths are too long for sockets.
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    try:
        command = [sys.executable, str(SLURM_IN_A_BOX), "start", *options, str(folder)]
        started = subprocess.run(command, capture_output=True, text=True)
        if started.returncode == 2:
            without("slurm", started.stderr.strip())
        if started.returncode != 0:
            pytest.fail(started.stderr)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            yield folder
        subprocess.run([sys.executable, str(SLURM_IN_A_BOX), "stop", str(folder)], check=True, capture_output=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def slurm() -> Iterator[Path]:
    """Folder of a Slurm in a box that runs for the session; SLURM_CONF points at it."""
    with slurm_in_a_box() as folder:
        yield folder


@pytest.fixture(scope="module")
def roomy_slurm() -> Iterator[Path]:
    """Folder of a Slurm in a box whose nodes claim the memory that the shipped profiles ask for."""
    with slurm_in_a_box("--memory-mb-per-node", "64000") as folder:
        yield folder


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BIDS dataset of two whole-headed phantoms at 3 mm; the truth lies in derivatives/phantom-truth."""
    folder = tmp_path_factory.mktemp("phantoms") / "bids"
    write_cohort(folder, 2, seed=3, resolution_mm=3.0)
    return folder


@pytest.fixture(scope="session")
def labelled_case(phantoms: Path) -> Path:
    """The phantom's own labels on the template."""
    return phantoms / "derivatives/phantom-truth/tpl-MNI152NLin2009aSym_seg-lobules_res-1_dseg.nii.gz"


def noise(name: str, seed: int = 1) -> LabelledCase:
    """A labelled case at 4 mm with labels on the left, noise for images and two tissues in every voxel."""
    shape = space.cerebellum_box(4.0).shape
    rng = np.random.default_rng(seed)
    dseg = np.zeros(shape, dtype=np.uint8)
    dseg[4:12, 4:20, 4:20] = rng.integers(0, 14, (8, 16, 16))
    lobules = np.where(dseg == 13, 5, dseg).astype(np.uint8)
    tissue = np.zeros((len(TISSUES), *shape), dtype=np.uint8)
    tissue[1] = rng.integers(0, 256, shape)
    tissue[2] = 255 - tissue[1]
    return LabelledCase(
        name=name,
        person=f"person-{seed}",
        head=f"head-{seed}",
        twin="",
        mirrored=False,
        rendered=True,
        overlap=0.9 + seed / 100,
        visible_share=0.4 + seed / 10,
        sources=("map.nii.gz", f"tête-{seed}.nii.gz"),
        image=rng.uniform(0, 500, (2, *shape)).astype(np.float32),
        tissue=tissue,
        dseg=dseg,
        lobules=lobules,
    )


@pytest.fixture(scope="session")
def make_case() -> MakeCase:
    """Makes a case of a name and, if given, a seed; another seed is another person in another head."""
    return noise


@pytest.fixture(scope="session")
def write_library() -> WriteLibrary:
    """Writes a finished library of cases and gives its path."""

    def write(path: Path, cases: list[LabelledCase]) -> Path:
        writing.create(path, [case.name for case in cases], 4.0, seed=7, licence="CC0")
        for index, case in enumerate(cases):
            writing.write_case(path, index, case)
        writing.finish(path)
        return path

    return write
