"""What a finished set is for: atlases without leaks, splits, datasets, exports."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
import torchio
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from cerebatch.augment.atlas_pass import cost, jobs_of, make_atlases
from cerebatch.augment.dataset import CaseDataset, SubjectDataset, half_and_half
from cerebatch.augment.nnunet import export
from cerebatch.augment.verify import verify
from cerebatch.batch.cluster.profile import load_profile
from cerebatch.errors import DatasetError, LibraryError
from cerebatch.library.augmented.splits import Split, folds, hold_out, people_of_library, people_of_set
from cerebatch.library.augmented.store import AugmentedSet, open_augmented
from cerebatch.library.store import Library
from cerebatch.networks.card import Card, read_card
from cerebatch.training import samples as samples_module
from cerebatch.training.atlases import TrainingAtlases
from cerebatch.training.config import TrainingConfig
from cerebatch.training.samples import Samples
from cerebatch.training.train import train

LETTERS = st.sampled_from("abcdefgh")
PEOPLE = st.dictionaries(st.integers(0, 60).map(str), st.frozensets(LETTERS, min_size=1, max_size=3), min_size=2)


@pytest.fixture(scope="module")
def with_atlases(
    made_set: AugmentedSet, small_library: Library, tmp_path_factory: pytest.TempPathFactory
) -> AugmentedSet:
    """A copy of the set with atlases of two votes."""
    path = Path(shutil.copytree(made_set.path, tmp_path_factory.mktemp("atlases") / "SET.zarr"))
    jobs = jobs_of(open_augmented(path), small_library, 2)
    outcomes = make_atlases(jobs, load_profile("serial"), lambda _: None)
    assert {outcome.status for outcome in outcomes} == {"done"}
    return open_augmented(path)


@pytest.fixture(scope="module")
def no_atlases(small_library: Library, tmp_path_factory: pytest.TempPathFactory) -> TrainingAtlases:
    """Atlases of the library's cases in which nobody voted for anything."""
    folder = tmp_path_factory.mktemp("none")
    nothing = np.zeros(small_library.grid.shape, dtype=np.uint8)
    for name in small_library.names:
        np.savez(folder / f"{name}.npz", all=nothing, a=nothing, b=nothing)
    return TrainingAtlases(small_library, folder)


def test_nobody_votes_for_an_atlas_who_is_in_its_source(with_atlases: AugmentedSet, small_library: Library) -> None:
    told = with_atlases.atlas_columns()
    for index in with_atlases.usable:
        source = small_library.names.index(with_atlases.columns["source"][index])
        voters = [small_library.names.index(name) for name in told["atlas_cases"][index].split(",")]
        assert len(voters) == 2
        for voter in voters:
            assert small_library.persons[voter] != small_library.persons[source]
            assert small_library.heads[voter] != small_library.heads[source]
            assert small_library.names[voter] != small_library.twins[source]


def test_an_atlas_resembles_the_labels(with_atlases: AugmentedSet) -> None:
    for index in with_atlases.usable:
        atlas, dseg = with_atlases.atlas(index) > 0, with_atlases.dseg(index) > 0
        assert 2 * np.sum(atlas & dseg) / (atlas.sum() + dseg.sum()) > 0.85


def test_a_set_with_atlases_verifies_and_a_leak_would_be_found(with_atlases: AugmentedSet, tmp_path: Path) -> None:
    assert verify(with_atlases.path) == []
    path = Path(shutil.copytree(with_atlases.path, tmp_path / "leaking.zarr"))
    import zarr

    group = zarr.open_group(path, mode="r+")
    persons = group["atlas_persons"]
    assert isinstance(persons, zarr.Array)
    persons[:] = np.array(["a,b"] * 4, dtype=object)
    assert sum("voted for its atlas" in problem for problem in verify(path)) == 3


def test_the_cost_is_registrations_times_seconds(made_set: AugmentedSet, small_library: Library) -> None:
    told = cost(made_set, small_library, 20)
    assert (told.cases, told.registrations) == (3, 6)  # two cases of the other person in the other head
    assert told.seconds > 0
    assert "6 registrations" in str(told)


def test_atlases_of_another_number_of_votes_do_not_go_on(with_atlases: AugmentedSet, small_library: Library) -> None:
    jobs = jobs_of(with_atlases, small_library, 1)
    with pytest.raises(LibraryError, match="found atlases of 2 cases"):
        make_atlases(jobs, load_profile("serial"), lambda _: None)


@given(PEOPLE, st.integers(2, 4), st.integers(0, 9))
@settings(deadline=None)
def test_nobody_is_on_two_sides_of_a_fold(people: dict[str, frozenset[str]], count: int, seed: int) -> None:
    if len(frozenset().union(*people.values())) < count:
        with pytest.raises(ValueError, match="expected at least"):
            folds(people, count, seed)
        return
    splits = folds(people, count, seed)
    assert len(splits) == count
    for split in splits:
        train, test = (frozenset().union(*(people[name] for name in side)) for side in (split.train, split.test))
        assert not train & test
        assert sorted([*split.train, *split.test, *split.left_out]) == sorted(people)


def test_people_who_are_not_bound_together_lose_no_case() -> None:
    people = {str(k): frozenset({f"source{k % 4}", f"target{k}"}) for k in range(20)}
    splits = folds(people, 2, seed=1)
    assert all(split.left_out == () for split in splits)
    assert sorted(splits[0].test + splits[1].test) == sorted(people)


def test_folds_of_a_few_sources_in_all_heads_keep_something_to_learn_from_and_to_test_on() -> None:
    apart = {str(k): frozenset({f"source{k % 4}", f"head{k % 16}", f"target{k}"}) for k in range(999)}
    crossed = {str(k): frozenset({f"source{k % 4}", f"head{k // 4 % 16}", f"target{k}"}) for k in range(999)}
    assert all(split.left_out == () for split in folds(apart, 4, seed=1))
    for split in folds(crossed, 4, seed=1):
        assert len(split.test) > 999 / 20
        assert len(split.train) > 999 / 2.5


def test_a_split_separates_sources_heads_targets_and_twins(made_set: AugmentedSet, small_library: Library) -> None:
    held = {"a", "h", "01"}
    people = people_of_set(made_set) | people_of_library(small_library)
    split = hold_out(people, held)
    assert {"a_h", "a_h-mirrored"} <= set(split.test)
    assert {"b_k", "b_k-mirrored"} <= set(split.train)
    assert {"a_k", "b_h"} <= set(split.left_out)
    assert not any(people[name] & held for name in split.train)
    assert all(people[name] <= held for name in split.test)
    assert isinstance(split, Split)


@pytest.mark.parametrize("one", ["maker-1", "head-9"])
def test_a_split_separates_the_people_whose_maps_a_simulated_target_was_made_from(
    made_set: AugmentedSet, one: str
) -> None:
    split = hold_out(people_of_set(made_set), {one})
    assert split.left_out == ("sub-01",)
    assert set(split.train) == {"sub-02_ses-1", "sub-02_ses-2"}
    assert hold_out(people_of_set(made_set), {""}).train == tuple(people_of_set(made_set))


def test_a_loader_with_two_workers_reads_cases(made_set: AugmentedSet, small_library: Library) -> None:
    made_set.image(0, "T1w")  # the parent has read before it forks
    original, augmented = CaseDataset(small_library), CaseDataset(made_set)
    assert len(augmented) == 3
    both, sampler = half_and_half(original, augmented, samples=8, seed=1)
    loader = DataLoader(both, batch_size=2, sampler=sampler, num_workers=2)
    batches = list(loader)
    assert len(batches) == 4
    for batch in batches:
        assert batch["image"].shape == (2, 2, 36, 24, 24)
        assert batch["label"].dtype == torch.int64
        for name, image in zip(batch["name"], batch["image"], strict=True):
            source = made_set if name in made_set.names else small_library
            np.testing.assert_array_equal(image[0], source.image(source.names.index(name), "T1w"))


class Numbers(Dataset[int]):
    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, item: int) -> int:
        return item


def test_half_is_original_and_half_augmented_whatever_their_numbers() -> None:
    _, sampler = half_and_half(Numbers(13), Numbers(487), samples=20_000, seed=3)
    drawn = list(sampler)
    share = np.mean(np.array(drawn) < 13)
    assert abs(share - 0.5) < 0.02
    assert drawn == list(half_and_half(Numbers(13), Numbers(487), samples=20_000, seed=3)[1])


def test_fine_tuning_sees_carried_cases_half_the_time_and_none_of_a_held_out_source(
    with_atlases: AugmentedSet, small_library: Library, no_atlases: TrainingAtlases, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = {with_atlases.columns["person"][k] for k in with_atlases.usable}
    held_out = sorted(set(small_library.persons) - people)[:1] or sorted(people)[:1]
    samples = Samples(small_library, no_atlases, "sides", hold_out=tuple(held_out), augmented=with_atlases)
    assert samples.carried
    for held in ({"hold_out": ("maker-1",)}, {"hold_out_heads": ("head-9",)}):
        without = Samples(small_library, no_atlases, "sides", augmented=with_atlases, **held)
        assert without.carried == [k for k in with_atlases.usable if with_atlases.names[k] != "sub-01"]
    assert not {with_atlases.columns["person"][k] for k in samples.carried} & set(held_out)
    assert samples.draw(3).image.shape == (1, 3, *small_library.grid.shape)
    monkeypatch.setattr(samples, "_drawn_carried", lambda: "carried")
    assert 10 <= [samples.draw(seed) for seed in range(40)].count("carried") <= 30  # type: ignore[arg-type]


def test_a_held_out_person_has_no_vote_in_what_fine_tuning_sees(
    with_atlases: AugmentedSet, small_library: Library, no_atlases: TrainingAtlases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are two people: the atlas of a carried case of one is the other's votes."""
    monkeypatch.setattr(samples_module, "_AUGMENTED", 1.0)
    source = with_atlases.columns["person"][with_atlases.usable[0]]
    (other,) = set(small_library.persons) - {source}
    drawn = {}
    for without in ((), (other,)):
        samples = Samples(small_library, no_atlases, "sides", hold_out=without, augmented=with_atlases)
        drawn[without] = [bool(samples.draw(seed).image[0, 2].any()) for seed in range(8)]
    assert any(drawn[()])
    assert not any(drawn[(other,)])


def test_a_card_names_the_set_that_it_was_tuned_on(
    made_set: AugmentedSet, small_library: Library, no_atlases: TrainingAtlases, tmp_path: Path
) -> None:
    config = TrainingConfig(
        library=small_library.path, atlases=no_atlases.folder, architecture="dpn", task="sides", steps=2,
        hold_out=("a",), augmented=made_set.path,
    )  # fmt: skip
    train(config, tmp_path, lambda _: None)
    told = read_card(tmp_path / "dpn-sides.safetensors", Card).training
    carried = [k for k in made_set.usable if made_set.columns["person"][k] != "a"]
    assert (told["augmented"], told["augmented cases"]) == (made_set.digest, len(carried))


def test_subjects_have_one_affine(with_atlases: AugmentedSet) -> None:
    cases = CaseDataset(with_atlases, ["sub-01", "sub-02_ses-2"], with_atlas=True)
    subjects = SubjectDataset(cases, torchio.RandomFlip(axes=0, flip_probability=1.0))
    assert len(subjects) == 2
    subject = subjects[1]
    assert subject["name"] == "sub-02_ses-2"
    for name in ("t1", "t2", "label", "atlas"):
        np.testing.assert_array_equal(subject[name].affine, with_atlases.grid.affine)
    np.testing.assert_array_equal(subject["label"].data[0].numpy()[::-1], with_atlases.dseg(2))


def test_names_that_are_not_usable_are_refused(made_set: AugmentedSet) -> None:
    with pytest.raises(ValueError, match="expected names of usable cases, found sub-05"):
        CaseDataset(made_set, ["sub-01", "sub-05"])
    with pytest.raises(ValueError, match="expected a set with atlases"):
        CaseDataset(made_set, with_atlas=True)


def test_the_nnunet_export_is_what_nnunet_reads(with_atlases: AugmentedSet, tmp_path: Path) -> None:
    folder = tmp_path / "Dataset007_Cerebellum"
    divided = folds(people_of_set(with_atlases), 2, seed=1)
    assert export(with_atlases, folder, folds=divided) == 3
    description = json.loads((folder / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "T1w", "1": "T2w", "2": "atlas"}
    assert sorted(description["labels"].values()) == list(range(27))
    assert description["numTraining"] == len(list((folder / "labelsTr").iterdir())) == 3
    for index in with_atlases.usable:
        name = with_atlases.names[index]
        images = [nib.load(folder / "imagesTr" / f"{name}_{channel:04d}.nii.gz") for channel in range(3)]
        labels = nib.load(folder / "labelsTr" / f"{name}.nii.gz")
        assert len({image.affine.tobytes() for image in [*images, labels]}) == 1
        np.testing.assert_array_equal(np.asarray(labels.dataobj), with_atlases.dseg(index))
        np.testing.assert_array_equal(np.asarray(images[1].dataobj), with_atlases.image(index, "T2w"))
    assert len(json.loads((folder / "splits_final.json").read_text())) == 2
    with pytest.raises(DatasetError, match="expected a new or empty folder"):
        export(with_atlases, folder)
