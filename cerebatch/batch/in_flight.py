"""A case while the driver has it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from cerebatch.batch.job import Job, Needs
from cerebatch.batch.ledger.records import LOST, Failure


@dataclass
class InFlight:
    """What the driver knows of a case that is in flight.

    Attributes
    ----------
    job : Job
    stage : str
        At work or waiting for its turn.
    needs : Needs
        Of that stage, as it has them this time.
    began, renewed : float
        When it was taken, and when its lease was last renewed; monotonic seconds.
    ran : Counter of str
        How often each stage was done in this run.
    lost, hung, never_began : int
        Attempts at this stage that ended so.
    told, started : str
        Key of the stage that is at work, as its lease tells, and as its place told.
    attempt : int
        Number of the call.
    taken_over : bool
        Whether another run has it by now.
    failed_on : tuple of str
        Hosts where this stage failed and may work elsewhere.
    suspects : tuple of str
        Those of them that are to blame should it work elsewhere.
    """

    job: Job
    stage: str
    needs: Needs
    began: float
    renewed: float
    ran: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    hung: int = 0
    never_began: int = 0
    told: str = ""
    started: str = ""
    attempt: int = 0
    taken_over: bool = False
    failed_on: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()


def not_seen(case: InFlight, stage: str) -> Failure:
    """A stage that is done again and again, because what it wrote is not there when it is looked for."""
    return Failure(
        case=case.job.name,
        stage=stage,
        kind=LOST,
        message=f"{stage} was done {case.ran[stage]} times, and what it wrote is not there when it is looked for. "
        "Do all nodes see the folder of --work, and do their clocks agree?",
    )
