"""What a training step sees, and what it must never see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cerebatch.labels import STRUCTURES, mirrored
from cerebatch.library.case import LabelledCase
from cerebatch.library.store import Library, open_library
from cerebatch.library.tissues import TISSUES
from cerebatch.training import samples as module
from cerebatch.training.atlases import TrainingAtlases
from cerebatch.training.samples import Samples, without_borders


def test_the_same_seed_gives_the_same_sample(library: Library, atlases: TrainingAtlases) -> None:
    drawn = [Samples(library, atlases, "lobules").draw(seed) for seed in (5, 5, 6)]
    assert torch.equal(drawn[0].image, drawn[1].image)
    assert torch.equal(drawn[0].target, drawn[1].target)
    assert drawn[0].image.shape != drawn[2].image.shape or not torch.equal(drawn[0].image, drawn[2].image)


def test_sides_and_lobules_have_their_classes_and_shapes(library: Library, atlases: TrainingAtlases) -> None:
    sides = Samples(library, atlases, "sides").draw(1)
    assert sides.image.shape == (1, 3, *library.grid.shape)
    assert set(sides.target.unique().tolist()) <= {0, 1, 2}
    lobules = Samples(library, atlases, "lobules").draw(1)
    assert lobules.image.shape[2:] == lobules.target.shape
    assert int(lobules.target.max()) <= len(STRUCTURES)


@pytest.mark.parametrize("hold_out", [("person-2",), ("person-2", "person-3")])
def test_who_is_held_out_is_not_drawn(library: Library, atlases: TrainingAtlases, hold_out: tuple[str, ...]) -> None:
    samples = Samples(library, atlases, "sides", hold_out=hold_out, hold_out_heads=("h2",))
    assert samples.training
    assert not {library.persons[k] for k in samples.training + samples.validation} & set(hold_out)
    assert {library.heads[k] for k in samples.training} == {"h1"}
    assert {library.heads[k] for k in samples.validation} == {"h2"}


def test_who_is_held_out_has_no_vote_in_the_atlas(library: Library, atlases: TrainingAtlases) -> None:
    """In the fixture's atlas without person 2 all labels are 2, and 15 where it is mirrored."""
    samples = Samples(library, atlases, "lobules", hold_out=("person-2",))
    for index in samples.training:
        votes = samples.canonical(index).image[0, 2]
        assert votes.unique().tolist() == pytest.approx([0.0, 2 / 13])
    alone = Samples(library, atlases, "lobules", hold_out=("person-2", "person-3"))
    assert not alone.canonical(alone.training[0]).image[0, 2].any()
    assert not any(alone.draw(seed).image[0, 2].any() for seed in range(5))


def test_the_atlas_of_a_twin_is_mirrored(library: Library, atlases: TrainingAtlases) -> None:
    twin = next(k for k, is_mirrored in enumerate(library.mirrored) if is_mirrored)
    original = library.names.index(library.twins[twin])
    np.testing.assert_array_equal(atlases.read(twin), mirrored(atlases.read(original)[::-1]))
    np.testing.assert_array_equal(atlases.read(twin) > 0, library.dseg(twin) > 0)


def test_an_image_does_not_know_the_labels(
    library: Library, atlases: TrainingAtlases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One intensity a tissue: other lobules in the same tissues give the same image."""
    monkeypatch.setattr(module, "_BLIND", 0.0)
    plain, other = Samples(library, atlases, "sides"), Samples(library, atlases, "sides")
    exchanged = np.arange(256, dtype=np.uint8)
    exchanged[1:14] = exchanged[13:0:-1]
    other._dseg = lambda index: exchanged[library.dseg(index)]  # type: ignore[assignment]
    other._lobules = lambda index: exchanged[library.lobules(index)]  # type: ignore[assignment]
    for seed in range(6):
        assert torch.equal(plain.draw(seed).image[:, :2], other.draw(seed).image[:, :2])


def test_a_real_case_is_seen_as_it_was_scanned(
    make_case: Callable[..., LabelledCase],
    write_library: Callable[[Path, list[LabelledCase]], Path],
    library: Library,
    atlases: TrainingAtlases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its tissues are not known; other images give other samples, and without a T2w there is none."""
    monkeypatch.setattr(module, "_T2W", {"T2-like": 1.0})
    made = replace(make_case("a", 1), rendered=False)
    made.tissue[:] = 0
    other = replace(made, image=made.image[::-1].copy())
    alone = replace(made, image=made.image * np.array([1, 0], np.float32)[:, None, None, None])
    seen = []
    for name, case in (("made", made), ("other", other), ("alone", alone)):
        own = open_library(write_library(tmp_path / f"{name}.zarr", [case]))
        # Two people are held out, so that no atlas is asked for.
        samples = Samples(own, atlases, "sides", hold_out=("person-8", "person-9"))
        seen.append(samples.draw(3).image[0])
    assert not torch.equal(seen[0][0], seen[1][0])
    assert torch.equal(seen[0][0], seen[2][0])
    assert seen[0][1].any()
    assert not seen[2][1].any()


def test_without_borders_nothing_but_outline_and_core_is_left() -> None:
    torch.manual_seed(0)
    lobules = torch.zeros(24, 24, 24, dtype=torch.uint8)
    lobules[4:20, 4:20, 4:20] = torch.randint(1, 13, (16, 16, 16))
    lobules[10:12] = 0  # a fissure
    lobules[13:19, 8:16, 8:16] = 13
    shares = torch.rand(len(TISSUES), 24, 24, 24)
    erased, closed = without_borders(shares, lobules)
    assert closed[4:20, 4:20, 4:20].all()
    inside = erased[:, closed]
    white, grey = inside[TISSUES.index("WM")], inside[TISSUES.index("GM")]
    assert set(white.unique().tolist()) == {0.0, 255.0}
    assert torch.equal(white + grey, torch.full_like(white, 255))
    assert inside.sum(0).unique().tolist() == [255.0]
    assert erased[TISSUES.index("WM")][15, 12, 12] == 255
    assert torch.equal(erased[:, ~closed], shares[:, ~closed])


def test_the_mask_of_the_second_network_is_not_perfect(library: Library, atlases: TrainingAtlases) -> None:
    samples = Samples(library, atlases, "lobules")
    torch.manual_seed(0)
    truth = torch.zeros(32, 32, 32, dtype=torch.bool)
    truth[8:24, 8:24, 8:24] = True
    found = torch.from_numpy(module._imperfect(truth))
    assert (found & ~truth).any()
    assert (truth & ~found).any()
    assert found[10:22, 10:22, 10:22].all()
    assert samples.validation == []
