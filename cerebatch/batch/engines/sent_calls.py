"""Calls as bytes: a place that cannot read one says so, and lives on.

Dask reads what it sends before the task begins, and a worker that cannot (another version of the package, a module that
is not there) ends without a word about the reason.
"""

from __future__ import annotations

import cloudpickle

from cerebatch.batch.advance import Call, Progress
from cerebatch.batch.ledger.records import Failure
from cerebatch.io.process import node_name


def packed(call: Call) -> bytes:
    """A call as it travels."""
    sent: bytes = cloudpickle.dumps(call)
    return sent


def unpacked(case: str, stage: str, sent: bytes) -> Call | Progress:
    """A call that has arrived.

    Parameters
    ----------
    case, stage : str
        Of the call.
    sent : bytes
        As `packed` gives it.

    Returns
    -------
    call : Call or Progress
        Where it cannot be read: a failure that is the host's fault.
    """
    try:
        call: Call = cloudpickle.loads(sent)
    except Exception as error:  # reading runs whatever it is made of
        host, kind = node_name(), type(error).__name__
        message = (
            f"{host} cannot read what the run sends it ({kind}: {error}). Install there the same cerebatch and Python "
            "as where the run was started; `cerebatch profile check` compares them."
        )
        failure = Failure(case=case, stage=stage, kind=kind, message=message, host=host, fault="place")
        return Progress(case, failure=failure, host=host)
    return call
