"""Who is in a cohort."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from cerebatch.errors import SettingsError
from cerebatch.simulation.cohorts import published_cohorts
from cerebatch.simulation.cohorts.maps_source import pairing
from cerebatch.simulation.cohorts.people import LIFESPAN_YEARS, Person, lifespan_people, table1_people

PRINTED_SIZES = {
    "ABIDE": 905, "ADNI": 1649, "AIBL": 338, "ICBM": 294, "IRC0": 194, "IXI": 549, "NDAR": 493, "OASIS": 393,
    "UCLA": 42,
}  # fmt: skip
"""As the text of section 2 gives them; C-MIND, 236, is IRC0 and UCLA."""


@pytest.fixture(scope="module")
def everybody() -> list[Person]:
    return table1_people(None, 1)


def test_the_sizes_are_those_of_the_paper(everybody: list[Person]) -> None:
    assert Counter(person.dataset for person in everybody) == PRINTED_SIZES
    assert len(everybody) == sum(PRINTED_SIZES.values()) == 4857
    assert PRINTED_SIZES["IRC0"] + PRINTED_SIZES["UCLA"] == 236


@pytest.mark.parametrize("group", published_cohorts.GROUPS, ids=lambda group: f"{group.dataset} {group.sex}")
def test_a_group_has_the_printed_ages_and_diagnoses(group: published_cohorts.Group, everybody: list[Person]) -> None:
    members = [person for person in everybody if (person.dataset, person.sex) == (group.dataset, group.sex)]
    ages = np.array([person.age_years for person in members])
    low, high = published_cohorts.AGE_LIMITS[group.dataset]
    assert Counter(person.diagnosis for person in members) == group.diagnoses
    assert ages.mean() == pytest.approx(group.mean_years, abs=0.35)
    assert ages.std() == pytest.approx(group.sd_years, rel=0.05)
    assert low <= ages.min() < ages.max() <= high


def test_several_sites_of_a_dataset_have_scanners_and_c_mind_has_one(everybody: list[Person]) -> None:
    sites = {dataset: {p.site for p in everybody if p.dataset == dataset} for dataset in PRINTED_SIZES}
    assert len(sites["ABIDE"]) == 20
    assert sites["IRC0"] == sites["UCLA"] == {"C-MIND-01"}
    assert len(set.union(*sites.values())) > 50


@pytest.mark.parametrize("count", [40, 500, 4000])
def test_fewer_people_are_a_proportional_sample_and_the_first_of_more(count: int, everybody: list[Person]) -> None:
    some = table1_people(count, 1)
    assert some == everybody[:count]
    for group in published_cohorts.GROUPS:
        share = sum((p.dataset, p.sex) == (group.dataset, group.sex) for p in some)
        # Each diagnosis of a group is rounded by itself.
        assert abs(share - count * group.size / 4857) <= 0.51 * len(group.diagnoses) + 0.5


def test_patients_of_a_small_sample_are_as_old_as_its_healthy() -> None:
    some = [p for p in table1_people(1500, 3) if p.dataset == "ABIDE" and p.sex == "M"]
    patients, healthy = ([p.age_years for p in some if (p.diagnosis == "CN") == cn] for cn in (False, True))
    assert np.mean(patients) == pytest.approx(np.mean(healthy), abs=1.0)


def test_a_plain_cohort_is_spread_over_life_at_every_size() -> None:
    people = lifespan_people(40, 2)
    assert people[:10] == lifespan_people(10, 2)
    low, high = LIFESPAN_YEARS
    for some in (people[:10], people):
        counts, _ = np.histogram([p.age_years for p in some], bins=5, range=(low, high))
        assert counts.min() >= 0.5 * len(some) / 5
    assert {p.sex for p in people} == {"F", "M"}
    assert len({p.site for p in people}) > 3
    assert lifespan_people(40, 3) != people


@pytest.mark.parametrize("count", [0, -1, 4858])
def test_a_number_of_people_that_the_table_has_not_is_refused(count: int) -> None:
    with pytest.raises(SettingsError, match="1 to 4857"):
        table1_people(count, 1)


@pytest.mark.parametrize(("count", "years"), [(0, (1.0, 90.0)), (3, (50.0, 50.0)), (3, (-1.0, 8.0)), (3, (1.0, 130.0))])
def test_no_people_and_ages_that_are_no_range_are_refused(count: int, years: tuple[float, float]) -> None:
    with pytest.raises(SettingsError, match="ages from 0 to 120"):
        lifespan_people(count, 1, years)


@pytest.mark.parametrize(("maps", "heads"), [(1, 4), (4, 16), (2, 12)])
def test_people_of_one_map_or_one_head_are_of_all_ages(maps: int, heads: int) -> None:
    people = lifespan_people(20 * maps * heads, 11)
    pairs = np.array([pairing(person.number, maps, heads, 11) for person in people])
    ages = np.array([person.age_years for person in people])
    assert set(Counter(map(tuple, pairs.tolist())).values()) == {20}
    for part, count in zip(pairs.T, (maps, heads), strict=True):
        for one in range(count):
            # Ages are even over the years: a mean of n has a standard error of 89 / sqrt(12 n).
            members = ages[part == one]
            assert members.mean() == pytest.approx(ages.mean(), abs=4 * 89 / np.sqrt(12 * members.size))


def test_pairs_of_a_cohort_begin_a_larger_cohort_and_have_the_seeds_order() -> None:
    orders = [[pairing(number, 2, 12, seed) for number in range(1, 49)] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert set(orders[0][:24]) == set(orders[0][24:]) and orders[0][:24] != orders[0][24:]
