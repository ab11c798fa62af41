"""The weights that cerebatch brings: what their cards tell, and what they make of the MNI152 template."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cerebatch.io.images import read_voxels
from cerebatch.io.template_dataset import write_dataset
from cerebatch.labels import LABELS, STRUCTURES
from cerebatch.measures.overlap import dice, largest_piece_share, mean_dice
from cerebatch.networks.ensemble import Segmentation, load
from cerebatch.networks.folder import read_cards, shipped_folder, shipped_weights
from cerebatch.spatial.space import Volume, cerebellum_box
from cerebatch.stages.prepare import prepare


def test_all_weights_together_stay_below_what_a_clone_should_weigh() -> None:
    assert sum(path.stat().st_size for path in shipped_folder().rglob("*.safetensors")) < 60e6


@pytest.mark.parametrize(("resolution", "program"), [(1.0, "held_out.py"), (0.5, "resolutions.py")])
def test_every_card_tells_licence_training_and_how_it_was_scored(resolution: float, program: str) -> None:
    everybody = {"subject-1", "subject-2", "subject-3", "subject-5"}
    for card in read_cards(shipped_weights(resolution)):
        assert card.resolution_mm == resolution
        assert card.licence == "CC-BY-NC-SA-4.0"
        assert card.training["steps"] > 0
        if card.format == 1:
            assert set(card.training["persons"]) == everybody
            assert program in card.scores["measured"]
        else:
            assert set(card.training["persons"]) < everybody
            assert "real_weights.py" in card.scores["measured"]


def test_nobody_that_real_scans_are_scored_by_was_learnt_from() -> None:
    validation = {f"sub-{number}" for number in (1001, 1004, 1018, 1019, 1119, 1125)}
    learnt = [card.training["outlined scans"] for card in read_cards(shipped_weights(1.0)) if card.format == 2]
    assert learnt
    for names in learnt:
        assert names
        assert not validation & set(names)


def test_every_card_of_format_1_tells_how_it_does_without_borders() -> None:
    for card in read_cards(shipped_weights(1.0)):
        if card.format == 1:
            for means in card.scores["mean Dice"].values():
                assert means[f"{card.architecture} blind"] < means[f"{card.architecture} full"] < 1


@pytest.fixture(scope="module")
def on_template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Volume, Segmentation]:
    """The prepared template and its labels."""
    folder = tmp_path_factory.mktemp("mni152")
    write_dataset(folder / "bids")
    (scan,) = (folder / "bids").glob("sub-*/anat/*_T1w.nii.gz")
    prepare(scan, folder)
    t1w = read_voxels(folder / "T1w.nii.gz")
    return t1w, load(shipped_weights(1.0)).segment(t1w)


@pytest.mark.slow
def test_the_cerebellum_of_the_template_is_found_on_its_tissue(on_template: tuple[Volume, Segmentation]) -> None:
    """Its outline is not in any label map here: grey and white matter below the tentorium, largest piece."""
    t1w, found = on_template
    labelled = found.dseg > 0
    assert 90 < labelled.sum() / 1000 < 220  # cm3 of the template, which is larger than people
    assert largest_piece_share(labelled) > 0.99
    assert float((t1w[labelled] > 90).mean()) > 0.95  # CSF is 50, grey matter 150
    white = np.isin(found.dseg, [label.index for label in LABELS if label.structure == STRUCTURES[-1]])
    assert t1w[white].mean() > t1w[labelled & ~white].mean() + 40


@pytest.mark.slow
def test_every_structure_is_there_and_left_is_left(on_template: tuple[Volume, Segmentation]) -> None:
    dseg = on_template[1].dseg
    x = cerebellum_box(1.0).affine[0, 3] + np.arange(dseg.shape[0])
    for label in LABELS:
        inside = dseg == label.index
        assert inside.any(), label.name
        side = -1 if label.side == "left" else 1
        assert side * ndimage.center_of_mass(inside)[0] > side * (len(x) - 1) / 2, label.name


@pytest.mark.slow
def test_half_the_noise_of_a_scan_changes_little(on_template: tuple[Volume, Segmentation]) -> None:
    t1w, found = on_template
    noisy = t1w + np.random.default_rng(1).normal(0, 5, t1w.shape).astype(np.float32)
    again = load(shipped_weights(1.0)).segment(np.maximum(noisy, 0)).dseg
    assert dice(again > 0, found.dseg > 0) > 0.97


@pytest.mark.slow
def test_networks_of_half_a_millimetre_see_what_those_of_1_mm_see(on_template: tuple[Volume, Segmentation]) -> None:
    t1w, found = on_template
    finer = ndimage.zoom(t1w, 2, order=1, mode="nearest", grid_mode=True)
    dseg = load(shipped_weights(0.5)).segment(finer, precision="bfloat16", mirror=False).dseg
    assert dseg.shape == cerebellum_box(0.5).shape
    assert dice(dseg[::2, ::2, ::2] > 0, found.dseg > 0) > 0.95
    assert mean_dice(dseg[::2, ::2, ::2], found.dseg) > 0.8
