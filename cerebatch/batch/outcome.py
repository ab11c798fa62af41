"""How a case left the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cerebatch.batch.ledger.lease import Lease
from cerebatch.batch.ledger.records import Failure

Status = Literal["done", "skipped", "failed", "elsewhere", "handed back"]


@dataclass(frozen=True)
class Outcome:
    """How a case left the relay.

    Attributes
    ----------
    case : str
    status : {"done", "skipped", "failed", "elsewhere", "handed back"}
        Skipped: it was done before. Elsewhere: another run is at it. Handed back: the run was stopped.
    failure : Failure or None
    holder : Lease or None
        Of the run that is at it; None where it took the case from this one and has ended it.
    """

    case: str
    status: Status
    failure: Failure | None = None
    holder: Lease | None = None
