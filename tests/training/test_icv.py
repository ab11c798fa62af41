"""The network of the intracranial cavity: its data, its lesson, its command."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
import yaml
from scipy import ndimage
from typer.testing import CliRunner

from cerebatch.cli.main import app
from cerebatch.library.tissues import TISSUES
from cerebatch.networks.auxiliary.intracranial import head_grid, measured_icv_cm3, network, on_head_grid
from cerebatch.networks.card import HelperCard, read_card
from cerebatch.networks.weights import with_weights
from cerebatch.spatial.space import Grid, inverse
from cerebatch.spatial.template import brain_mask, t1w
from cerebatch.training.tasks.icv import HeadShares, IcvLesson

SCALE = 0.95


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two head maps made from the template's brain: fluid around it, then bone and skin."""
    folder = tmp_path_factory.mktemp("heads")
    image, grid = t1w(2)
    brain = brain_mask(2)
    away = ndimage.distance_transform_edt(~brain, sampling=2.0)
    codes = np.select([away > 14, away > 8, away > 4, away > 0], [0, 511, 515, 24], 0)
    codes = np.where(brain, np.where(image > 0.75, 2, np.where(image > 0.45, 3, 24)), codes)
    codes[34:64, 14:38, 4:26] = np.where(codes[34:64, 14:38, 4:26] > 0, 8, 0)
    for k, scale in enumerate((1.0, SCALE)):
        native = np.diag([scale, scale, scale, 1.0]) @ grid.affine
        nib.save(nib.Nifti1Image(codes.astype(np.int16), native), folder / f"head-{k + 1}_dseg.nii.gz")
    return folder


@pytest.fixture(scope="session")
def shares(heads: Path, tmp_path_factory: pytest.TempPathFactory) -> HeadShares:
    made = HeadShares(tuple(sorted(heads.glob("*.nii.gz"))), tmp_path_factory.mktemp("kept"))
    assert list(made.make(2)) == ["head-1", "head-2"]
    assert list(made.make(2)) == []
    return made


def test_shares_fill_each_voxel_and_keep_the_volume_inside_the_skull(shares: HeadShares) -> None:
    for k in range(2):
        tissues, icv_cm3 = shares.read(k)
        assert tissues.shape == (len(TISSUES) + 1, *head_grid().shape)
        total = tissues[:-1].int().sum(0)
        assert int(total.min()) >= 250
        assert int(total.max()) <= 260
        counted = float(tissues[-1].sum()) / 255 * head_grid().voxel_volume_mm3 / 1000 / shares.scale(k)
        assert counted == pytest.approx(icv_cm3, rel=0.01)
    smaller = shares.read(1)[1] / shares.read(0)[1]
    assert smaller == pytest.approx(SCALE**3, rel=1e-3)


def test_the_volume_is_the_sum_of_probabilities_in_the_head_s_own_size() -> None:
    class Half(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, seen: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(seen)

    image, grid = t1w(2)
    box_cm3 = np.prod(head_grid().shape) * head_grid().voxel_volume_mm3 / 1000
    mni_from_native = np.diag([1.1, 1.1, 1.1, 1.0])
    assert measured_icv_cm3(Half(), image, grid, mni_from_native) == pytest.approx(box_cm3 / 2 / 1.1**3, rel=1e-5)


def test_a_turned_head_comes_to_lie_as_the_template_does() -> None:
    image, grid = t1w(2)
    turn = np.eye(4)
    turn[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
    seen = on_head_grid(image, Grid(grid.shape, turn @ grid.affine), inverse(turn))
    assert np.abs(seen - on_head_grid(image, grid, np.eye(4))).max() < 1e-4


def test_the_same_seed_draws_the_same_and_held_out_heads_are_only_checked(shares: HeadShares) -> None:
    lesson = IcvLesson(shares, ("head-2",))
    torch.manual_seed(0)
    forward = network().eval()
    with torch.inference_mode():
        losses = [float(lesson.loss(forward, seed)) for seed in (1, 1, 2)]
        dice, error = lesson.check(forward)
    assert losses[0] == losses[1] != losses[2]
    assert 0 <= dice <= 1
    assert error > 0
    assert np.isnan(IcvLesson(shares).check(forward)).all()


def test_the_command_trains_and_its_weights_are_read(heads: Path, shares: HeadShares, tmp_path: Path) -> None:
    config = {
        "network": "icv", "heads": str(heads), "kept": str(shares.folder), "steps": 12, "checkpoint_every": 4,
        "hold_out_heads": ["head-2"], "learning_rate": 0.01,
    }  # fmt: skip
    (tmp_path / "icv.yaml").write_text(yaml.safe_dump(config))
    result = CliRunner().invoke(app, ["train", str(tmp_path / "icv.yaml"), str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in result.output.splitlines() if "loss" in line]
    assert losses[-1] < losses[0] - 0.1
    path = tmp_path / "out/icv.safetensors"
    card = read_card(path, HelperCard)
    assert (card.training["heads"], card.licence, card.resolution_mm) == (["head-1"], "Apache-2.0", 2.0)
    image, grid = t1w(2)
    assert measured_icv_cm3(with_weights(network(), path, card), image, grid, np.eye(4)) > 0


def test_heads_that_are_not_there_cannot_be_held_out(heads: Path, tmp_path: Path) -> None:
    config = {"network": "icv", "heads": str(heads), "kept": str(tmp_path), "steps": 1, "hold_out_heads": ["head-9"]}
    (tmp_path / "icv.yaml").write_text(yaml.safe_dump(config))
    result = CliRunner().invoke(app, ["train", str(tmp_path / "icv.yaml"), str(tmp_path / "out")])
    assert result.exit_code != 0
    assert "head-9 among its heads" in str(result.exception) + result.output
