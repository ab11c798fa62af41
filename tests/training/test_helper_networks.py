"""Super-resolution, T2 synthesis and registration: what they compute, and that their commands train them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
import yaml
from scipy import ndimage
from torch import Tensor
from typer.testing import CliRunner

from cerebatch.atlas.registering import compared_region, register_cases
from cerebatch.cli.main import app
from cerebatch.errors import SettingsError
from cerebatch.library.store import Library
from cerebatch.networks.auxiliary.registration import RegistrationNetwork, by_network, displacement_mm, enlarged, warped
from cerebatch.networks.auxiliary.superres import SuperResolution, coarse, dealt, interpolated, refined
from cerebatch.networks.auxiliary.t2synth import network as t2synth_network
from cerebatch.networks.auxiliary.t2synth import synthesised_t2w
from cerebatch.networks.card import HelperCard, read_card
from cerebatch.networks.inputs import brain_region
from cerebatch.networks.weights import with_weights
from cerebatch.training.tasks import superres
from cerebatch.training.tasks.registration import RegistrationLesson, folded_share
from cerebatch.training.tasks.superres import SuperresLesson
from cerebatch.training.tasks.t2synth import T2SynthLesson

Train = Callable[..., tuple[Path, HelperCard]]


@pytest.fixture
def train(library: Library, tmp_path: Path) -> Train:
    """Trains a network by its command for a few steps; gives weights and card."""

    def trained(network: str, **more: object) -> tuple[Path, HelperCard]:
        config = {"network": network, "library": str(library.path), "steps": 4, "checkpoint_every": 2, **more}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        result = CliRunner().invoke(app, ["train", str(tmp_path / "config.yaml"), str(tmp_path / "out")])
        assert result.exit_code == 0, result.output
        path = tmp_path / f"out/{network}.safetensors"
        return path, read_card(path, HelperCard)

    return trained


class TestSuperResolution:
    def test_an_untrained_network_interpolates_linearly(self) -> None:
        image = torch.rand(1, 1, 6, 8, 10)
        assert torch.equal(SuperResolution()(image), interpolated(image))

    def test_channels_are_dealt_to_the_eight_voxels_of_each(self) -> None:
        fine = torch.rand(1, 1, 4, 6, 8)
        parts = torch.stack([fine[0, 0, a::2, b::2, c::2] for a in (0, 1) for b in (0, 1) for c in (0, 1)])[None]
        assert torch.equal(dealt(parts), fine)

    def test_level_and_scale_of_an_image_come_through(self) -> None:
        torch.manual_seed(0)
        network = SuperResolution()
        torch.nn.init.normal_(network.last.weight, std=0.05)
        image = np.random.default_rng(0).uniform(100, 200, (8, 8, 8)).astype(np.float32)
        assert np.allclose(refined(network, 3 * image + 50), 3 * refined(network, image) + 50, rtol=1e-4)

    def test_the_same_seed_draws_the_same(self, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(superres, "PATCH", 16)
        scan = np.random.default_rng(0).uniform(1, 2, (24, 24, 24)).astype(np.float32)
        lesson = SuperresLesson(library, [scan], hold_out=("person-3",), checked=[scan])
        seen: list[Tensor] = []

        def forward(image: Tensor) -> Tensor:
            seen.append(image)
            return interpolated(image)

        for seed in (1, 1, 2):
            lesson.loss(forward, seed)
        assert torch.equal(seen[0], seen[1])
        assert not torch.equal(seen[0], seen[2])
        assert np.allclose(lesson.check(forward), 0, atol=1e-5)

    def test_the_command_learns_from_library_and_scans(self, train: Train, tmp_path: Path) -> None:
        for name in ("a", "b"):
            path = tmp_path / f"scans/sub-{name}/anat/sub-{name}_T1w.nii.gz"
            path.parent.mkdir(parents=True)
            noise = np.random.default_rng(0).integers(1, 900, (80, 80, 80)).astype(np.int16)
            nib.save(nib.Nifti1Image(noise, np.diag([2.0, 2.0, 2.0, 1.0])), path)
        scans = {"scans": str(tmp_path / "scans"), "learn_scans": ["a"], "check_scans": ["b"]}
        path, card = train("superres", hold_out=["person-3"], **scans)
        assert card.training["scans"] == ["a"]
        assert card.training["persons"] == ["person-1", "person-2"]
        image = np.random.default_rng(1).random((8, 8, 8)).astype(np.float32)
        assert refined(with_weights(SuperResolution(), path, card), image).shape == (16, 16, 16)


def test_a_coarse_image_is_the_mean_of_eight_voxels() -> None:
    image = torch.rand(1, 1, 4, 4, 4)
    assert torch.allclose(coarse(image)[0, 0, 1, 0, 1], image[0, 0, 2:, :2, 2:].mean())


class TestT2Synthesis:
    def test_the_loss_is_the_difference_to_the_clean_t2w(self, library: Library) -> None:
        lesson = T2SynthLesson(library, ("person-3",))
        torch.manual_seed(0)
        network = lesson.network().eval()
        with torch.inference_mode():
            losses = [float(lesson.loss(network, seed)) for seed in (1, 1, 2)]
            error, correlation = lesson.check(network)
        assert losses[0] == losses[1] != losses[2]
        assert 0 < error < 5
        assert -1 <= correlation <= 1

    def test_the_command_trains_it(self, train: Train, library: Library) -> None:
        path, card = train("t2synth")
        region = brain_region(library.resolution)
        t2w = synthesised_t2w(with_weights(t2synth_network(), path, card), library.image(0, "T1w"), region)
        assert t2w.shape == region.shape
        assert t2w.min() >= 0
        assert not t2w[~region].any()


def smooth_velocity(shape: tuple[int, int, int], amplitude_mm: float) -> Tensor:
    generator = np.random.default_rng(0)
    field = np.stack([ndimage.gaussian_filter(generator.normal(size=shape), 3) for _ in range(3)])
    return torch.from_numpy(amplitude_mm * field / np.abs(field).max())[None].float()


class TestRegistration:
    def test_a_constant_velocity_moves_by_itself(self) -> None:
        velocity = torch.tensor([1.5, -2.0, 0.5])[None, :, None, None, None].expand(1, 3, 8, 8, 8)
        assert torch.allclose(displacement_mm(velocity, 1.0), velocity, atol=1e-5)

    def test_images_are_read_at_position_plus_displacement_in_mm(self) -> None:
        image = torch.rand(1, 1, 8, 10, 12)
        moved_mm = torch.zeros(1, 3, 8, 10, 12)
        moved_mm[:, 1] = 4.0
        found = warped(image, moved_mm, voxel_mm=2.0)
        assert torch.allclose(found[:, :, :, :-2], image[:, :, :, 2:], atol=1e-5)

    def test_the_velocity_turned_round_leads_back(self) -> None:
        velocity = smooth_velocity((24, 24, 24), 5.0)
        there, back = displacement_mm(velocity, 1.0), displacement_mm(-velocity, 1.0)
        left = (there + warped(back, there, 2.0))[..., 6:-6, 6:-6, 6:-6]
        assert float(there[..., 6:-6, 6:-6, 6:-6].abs().max()) > 2.0
        assert float(left.abs().max()) < 0.1

    def test_a_large_smooth_velocity_folds_nothing_and_a_sum_of_it_would(self) -> None:
        velocity = smooth_velocity((24, 24, 24), 16.0)
        assert folded_share(enlarged(displacement_mm(velocity, 1.0)), 1.0) == 0
        assert folded_share(enlarged(velocity), 1.0) > 0

    def test_the_lesson_judges_images_labels_and_smoothness(self, library: Library) -> None:
        lesson = RegistrationLesson(library, ("person-3",))
        torch.manual_seed(0)
        network = lesson.network().eval()
        with torch.inference_mode():
            losses = [float(lesson.loss(network, seed)) for seed in (1, 1, 2)]
            after, before, folded = lesson.check(network)
        assert losses[0] == losses[1] != losses[2]
        assert after == pytest.approx(before, abs=0.02)  # random weights move next to nothing
        assert folded == 0

    def test_the_command_trains_what_takes_greedy_s_place(self, train: Train, library: Library) -> None:
        path, card = train("registration", hold_out=["person-3"])
        network = with_weights(RegistrationNetwork(), path, card)
        scan, case = library.image(0, "T1w"), library.image(5, "T1w")
        arguments = (scan, [case, scan], compared_region(library), library.resolution, 1)
        fields = register_cases(*arguments, register=by_network(network, card.resolution_mm))
        assert [field.shape for field in fields] == [(*library.grid.shape, 3)] * 2
        with pytest.raises(SettingsError, match="expected voxels of 1 mm, found 4 mm"):
            register_cases(*arguments, register=by_network(network, 1.0))
