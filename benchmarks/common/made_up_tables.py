"""Tables of made-up people, for pages of cohorts larger than anybody would simulate scans of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cerebatch.labels import LABELS
from cerebatch.measures import volumes
from cerebatch.quality.metric import Metric
from cerebatch.quality.rating import raised, rate

Row = dict[str, str]

_TYPICAL_CM3 = {
    "I-II": 0.05, "III": 0.5, "IV": 1.3, "V": 2.5, "VI": 7.2, "Crus I": 9.7, "Crus II": 6.9, "VIIB": 3.8,
    "VIIIA": 5.0, "VIIIB": 2.6, "IX": 2.6, "X": 0.6, "White matter": 14.0,
}  # fmt: skip
_FAULTY = 0.06


@dataclass(frozen=True)
class MadeUp:
    """Rows of volumes.tsv, flags.tsv and failures.tsv."""

    volumes: list[Row]
    flags: list[Row]
    failures: list[Row]


def made_up_tables(people: int, seed: int) -> MadeUp:
    """Volumes, flags and failures of people who do not exist, in the columns of a merged cohort.

    Parameters
    ----------
    people : int
    seed : int
    """
    rng = np.random.default_rng(seed)
    rows, flags = [], []
    for number in range(1, people + 1):
        name = {"participant_id": f"sub-madeup{number:05d}", "session_id": "n/a"}
        age, female = float(rng.uniform(6, 90)), bool(rng.random() < 0.5)
        size = float(rng.normal(1.0 if female else 1.09, 0.07))
        icv_cm3 = 1400.0 * size * float(rng.normal(1, 0.04))
        cm3 = {
            label.index: _TYPICAL_CM3[label.structure] * size * (1 - 0.002 * (age - 30)) * float(rng.lognormal(0, 0.09))
            for label in LABELS
        }
        metrics = [Metric("label_offset", float(rng.integers(0, 2)))]
        if rng.random() < _FAULTY:
            fault = (
                Metric("label_offset", 5.0) if rng.random() < 0.3 else Metric("scan_noise", float(rng.uniform(4, 9)))
            )
            metrics = [*metrics, fault]
        found = raised(metrics)
        table = volumes.table(cm3, cm3, icv_cm3)
        row = name | {
            "age": f"{age:.1f}" if rng.random() > 0.02 else "n/a",
            "sex": "F" if female else "M",
            "site": f"site{int(rng.integers(1, 13)):02d}",
            "method": "made up",
            "resolution_mm": "1",
            "rating": rate(found),
            "flags": str(len(found)),
            "icv_cm3": f"{icv_cm3:.2f}",
        }
        for line in table:
            key = f"{line.side}_{line.structure.replace(' ', '_')}"
            text = line.as_text()
            row |= {f"{key}_cm3": text["volume_cm3"], f"{key}_percent_icv": text["percent_icv"]}
        rows.append(row)
        flags += [name | {key.lower(): str(value) for key, value in flag.as_json().items()} for flag in found]
    failures = [
        {"participant_id": f"sub-madeup{people + k:05d}", "session_id": "n/a", "stage": "prepare"}
        | {"kind": "UnreadableScanError", "reason": "Expected a whole file, found a truncated one. Copy it again."}
        for k in range(1, 1 + people // 250)
    ]
    return MadeUp(rows, flags, failures)
