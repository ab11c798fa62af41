"""Loss, precision, and trainings that are killed and go on."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from cerebatch.cli.main import app
from cerebatch.errors import LibraryError, SettingsError, WeightsError
from cerebatch.library.store import Library
from cerebatch.networks.architectures.build import build
from cerebatch.networks.architectures.refined import Refined
from cerebatch.networks.card import Architecture, Card, read_card
from cerebatch.networks.weights import read_network
from cerebatch.training.atlases import TrainingAtlases
from cerebatch.training.config import TrainingConfig
from cerebatch.training.loop import CHECKPOINT, Training
from cerebatch.training.loss import log_dice_bce
from cerebatch.training.samples import Samples
from cerebatch.training.tasks.segmentation import SegmentationLesson
from cerebatch.training.train import read_config, train


def test_the_loss_is_equation_1_with_the_mean_of_dice() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(1, 4, 3, 5, 2), torch.randint(0, 4, (3, 5, 2))
    share = logits[0].softmax(0).numpy().astype(np.float64)
    truth = np.eye(4)[target.numpy()].transpose(3, 0, 1, 2)
    dice = [(2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1) for p, t in zip(share, truth, strict=True)]
    entropy = -np.mean(truth * np.log(share) + (1 - truth) * np.log(1 - share))
    assert float(log_dice_bce(logits, target)) == pytest.approx(np.log((1 - np.mean(dice) + entropy) / 2), abs=1e-4)


def test_the_loss_falls_without_end_as_the_answer_gets_right() -> None:
    target = torch.randint(0, 3, (6, 6, 6))
    right = torch.nn.functional.one_hot(target, 3).permute(3, 0, 1, 2)[None].float()
    losses = [float(log_dice_bce(right * sure, target)) for sure in (0.0, 2.0, 6.0, 12.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < -8


@pytest.mark.parametrize("architecture", ["dpn", "unet"])
def test_gradients_as_in_training_point_where_those_in_float64_do(architecture: Architecture) -> None:
    """With channels last in memory torch's own instance normalisation points them elsewhere (cosine below 0.6)."""
    torch.manual_seed(0)
    network = build(architecture, "lobules").eval()
    image, target = torch.randn(1, 3, 32, 32, 32), torch.randint(0, 14, (32, 32, 32))
    true = gradient(network.double(), image.double(), target)
    network = network.float().to(memory_format=torch.channels_last_3d)
    image = image.to(memory_format=torch.channels_last_3d)
    single = gradient(network, image, target)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = gradient(network, image, target)
    assert not torch.equal(single, mixed)
    assert float(torch.nn.functional.cosine_similarity(true, single, dim=0)) > 0.999
    assert float(torch.nn.functional.cosine_similarity(true, mixed, dim=0)) > 0.9


def gradient(network: torch.nn.Module, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Of the loss by all weights, in a row."""
    network.zero_grad()
    log_dice_bce(network(image), target).backward()  # type: ignore[no-untyped-call]
    return torch.cat([one.grad.flatten() for one in network.parameters() if one.grad is not None]).double()


def config(library: Library, atlases: TrainingAtlases, **more: object) -> TrainingConfig:
    """A few steps."""
    settings = {"architecture": "dpn", "task": "lobules", "steps": 6, "checkpoint_every": 2, "validate_every": 4}
    return TrainingConfig(library=library.path, atlases=atlases.folder, **(settings | more))  # type: ignore[arg-type]


def lesson(settings: TrainingConfig, samples: Samples) -> SegmentationLesson:
    """What the settings say."""
    return SegmentationLesson(samples, settings.architecture, settings.task, settings.validation_cases)


def weights(training: Training) -> torch.Tensor:
    """All of them in a row."""
    return torch.cat([one.detach().flatten() for one in training.averaged.module.parameters()])


def test_a_killed_training_ends_with_the_weights_of_one_that_was_not(
    library: Library, atlases: TrainingAtlases, tmp_path: Path
) -> None:
    settings, samples = config(library, atlases), Samples(library, atlases, "lobules")
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = Training(settings, lesson(settings, samples), tmp_path / "whole")
    for _ in whole.run():
        pass
    for stop in (2, 4):  # before and after the optimiser is exchanged
        killed = Training(settings, lesson(settings, samples), tmp_path / "killed")
        for progress in killed.run():
            if progress.step > stop:
                break  # the checkpoint of this step is not written any more
    again = Training(settings, lesson(settings, samples), tmp_path / "killed")
    assert 0 < again.step < settings.steps
    for _ in again.run():
        pass
    assert torch.equal(weights(again), weights(whole))
    fresh = Training(settings, lesson(settings, samples), tmp_path)
    assert not torch.equal(weights(fresh), weights(whole))


def test_training_lowers_the_loss(library: Library, atlases: TrainingAtlases, tmp_path: Path) -> None:
    settings = config(library, atlases, task="sides", steps=30, checkpoint_every=10)
    losses = [
        progress.loss
        for progress in Training(settings, lesson(settings, Samples(library, atlases, "sides")), tmp_path).run()
    ]
    assert losses[-1] < losses[0] - 0.2


def test_the_command_writes_weights_card_and_log(library: Library, atlases: TrainingAtlases, tmp_path: Path) -> None:
    settings = config(library, atlases, hold_out=("person-3",), hold_out_heads=("h2",)).model_dump(mode="json")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in settings.items() if value is not None}))
    result = CliRunner().invoke(app, ["train", str(path), str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "step 6: loss" in result.output
    card = read_card(tmp_path / "out/dpn-lobules.safetensors", Card)
    assert card.training["persons"] == ["person-1", "person-2"]
    assert card.training["heads"] == ["h1"]
    assert card.training["steps"] == 6
    assert card.resolution_mm == 4.0
    read_network(tmp_path / "out/dpn-lobules.safetensors")
    with (tmp_path / "out/log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == ["2", "4", "6"]
    assert 0 <= float(rows[1]["mean"]) <= 1
    assert list((tmp_path / "out/events").glob("events.out.tfevents.*"))


def test_weights_of_an_earlier_training_are_a_start(library: Library, atlases: TrainingAtlases, tmp_path: Path) -> None:
    first = train(config(library, atlases, steps=2), tmp_path / "first", lambda line: None)
    (tmp_path / "second").mkdir()
    settings = config(library, atlases, start=first, seed=2)
    second = Training(settings, lesson(settings, Samples(library, atlases, "lobules")), tmp_path / "second")
    for name, value in read_network(first).state_dict().items():
        assert torch.equal(second.network.state_dict()[name], value)


def test_atlases_that_no_network_may_read_are_not_made(library: Library, tmp_path: Path) -> None:
    none = TrainingAtlases(library, tmp_path / "none")
    settings = config(library, none, steps=1, hold_out=("person-2", "person-3"))
    train(settings, tmp_path / "trained", lambda line: None)
    assert not none.folder.exists()


def test_a_folder_of_another_training_is_refused(library: Library, atlases: TrainingAtlases, tmp_path: Path) -> None:
    train(config(library, atlases, steps=2), tmp_path, lambda line: None)
    assert (tmp_path / CHECKPOINT).exists()
    with pytest.raises(SettingsError, match="found others for seed"):
        train(config(library, atlases, steps=2, seed=2), tmp_path, lambda line: None)


def test_whom_a_library_does_not_know_cannot_be_held_out(
    library: Library, atlases: TrainingAtlases, tmp_path: Path
) -> None:
    with pytest.raises(LibraryError, match="expected nobody among its people"):
        train(config(library, atlases, hold_out=("nobody",)), tmp_path, lambda line: None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("steps: 10\n", "`library`: expected the path of a library of 1 mm"),
        ("library: a\natlases: b\narchitecture: dpm\ntask: sides\nsteps: 1\n", "`architecture`"),
        ("library: a\natlases: b\narchitecture: dpn\ntask: sides\nsteps: 1\nstepz: 2\n", "`stepz`"),
        (": [", "expected a YAML file"),
    ],
)
def test_a_wrong_configuration_is_told_by_its_keys(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError) as caught:
        read_config(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_paths_in_a_configuration_start_at_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("library: a.zarr\natlases: b\narchitecture: dpn\ntask: sides\nsteps: 1\n")
    assert read_config(path).library == tmp_path / "a.zarr"


def test_a_refined_network_begins_with_the_coarse_one(
    library: Library, atlases: TrainingAtlases, tmp_path: Path
) -> None:
    coarse = train(config(library, atlases, task="sides", steps=2), tmp_path / "coarse", lambda _: None)
    settings = config(library, atlases, architecture="dpn-refined", task="sides", steps=2, start=coarse)
    (tmp_path / "begun").mkdir()
    begun = Training(settings, lesson(settings, Samples(library, atlases, "sides")), tmp_path / "begun")
    assert isinstance(begun.network, Refined)
    for name, value in read_network(coarse).state_dict().items():
        assert torch.equal(begun.network.coarse.state_dict()[name], value), name
    refined = train(settings, tmp_path / "refined", lambda _: None)
    assert refined.name == "dpn-refined-sides.safetensors"
    trained = read_network(refined)
    assert isinstance(trained, Refined)
    for name, value in read_network(coarse).state_dict().items():
        assert torch.equal(trained.coarse.state_dict()[name], value), name
    assert trained.out.weight.abs().max() > 0
    again = config(library, atlases, architecture="dpn-refined", task="sides", steps=2, start=refined)
    train(again, tmp_path / "again", lambda _: None)


def test_weights_of_another_task_are_no_beginning(library: Library, atlases: TrainingAtlases, tmp_path: Path) -> None:
    sides = train(config(library, atlases, task="sides", steps=2), tmp_path / "sides", lambda _: None)
    with pytest.raises(WeightsError, match="dpn-sides"):
        train(config(library, atlases, start=sides), tmp_path / "lobules", lambda _: None)


def test_a_refined_network_has_something_to_refine(library: Library, atlases: TrainingAtlases) -> None:
    with pytest.raises(ValueError, match=r"start.*expected weights for dpn-refined to refine"):
        config(library, atlases, architecture="dpn-refined")
