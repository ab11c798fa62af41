"""Flags and the rating: metrics against the one table of thresholds, `flags.tsv`."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from cerebatch.quality.metric import BOTH, Metric

Severity = Literal["note", "warning", "problem"]
Rating = Literal["A", "B", "C"]

SEVERITIES: tuple[Severity, ...] = ("note", "warning", "problem")
"""From the least; a note does not change the rating."""

RATINGS: dict[Rating, str] = {
    "A": "Nothing was found that speaks against these labels.",
    "B": "Something is unusual: look before you use these labels.",
    "C": "Something is wrong: do not use these labels without having looked.",
}

EVERY = "*"


@dataclass(frozen=True)
class Rule:
    """One line of the table.

    Attributes
    ----------
    flag, metric : str
    structure : str
        A structure, or `EVERY` for those that have no line of their own.
    comparison : {"<", ">"}
        A value on this side of the threshold is flagged.
    threshold : float
        In the unit of the metric.
    severity : {"note", "warning", "problem"}
    message : str
        For a reader; {structure}, {side}, {value} and {threshold} are filled in.
    """

    flag: str
    metric: str
    structure: str
    comparison: str
    threshold: float
    severity: Severity
    message: str

    def catches(self, value: float) -> bool:
        """Whether a value is flagged; NaN never is."""
        return value < self.threshold if self.comparison == "<" else value > self.threshold


@dataclass(frozen=True)
class Flag:
    """A metric beyond a threshold.

    Attributes
    ----------
    rule : Rule
    metric : Metric
    """

    rule: Rule
    metric: Metric

    @property
    def message(self) -> str:
        """A sentence for a reader."""
        side = "" if self.metric.side == BOTH else self.metric.side
        said = self.rule.message.format(
            structure=self.metric.structure,
            side=side,
            value=f"{self.metric.value:.3g}",
            threshold=f"{self.rule.threshold:g}",
        ).strip()
        return said[0].upper() + said[1:]

    def as_json(self) -> dict[str, Any]:
        """As it stands in the sidecar of ``*_quality.tsv``."""
        return {
            "Flag": self.rule.flag,
            "Severity": self.rule.severity,
            "Message": self.message,
            "Metric": self.metric.name,
            "Structure": self.metric.structure,
            "Side": self.metric.side,
            "Value": round(self.metric.value, 4),
            "Comparison": self.rule.comparison,
            "Threshold": self.rule.threshold,
        }


@cache
def rules() -> tuple[Rule, ...]:
    """The table of thresholds."""
    text = _table().decode()
    found = []
    for row in csv.DictReader(text.splitlines(), delimiter="\t"):
        severity = next(each for each in SEVERITIES if each == row["severity"])
        found.append(
            Rule(
                row["flag"], row["metric"], row["structure"], row["comparison"], float(row["threshold"]), severity,
                row["message"],
            )
        )  # fmt: skip
    return tuple(found)


def thresholds_digest() -> str:
    """SHA-256 of the table of thresholds: with another table, other flags."""
    return hashlib.sha256(_table()).hexdigest()


def _table() -> bytes:
    return Path(__file__).with_name("flags.tsv").read_bytes()


def raised(metrics: Iterable[Metric]) -> list[Flag]:
    """Flags of a case, the gravest first.

    Parameters
    ----------
    metrics : iterable of Metric
        A line of the table that names a structure takes the place of the line for every structure.
    """
    table = rules()
    own = {(rule.flag, rule.metric, rule.structure) for rule in table}
    flags = [
        Flag(rule, metric)
        for metric in metrics
        for rule in table
        if rule.metric == metric.name
        and (
            rule.structure == metric.structure
            or (rule.structure == EVERY and (rule.flag, rule.metric, metric.structure) not in own)
        )
        and rule.catches(metric.value)
    ]
    return sorted(flags, key=lambda flag: -SEVERITIES.index(flag.rule.severity))


def rate(flags: Sequence[Flag]) -> Rating:
    """C where there is a problem, B where there is a warning, else A.

    Parameters
    ----------
    flags : sequence of Flag
    """
    severities = {flag.rule.severity for flag in flags}
    return "C" if "problem" in severities else "B" if "warning" in severities else "A"
