"""Dividing an augmentation set, and the library behind it, so that nobody is on both sides.

Whose a case is: the person of its lobules, the person whose head surrounds them, and the person whose shape it took,
with those of the maps that a simulated one was made from.
Twins have the same person and head. A case whose people would stand on two sides is left out, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cerebatch.library.augmented.store import AugmentedSet
from cerebatch.library.store import Library

_UNEVEN = 0.02
"""By which share of its cases a fold may be ahead of another while people are dealt."""


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
    who = (columns[name] for name in ("person", "head", "target_person", "target_made_from"))
    people = [frozenset((*one, *made_from.split(","))) - {""} for *one, made_from in zip(*who, strict=True)]
    return {store.names[k]: people[k] for k in store.usable}


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

    Where people fall into enough groups that no case binds together, no case is left out. Else people are torn apart,
    and cases across are left out; `Split.left_out` tells how many.

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
    if len(groups) < count:
        return _torn(people, count, rng)
    load, fold_of = [0] * count, dict[str, int]()
    cases = Counter(one for case in people.values() for one in case)
    for group in sorted(groups, key=lambda group: (-sum(cases[one] for one in group), rng.random())):
        fold = min(range(count), key=lambda k: load[k])
        load[fold] += sum(cases[one] for one in group)
        fold_of |= dict.fromkeys(group, fold)
    return fold_of


def _torn(people: Mapping[str, frozenset[str]], count: int, rng: np.random.Generator) -> dict[str, int]:
    """Those with the most cases are dealt first, evenly; each goes where the others of most of his cases are."""
    cases_of: dict[str, list[frozenset[str]]] = {}
    for case in people.values():
        for one in sorted(case):
            cases_of.setdefault(one, []).append(case)
    slack = _UNEVEN * sum(map(len, cases_of.values())) / count
    load, fold_of = [0] * count, dict[str, int]()
    for one in sorted(cases_of, key=lambda one: (-len(cases_of[one]), rng.random())):
        where = [{fold_of[other] for other in case if other in fold_of} for case in cases_of[one]]
        whole = Counter(next(iter(folds)) for folds in where if len(folds) == 1)
        open_to = [k for k in range(count) if load[k] - min(load) <= slack]
        fold = max(open_to, key=lambda k: (whole[k], -load[k]))
        load[fold] += len(cases_of[one])
        fold_of[one] = fold
    return fold_of


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
