"""An augmentation set from end to end: made, stopped, gone on with, read back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from cerebatch.atlas.registering import compared_region
from cerebatch.augment import writing
from cerebatch.augment.make import jobs_of, make, relay_folder
from cerebatch.augment.registration import Registration
from cerebatch.augment.targets import find_targets, read_prepared
from cerebatch.augment.verify import verify
from cerebatch.augment.warp import Bent
from cerebatch.batch.cluster.profile import load_profile
from cerebatch.batch.ledger.events import Event
from cerebatch.errors import DatasetError, LibraryError, SettingsError
from cerebatch.io.description import dataset_description
from cerebatch.io.files import write_json
from cerebatch.library.augmented.layout import DONE, FAILED, SET_ASIDE, open_set
from cerebatch.library.augmented.store import AugmentedSet, open_augmented
from cerebatch.library.layout import read_column
from cerebatch.library.store import Library
from cerebatch.networks.auxiliary.registration import RegistrationNetwork
from cerebatch.networks.card import HelperCard, read_card
from cerebatch.networks.weights import write_weights
from cerebatch.spatial.space import cerebellum_box, warp_labels

NAMES = ("sub-01", "sub-02_ses-1", "sub-02_ses-2", "sub-05")


def silent(_: Event) -> None:
    """Tell nobody."""


def make_set(library: Library, targets: Path, path: Path, seed: int = 1) -> AugmentedSet:
    jobs = jobs_of(library, find_targets(targets, 4.0), path, seed=seed)
    made = make(jobs, library, load_profile("serial"), silent)
    assert made.digest
    return open_augmented(path)


def cerebatch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, away from the source tree."""
    command = [sys.executable, "-c", "from cerebatch.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=300, env=os.environ)


def test_every_target_becomes_a_case_that_tells_where_it_is_from(
    made_set: AugmentedSet, small_library: Library
) -> None:
    columns = made_set.columns
    assert made_set.names == NAMES
    assert columns["status"] == [DONE] * 3 + [SET_ASIDE]
    assert columns["target_person"] == ["01", "02", "02", "05"]
    assert columns["target_made_from"] == ["maker-1,head-9", "", "", ""]
    for k in made_set.usable:
        source = columns["source"][k]
        index = small_library.names.index(source)
        assert (columns["person"][k], columns["head"][k]) == (small_library.persons[index], small_library.heads[index])
        assert columns["tool"][k] == "greedy"
        assert columns["tool_version"][k][0].isdigit()
        assert "-m NCC 2x2x2" in columns["command"][k]
        assert columns["distance"][k] > 0
        assert columns["similarity_after"][k] > 0.95


def test_what_cannot_be_believed_is_set_aside_with_its_reason(made_set: AugmentedSet) -> None:
    assert "does not look like the target (similarity_after 0." in made_set.columns["reason"][3]
    assert 3 not in made_set.usable
    with pytest.raises(LibraryError, match="the case is: set aside"):
        made_set.dseg(3)


def test_everything_reads_back(made_set: AugmentedSet) -> None:
    assert verify(made_set.path) == []


def test_no_code_is_invented(made_set: AugmentedSet, small_library: Library) -> None:
    for index in made_set.usable:
        source = small_library.names.index(made_set.columns["source"][index])
        assert set(np.unique(made_set.dseg(index))) <= set(np.unique(small_library.dseg(source)))
        assert set(np.unique(made_set.lobules(index))) <= set(np.unique(small_library.lobules(source)))


def test_tissue_shares_still_sum_to_one(made_set: AugmentedSet) -> None:
    for index in made_set.usable:
        np.testing.assert_array_equal(made_set.tissue(index).sum(axis=0, dtype=int), 255)


def test_xarray_reads_the_set_and_files_are_few(made_set: AugmentedSet) -> None:
    with xr.open_zarr(made_set.path, chunks=None, mask_and_scale=False) as dataset:
        assert dataset["image"].dims == ("case", "contrast", "x", "y", "z")
        assert list(dataset["name"].values) == list(NAMES)
        assert dataset["volume_after_cm3"].shape == (4, 26)
    voxels = [path for path in made_set.path.rglob("c.*") if path.name.count(".") > 2]
    assert len(voxels) == 5 * len(made_set.usable)


def test_another_seed_or_library_does_not_go_on(made_set: AugmentedSet, small_library: Library, targets: Path) -> None:
    with pytest.raises(LibraryError, match="found seed 1 instead of 2"):
        make_set(small_library, targets, made_set.path, seed=2)


def test_who_is_held_out_is_bent_onto_nobody(small_library: Library, targets: Path, tmp_path: Path) -> None:
    path = tmp_path / "SET.zarr"
    result = cerebatch(
        "augment", small_library.path, targets, path, "--profile", "serial", "--hold-out", "a", "--hold-out", "k"
    )
    assert result.returncode == 0, result.stderr
    store = open_augmented(path)
    assert {(store.columns["person"][k], store.columns["head"][k]) for k in store.usable} == {("b", "h")}
    with pytest.raises(LibraryError, match=r"found hold_out \['a', 'k'\] instead of \[\]"):
        make_set(small_library, targets, path)
    with pytest.raises(SettingsError, match=r"hold out c: expected people or heads of .*, which has a, b, h, k"):
        jobs_of(small_library, find_targets(targets, 4.0), path, seed=1, hold_out=["c"])


def test_a_broken_target_is_told_by_name_while_the_others_go_on(
    small_library: Library, targets: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(targets, tmp_path / "run")
    (broken,) = folder.glob("sub-02/ses-1/anat/*_T1w.nii.gz")
    whole = broken.read_bytes()
    broken.write_bytes(b"\x1f\x8bno image")
    result = cerebatch("augment", small_library.path, folder, tmp_path / "SET.zarr", "--profile", "serial")
    assert result.returncode == 1, result.stderr
    assert f"failed: sub-02_ses-1 in augment: {broken}: expected a prepared T1w" in result.stdout
    store = open_augmented(tmp_path / "SET.zarr")
    assert store.columns["status"] == [DONE, FAILED, DONE, SET_ASIDE]
    with pytest.raises(LibraryError, match="the voxels of case sub-02_ses-1, found no image; the case is: failed"):
        store.image(1, "T1w")
    assert verify(store.path) == []
    broken.write_bytes(whole)
    jobs = jobs_of(small_library, find_targets(folder, 4.0), store.path, seed=1)
    made = make(jobs, small_library, load_profile("serial"), silent)
    assert sorted(outcome.status for outcome in made.outcomes) == ["done", "skipped", "skipped", "skipped"]
    assert open_augmented(store.path).columns["status"] == [DONE] * 3 + [SET_ASIDE]


def test_a_run_that_is_killed_goes_on_and_ends_with_the_same_bytes(
    small_library: Library, targets: Path, tmp_path: Path
) -> None:
    path = tmp_path / "killed.zarr"
    program = "from cerebatch.cli.main import main; main()"
    arguments = ["augment", small_library.path, targets, path, "--profile", "serial"]
    run = subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], cwd="/", stdout=subprocess.DEVNULL)
    made = tmp_path / "killed.zarr.relay" / "cases" / "made"
    deadline = time.monotonic() + 120
    while not (made.is_dir() and any(made.glob("*/case.json"))) and time.monotonic() < deadline:
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    with pytest.raises(LibraryError, match="an unfinished one"):
        open_augmented(path)
    assert list(read_column(open_set(path), "name")) == list(NAMES)
    before = len(list(made.glob("*/case.json")))
    assert 1 <= before < 4
    store = make_set(small_library, targets, path)
    whole = make_set(small_library, targets, tmp_path / "whole.zarr")
    assert store.digest == whole.digest  # of all columns, checksums of the voxels among them
    assert verify(path) == []


def test_records_of_a_set_that_is_gone_do_not_make_an_empty_one(
    made_set: AugmentedSet, small_library: Library, targets: Path, tmp_path: Path
) -> None:
    path = tmp_path / "SET.zarr"
    shutil.copytree(relay_folder(made_set.path), relay_folder(path))
    with pytest.raises(LibraryError, match="Delete that folder to begin anew"):
        make_set(small_library, targets, path)


def test_two_processes_write_their_regions_at_once(tmp_path: Path) -> None:
    shape = cerebellum_box(4.0).shape
    path = tmp_path / "regions.zarr"
    writing.create(path, [f"sub-{k}" for k in range(6)], 4.0, seed=1)
    bents = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        dseg = np.zeros(shape, dtype=np.uint8)
        dseg[5:20, 5:15, 5:15] = rng.integers(0, 27, (15, 10, 10))
        image = rng.uniform(0, 400, (2, *shape)).astype(np.float32)
        bents.append(Bent(image, np.zeros((8, *shape), dtype=np.uint8), dseg, dseg))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        told = [pool.submit(writing.write_voxels, path, k, one, False) for k, one in enumerate(bents) for _ in "12"]
        digests = [one.result() for one in told]
    assert digests[::2] == digests[1::2]
    with xr.open_zarr(path, chunks=None, mask_and_scale=False, consolidated=False) as dataset:
        for k, one in enumerate(bents):
            np.testing.assert_array_equal(dataset["dseg"][k].values, one.dseg)


def test_damage_is_found(made_set: AugmentedSet, tmp_path: Path) -> None:
    path = Path(shutil.copytree(made_set.path, tmp_path / "damaged.zarr"))
    shard = path / "dseg" / "c.1.0.0.0"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF
    shard.write_bytes(bytes(content))
    (path / "image" / "c.2.0.0.0.0").unlink()
    found = verify(path)
    assert any("sub-02_ses-1: a damaged dseg" in problem for problem in found)
    assert any("sub-02_ses-2: no image" in problem for problem in found)


def test_a_run_on_simulated_people_warns_that_it_does_not_tell_their_maps(targets: Path, tmp_path: Path) -> None:
    assert find_targets(targets, 4.0).warnings == ()
    copied = Path(shutil.copytree(targets, tmp_path / "out"))
    write_json(copied / "dataset_description.json", dataset_description("0", simulated=True))
    (warning,) = find_targets(copied, 4.0).warnings
    assert "from which maps" in warning


def test_a_run_at_another_resolution_is_refused(targets: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected prepared T1w images at 1\.0 mm"):
        find_targets(targets, 1.0)


@pytest.mark.slow
def test_a_bids_dataset_is_prepared_first(small_library: Library, phantoms: Path, tmp_path: Path) -> None:
    result = cerebatch("augment", small_library.path, phantoms, tmp_path / "SET.zarr", "--profile", "serial")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "prepare finished" in result.stdout
    assert verify(tmp_path / "SET.zarr") == []


def test_the_registration_network_in_greedys_place(
    small_library: Library, targets: Path, made_set: AugmentedSet, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = RegistrationNetwork()
    nn.init.normal_(network.unet.out.weight, std=0.05)  # else it moves nothing that one could see
    card = HelperCard(network="registration", channels=("T1w",), resolution_mm=4.0, parameters=1, training={})
    weights = write_weights(tmp_path, network, card)
    path = tmp_path / "SET.zarr"
    by_network = ("--profile", "serial", "--registration", "network", "--auxiliary-weights", tmp_path)
    result = cerebatch("augment", small_library.path, targets, path, *by_network, "--keep-set-aside")
    assert result.returncode == 0, result.stdout + result.stderr
    store = open_augmented(path)
    digest = read_card(weights, HelperCard).sha256
    assert set(store.columns["tool"]) == {"registration network"}
    assert set(store.columns["tool_version"]) == {digest}
    assert verify(path) == []
    k = 0
    source = small_library.names.index(store.columns["source"][k])
    target = read_prepared(find_targets(targets, 4.0).found[k].t1w, 4.0)
    field = Registration(4.0, weights).field(
        target, small_library.image(source, "T1w"), compared_region(small_library), seed=1
    )
    assert float(np.abs(field).max()) > 0.5
    np.testing.assert_array_equal(store.dseg(k), warp_labels(small_library.dseg(source), field))
    with pytest.raises(LibraryError, match="tool registration network instead of greedy"):
        make_set(small_library, targets, path)


def test_a_registration_network_of_another_resolution_is_refused_before_any_case(
    small_library: Library, targets: Path, tmp_path: Path
) -> None:
    result = cerebatch("augment", small_library.path, targets, tmp_path / "SET.zarr", "--registration", "network")
    assert result.returncode == 2
    assert "expected weights of registration at 4 mm" in result.stderr
    assert not (tmp_path / "SET.zarr").exists()
