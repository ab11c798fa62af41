"""Weights on disk, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cerebatch.errors import SettingsError, WeightsError
from cerebatch.networks import folder as folders
from cerebatch.networks.architectures.build import build
from cerebatch.networks.card import Card, read_card
from cerebatch.networks.weights import read_network, write_weights

Write = Callable[..., Path]


def test_what_was_written_is_read(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path)
    torch.manual_seed(1)
    original = build("dpn", "sides").state_dict()
    for name, value in read_network(path).state_dict().items():
        assert torch.equal(value, original[name]), name
    card = read_card(path, Card)
    assert (card.architecture, card.task, card.licence) == ("dpn", "sides", "CC-BY-NC-SA-4.0")


def test_the_same_weights_are_the_same_bytes_each_time(tmp_path: Path, write: Write) -> None:
    assert len({write(tmp_path / str(turn)).read_bytes() for turn in range(8)}) == 1


def test_half_precision_takes_half_the_space_and_is_read_as_float32(tmp_path: Path) -> None:
    network = build("dpn", "sides")
    card = Card(architecture="dpn", task="sides", resolution_mm=1.0, parameters=1, training={})
    whole = write_weights(tmp_path / "a", network, card).stat().st_size
    path = write_weights(tmp_path / "b", network, card, torch.bfloat16)
    assert path.stat().st_size < 0.55 * whole
    assert {value.dtype for value in read_network(path).state_dict().values()} == {torch.float32}


def test_a_changed_file_is_refused(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"expected SHA-256 .* as its card says"):
        read_network(path)


def test_weights_of_another_architecture_are_refused(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path)
    card = path.with_suffix(".json")
    card.write_text(card.read_text().replace('"dpn"', '"unet"'))
    with pytest.raises(WeightsError, match="expected weights of unet-sides"):
        read_network(path)


@pytest.mark.parametrize("content", ["", "{}", '{"format": 9}'])
def test_a_card_that_says_nothing_is_refused(tmp_path: Path, write: Write, content: str) -> None:
    path = write(tmp_path)
    path.with_suffix(".json").write_text(content)
    with pytest.raises(WeightsError, match="expected a card of version 1 or 2"):
        read_card(path, Card)


def test_a_card_of_a_later_version_is_refused_by_its_number(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path)
    card = path.with_suffix(".json")
    card.write_text(card.read_text().replace('"format": 1', '"format": 2'))
    assert read_card(path, Card).format == 2
    card.write_text(card.read_text().replace('"format": 2', '"format": 3'))
    with pytest.raises(WeightsError, match=r"dpn-sides\.json.*version 1 or 2.*found.*3"):
        read_card(path, Card)


def test_a_pickle_is_no_weights(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path)
    torch.save(build("dpn", "sides").state_dict(), path)
    with pytest.raises(WeightsError, match="safetensors"):
        read_network(path)


def test_a_folder_needs_a_whole_cascade(tmp_path: Path, write: Write) -> None:
    write(tmp_path, task="sides")
    with pytest.raises(WeightsError, match=r"found dpn-sides\.safetensors"):
        folders.read_cards(tmp_path)
    write(tmp_path, task="lobules")
    assert [card.stem for card in folders.read_cards(tmp_path)] == ["dpn-sides", "dpn-lobules"]


def test_networks_of_two_resolutions_are_no_ensemble(tmp_path: Path, write: Write) -> None:
    for architecture, mm in (("dpn", 1.0), ("unet", 0.5)):
        for task in ("sides", "lobules"):
            write(tmp_path, architecture, task, mm=mm)
    with pytest.raises(WeightsError, match=r"found \[0.5, 1.0\] mm"):
        folders.read_cards(tmp_path)


def test_the_digest_changes_with_any_weight(tmp_path: Path, write: Write) -> None:
    for task in ("sides", "lobules"):
        write(tmp_path, task=task)
    before = folders.digest(tmp_path)
    write(tmp_path, task="lobules", seed=2)
    assert folders.digest(tmp_path) != before


def test_a_resolution_without_weights_is_told() -> None:
    with pytest.raises(SettingsError, match=r"no weights for 4 mm.*--method atlas"):
        folders.shipped_weights(4.0)


def test_cards_are_plain_json(tmp_path: Path, write: Write) -> None:
    assert json.loads(write(tmp_path).with_suffix(".json").read_text())["space"] == "MNI152NLin2009aSym"
