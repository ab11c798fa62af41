"""Dividing an augmentation set, and the library behind it, so that nobody is on both sides.

Whose a case is: the person of its lobules, the person whose head surrounds them, and the person whose shape it took.
Twins have the same person and head. A case whose people would stand on two sides is left out, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cerebatch.augment.store import AugmentedSet
from cerebatch.library.store import Library


@dataclass(frozen=True)
class Split:
    """Names of cases on two sides.

    Attributes
    ----------
    train, test : tuple of str
        Nobody of the one occurs in the other.
    left_out : tuple of str
        Cases whose people stand on both sides.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    left_out: tuple[str, ...]


def people_of_set(store: AugmentedSet) -> dict[str, frozenset[str]]:
    """Name of each usable case -> the people in it, as source, as head and as target."""
    columns = store.columns
    return {
        store.names[k]: frozenset((columns["person"][k], columns["head"][k], columns["target_person"][k]))
        for k in store.usable
    }


def people_of_library(library: Library) -> dict[str, frozenset[str]]:
    """Name of each case of a library -> the people in it; a twin has those of its twin."""
    return {
        name: frozenset(pair)
        for name, *pair in zip(library.names, library.persons, library.heads, strict=True)
    }  # fmt: skip


def hold_out(people: Mapping[str, frozenset[str]], held: Collection[str]) -> Split:
    """Test on people, train on the others.

    Parameters
    ----------
    people : mapping of case to people
        As `people_of_set` or `people_of_library` give them.
    held : collection of str
        Who is tested on.
    """
    held = frozenset(held)
    train = tuple(case for case, of in people.items() if not of & held)
    test = tuple(case for case, of in people.items() if of <= held)
    return Split(train, test, tuple(case for case in people if case not in {*train, *test}))


def folds(people: Mapping[str, frozenset[str]], count: int, seed: int) -> list[Split]:
    """Divide cases into folds that are tested in turn.

    Where people fall into enough groups that no case binds together, no case is left out. Else those who share the
    most cases stay together, and cases across are left out; `Split.left_out` tells how many.

    Parameters
    ----------
    people : mapping of case to people
    count : int
        Of folds, 2 or more.
    seed : int
        Decides among equals.

    Raises
    ------
    ValueError
        Fewer than 2 folds, or fewer people than folds.
    """
    if count < 2:
        raise ValueError(f"expected 2 folds or more, found {count}")
    fold_of = _dealt(people, count, seed)
    return [hold_out(people, {one for one, fold in fold_of.items() if fold == number}) for number in range(count)]


def _dealt(people: Mapping[str, frozenset[str]], count: int, seed: int) -> dict[str, int]:
    everybody = frozenset().union(*people.values())
    if len(everybody) < count:
        raise ValueError(f"expected at least {count} people for {count} folds, found {len(everybody)}")
    rng = np.random.default_rng(seed)
    groups = _bound(people.values())
    if len(groups) < count:  # somebody has to be torn apart
        groups = _clusters(people, -(-len(people) // count), rng)
    inside = Counter(group for group, of in enumerate(groups) for case in people.values() if case <= set(of))
    loads = [(0, 0)] * count
    fold_of: dict[str, int] = {}
    for group in sorted(range(len(groups)), key=lambda k: (-inside[k], -len(groups[k]), rng.random())):
        fold = min(range(count), key=lambda k: loads[k])
        loads[fold] = (loads[fold][0] + inside[group], loads[fold][1] + len(groups[group]))
        fold_of |= dict.fromkeys(groups[group], fold)
    return fold_of


def _clusters(people: Mapping[str, frozenset[str]], most: int, rng: np.random.Generator) -> list[list[str]]:
    """People who share the most cases put together, as long as no cluster holds more than `most` whole cases."""
    shared = Counter(pair for case in people.values() for pair in combinations(sorted(case), 2))
    cluster_of = {one: {one} for one in sorted(frozenset().union(*people.values()))}
    for one, other in sorted(shared, key=lambda pair: (-shared[pair], rng.random())):
        both = cluster_of[one] | cluster_of[other]
        if cluster_of[one] is not cluster_of[other] and sum(case <= both for case in people.values()) <= most:
            for member in both:
                cluster_of[member] = both
    unlike = {id(cluster): sorted(cluster) for cluster in cluster_of.values()}
    return list(unlike.values())


def _bound(groups: Iterable[frozenset[str]]) -> list[list[str]]:
    """People who are bound together by cases, directly or through others; in the order of their names."""
    parent: dict[str, str] = {}

    def root(one: str) -> str:
        while parent[one] != one:
            one = parent[one]
        return one

    for group in groups:
        first, *others = sorted(group)
        parent.setdefault(first, first)
        for other in others:
            parent.setdefault(other, other)
            parent[root(other)] = root(first)
    found: dict[str, list[str]] = {}
    for one in sorted(parent):
        found.setdefault(root(one), []).append(one)
    return list(found.values())
