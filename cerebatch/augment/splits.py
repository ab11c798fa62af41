"""Dividing an augmentation set, and the library behind it, so that nobody is on both sides.

Whose a case is: the person of its lobules, the person whose head surrounds them, and the person whose shape it took.
Twins have the same person and head. A case whose people would stand on two sides is left out, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

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

    People who occur in the most cases are dealt out first; everybody else goes where most of the cases are that they
    occur in. So a case is left out only where one person is bound to people of several folds.

    Parameters
    ----------
    people : mapping of case to people
    count : int
        Of folds, 2 or more.
    seed : int
        Of who is dealt out first among equals.

    Raises
    ------
    ValueError
        Fewer people that bind others than folds.
    """
    if count < 2:
        raise ValueError(f"expected 2 folds or more, found {count}")
    fold_of = _dealt(people, count, seed)
    return [hold_out(people, {one for one, fold in fold_of.items() if fold == number}) for number in range(count)]


def _dealt(people: Mapping[str, frozenset[str]], count: int, seed: int) -> dict[str, int]:
    groups = _bound(people.values())
    rng = np.random.default_rng(seed)
    fold_of: dict[str, int] = {}
    if len(groups) >= count:  # nobody has to be torn apart
        order = sorted(range(len(groups)), key=lambda k: (-len(groups[k]), rng.random()))
        loads = [0] * count
        for k in order:
            fold = int(np.argmin(loads))
            loads[fold] += len(groups[k])
            fold_of |= dict.fromkeys(groups[k], fold)
        return fold_of
    occurs = Counter(one for of in people.values() for one in of)
    by_use = sorted(occurs, key=lambda one: (-occurs[one], rng.random()))
    if len(by_use) < count:
        raise ValueError(f"expected at least {count} people for {count} folds, found {len(by_use)}")
    fold_of |= {one: k % count for k, one in enumerate(_most_used(by_use, occurs, count))}
    for one in by_use:
        if one not in fold_of:
            votes = Counter(fold_of[other] for of in people.values() if one in of for other in of if other in fold_of)
            sizes = Counter(fold_of.values())
            fold_of[one] = max(range(count), key=lambda fold: (votes[fold], -sizes[fold]))
    return fold_of


def _most_used(by_use: Sequence[str], occurs: Mapping[str, int], count: int) -> list[str]:
    """The people who bind the others together: those who occur as often as the `count`-th or nearly so."""
    least = occurs[by_use[count - 1]]
    return [one for one in by_use if occurs[one] >= least]


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
