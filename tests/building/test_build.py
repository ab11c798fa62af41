"""From lobule maps and a head map to a library, and from a library to the labels of a scan, by the commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from cerebatch import labels
from cerebatch.building.fit import LobuleMap
from cerebatch.building.own_scan import find_own_scans
from cerebatch.errors import InputError
from cerebatch.library.store import open_library
from cerebatch.measures.overlap import dice, mean_dice
from cerebatch.measures.volumes import counted_cm3
from cerebatch.simulation.phantom.cerebellum import template_case

pytestmark = pytest.mark.slow

TRIAL = ("--resolution", "4.0", "--profile", "serial")
BY_ATLAS = ("--method", "atlas", "--library")


def cerebatch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, away from the source tree."""
    program = "from cerebatch.cli.main import main; main()"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=600, env=os.environ)


@pytest.fixture(scope="module")
def built(
    lobule_maps: Path, head_maps: Path, own_scans: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A library at 4 mm: two people in one head, and one of them in a scan; and what the build told.

    One head map is broken.
    """
    folder = tmp_path_factory.mktemp("library")
    heads = folder / "heads"
    shutil.copytree(head_maps, heads)
    (heads / "broken_dseg.nii.gz").write_bytes(b"\x1f\x8bno image")
    path = folder / "LIB.zarr"
    result = cerebatch(
        "library", "build", path, "--lobules", lobule_maps, "--heads", heads, "--scans", own_scans,
        "--resolution", "4.0", "--processes", 1,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return path, result.stdout


def test_a_broken_head_is_left_out_by_name_and_stops_nothing(built: tuple[Path, str]) -> None:
    path, told = built
    (line,) = (line for line in told.splitlines() if line.startswith("left out:"))
    assert "broken_dseg.nii.gz" in line
    assert set(open_library(path).heads) == {"alpha", "one"}


def test_codes_outside_the_protocol_are_dropped_with_a_count(built: tuple[Path, str]) -> None:
    _, told = built
    assert "warning: one: voxels of codes outside the protocol were dropped: {217: 3}" in told


def test_every_map_is_in_every_head_with_its_mirrored_twin(built: tuple[Path, str]) -> None:
    library = open_library(built[0])
    names = ["one_alpha", "two_alpha", "one_own"]
    assert library.names == tuple(twin for name in names for twin in (name, f"{name}-mirrored"))
    assert library.persons == ("one", "one", "two", "two", "one", "one")
    assert library.mirrored == (False, True) * 3
    np.testing.assert_array_equal(library.dseg(1), labels.mirrored(library.dseg(0)[::-1]))


def test_a_map_fills_the_cerebellum_of_the_head(built: tuple[Path, str]) -> None:
    library = open_library(built[0])
    assert (library.dataset()["overlap"].values[:4] > 0.93).all()
    volume_cm3 = np.count_nonzero(library.dseg(0)) * 0.064
    assert 100 < volume_cm3 < 170


def test_the_image_is_rendered_from_the_tissues_alone(built: tuple[Path, str]) -> None:
    """One intensity a tissue: where the tissues of two lobules are equal, so are the intensities."""
    library = open_library(built[0])
    share, t1w, dseg = library.tissue(0), library.image(0, "T1w"), library.lobules(0)
    tissues = list(library.dataset()["tissue"].values)
    pure_grey = share[tissues.index("GM")] == 255
    found = {int(code): np.unique(t1w[pure_grey & (dseg == code)]) for code in np.unique(dseg[pure_grey])}
    assert len(found) > 4
    assert all(values.tolist() == [150.0] for values in found.values())


def test_arbor_vitae_is_white_in_one_convention_and_its_lobule_in_the_other(built: tuple[Path, str]) -> None:
    library = open_library(built[0])
    dseg, lobules = library.dseg(0), library.lobules(0)
    core = np.isin(lobules, (13, 26))
    assert np.count_nonzero(np.isin(dseg, (13, 26))) > 1.2 * np.count_nonzero(core)
    changed = (dseg != lobules) & (dseg > 0) & (lobules > 0)
    assert np.isin(dseg[changed], (13, 26)).mean() > 0.7


def test_a_persons_own_scan_comes_with_the_labels_of_the_map(built: tuple[Path, str]) -> None:
    """The stand-in is a rendering of the phantom in the frame of its map, prepared like any scan."""
    library = open_library(built[0])
    index = library.names.index("one_own")
    assert library.rendered[index] is False
    assert not library.tissue(index).any()
    truth, _ = template_case(4.0)
    assert dice(library.lobules(index) > 0, truth > 0) > 0.9
    t1w, dseg = library.image(index, "T1w"), library.dseg(index)
    white = np.isin(dseg, (13, 26))
    assert np.median(t1w[white]) > np.median(t1w[(dseg > 0) & ~white]) + 40


def test_half_a_persons_scans_are_refused_by_name(own_scans: Path, tmp_path: Path) -> None:
    shutil.copy(own_scans / "one_T1w.nii.gz", tmp_path)
    found = [LobuleMap("one", "one_dseg.nii.gz", *([None] * 4))]  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"one_T2w\.nii\.gz: expected a scan of each contrast, found only one_T1w"):
        find_own_scans(tmp_path, found)
    with pytest.raises(InputError, match="expected scans named after the maps"):
        find_own_scans(tmp_path / "nothing", found)


def test_info_and_verify_read_the_library(built: tuple[Path, str]) -> None:
    path, _ = built
    result = cerebatch("library", "info", path)
    assert "cases: 6" in result.stdout
    assert cerebatch("library", "verify", path).returncode == 0


def test_verify_names_a_damaged_case(built: tuple[Path, str], tmp_path: Path) -> None:
    damaged = tmp_path / "LIB.zarr"
    shutil.copytree(built[0], damaged)
    for chunk in (damaged / "dseg/c/2").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(chunk.read_bytes()[:-5])
    result = cerebatch("library", "verify", damaged)
    assert result.returncode == 1
    assert "two_alpha" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_a_finished_library_is_not_built_over(built: tuple[Path, str], lobule_maps: Path, head_maps: Path) -> None:
    result = cerebatch("library", "build", built[0], "--lobules", lobule_maps, "--heads", head_maps,
                       "--resolution", "4.0", "--processes", 1, "--cases", 1)  # fmt: skip
    assert result.returncode == 2
    assert "LIB.zarr: expected" in result.stderr


def test_folders_without_maps_are_refused_by_name(lobule_maps: Path, tmp_path: Path) -> None:
    result = cerebatch("library", "build", tmp_path / "LIB.zarr", "--lobules", lobule_maps, "--heads", tmp_path)
    assert result.returncode == 2
    assert f"{tmp_path}: expected label maps" in result.stderr


@pytest.fixture(scope="module")
def segmented(built: tuple[Path, str], phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of a run with the library over the phantoms."""
    out = tmp_path_factory.mktemp("run") / "out"
    result = cerebatch(
        "run",
        phantoms,
        out,
        "participant",
        "--method",
        "atlas",
        "--library",
        built[0],
        "--participant-label",
        "phantom001",
        *TRIAL,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return out


def test_a_run_with_a_library_names_method_library_and_cases(segmented: Path, built: tuple[Path, str]) -> None:
    anat = segmented / "sub-phantom001/anat"
    sidecar = json.loads((anat / "sub-phantom001_seg-lobules_dseg.json").read_text())
    assert sidecar["Method"] == "atlas"
    said = sidecar["Library"]
    assert (said["Name"], said["Digest"]) == ("LIB.zarr", open_library(built[0]).digest)
    assert "in one of three" in said["Note"]
    (votes,) = anat.glob("*desc-winner_probseg.json")
    assert sorted(json.loads(votes.read_text())["Cases"]) == sorted(open_library(built[0]).names)


def test_the_vote_share_is_kept_as_a_probability(segmented: Path) -> None:
    (path,) = (segmented / "sub-phantom001/anat").glob("*desc-winner_probseg.nii.gz")
    share = nib.load(path).get_fdata()
    assert share.min() > 0
    assert share.max() == 1
    assert (share < 1).any()


def test_white_matter_of_the_folia_is_told_apart_and_with_its_lobule(segmented: Path) -> None:
    anat = segmented / "sub-phantom001/anat"
    apart, within = (
        np.asarray(nib.load(next(anat.glob(f"*_space-*_seg-lobules_res-4_{name}.nii.gz"))).dataobj)
        for name in ("dseg", "desc-withfolia_dseg")
    )
    core = [label.index for label in labels.LABELS if label.structure == "White matter"]
    assert 0 < np.isin(within, core).sum() < np.isin(apart, core).sum()
    volumes = pd.read_csv(next(anat.glob("*_volumes.tsv")), sep="\t", na_values="n/a")
    sums = volumes[volumes.side == "both"].set_index("structure")
    assert sums.with_folia_cm3["VI"] > sums.volume_cm3["VI"]
    assert sums.with_folia_cm3["White matter"] < sums.volume_cm3["White matter"]


def test_the_atlas_finds_the_phantoms_cerebellum(segmented: Path, phantoms: Path) -> None:
    truth = phantoms / "derivatives/phantom-truth/sub-phantom001/anat/sub-phantom001_seg-lobules_dseg.nii.gz"
    found = segmented / "sub-phantom001/anat/sub-phantom001_seg-lobules_dseg.nii.gz"
    one, other = (np.asarray(nib.load(path).dataobj, dtype=np.uint8) for path in (found, truth))
    assert dice(one > 0, other > 0) > 0.85
    assert mean_dice(one, other) > 0.3
    assert sum(counted_cm3(one, 1.0)) > 0


def test_a_second_run_does_nothing(segmented: Path, built: tuple[Path, str], phantoms: Path) -> None:
    result = cerebatch(
        "run",
        phantoms,
        segmented,
        "participant",
        "--method",
        "atlas",
        "--library",
        built[0],
        "--participant-label",
        "phantom001",
        *TRIAL,
    )
    assert "0 done, 1 done before, 0 failed" in result.stdout


def test_a_library_of_another_resolution_is_refused(built: tuple[Path, str], phantoms: Path, tmp_path: Path) -> None:
    result = cerebatch("run", phantoms, tmp_path, "participant", *BY_ATLAS, built[0])
    assert result.returncode == 2
    assert "expected a library of 1.0 mm, found one of 4.0 mm" in result.stderr


def test_a_library_and_a_labelled_case_are_not_taken_together(
    built: tuple[Path, str], labelled_case: Path, phantoms: Path, tmp_path: Path
) -> None:
    result = cerebatch(
        "run", phantoms, tmp_path, "participant", "--library", built[0], "--labelled-case", labelled_case
    )
    assert result.returncode == 2
    assert "--labelled-case: expected it without --method, --library and --weights" in result.stderr
