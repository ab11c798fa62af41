"""Who works on a case: one file, taken atomically, renewed, stale after a time.

Nothing breaks if two runs hold a case at once, for outputs appear by atomic renames and two runs make the same bytes;
leases only keep work from being done twice. Ages are told by the clock of the file system, which all hosts share.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from cerebatch.batch.ledger.records import read_model, utc_now
from cerebatch.io.process import ProcessIdentity
from cerebatch.io.temporary import clock, temporary_name

_ASK_AGAIN_SECONDS = 0.2


class Lease(ProcessIdentity):
    """The content of a lease: the driver that holds it, and for what.

    Attributes
    ----------
    run : str
        Id of the run that holds it.
    stage : str
        At work now, or waiting for its turn.
    started : bool
        Whether it is at work.
    taken : str
        UTC, ISO 8601.
    seconds : float
        After so long without renewal it is stale.
    """

    run: str
    stage: str = ""
    started: bool = False
    taken: str = ""
    seconds: float = 120.0


def read_lease(path: Path) -> Lease | None:
    """The lease at `path`, None if there is none."""
    return read_model(path, Lease)


def is_stale(path: Path, lease: Lease, now: Callable[[], float] | None = None) -> bool:
    """Whether a lease is gone, was not renewed for its time, or its driver is gone for sure.

    Parameters
    ----------
    path : Path
    lease : Lease
        What stands there.
    now : callable, optional
        Gives the time by the clock of the file system, seconds, for who looks at many; left out, it is asked.
    """
    if lease.is_gone:
        return True
    try:
        return (now() if now else clock(path.parent)) - path.stat().st_mtime > lease.seconds
    except FileNotFoundError:
        return True


def take(path: Path, lease: Lease) -> Lease | None:
    """Take the lease of a case.

    Parameters
    ----------
    path : Path
        `Job.lease_path` of the case.
    lease : Lease
        Of this run.

    Returns
    -------
    holder : Lease or None
        Who holds it instead; None if it is ours now.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lease = lease.model_copy(update={"taken": utc_now()})
    ours = _written(path, lease)
    try:
        while True:
            try:
                os.link(ours, path)
                return None
            except FileExistsError:
                pass
            holder = read_lease(path)
            if holder is not None and holder.run == lease.run:
                return None
            if holder is not None and not is_stale(path, holder):
                return holder
            _set_aside(path, holder)  # and look again
    finally:
        ours.unlink(missing_ok=True)


def renew(path: Path, lease: Lease) -> bool:
    """Say that the case is still at work.

    Returns
    -------
    ours : bool
        False if another run took it because it was stale.

    Raises
    ------
    OSError
        That cannot be told now, or it cannot be written.
    """
    if is_lost(path, lease.run):
        return False
    holder = read_lease(path)
    if holder is None:
        raise OSError(errno.EIO, "a lease that cannot be read", str(path))
    if holder.run != lease.run:
        return False
    _written(path, lease.model_copy(update={"taken": holder.taken})).replace(path)
    return True


def is_lost(path: Path, run: str) -> bool:
    """Whether a case that a run held is now another's or nobody's, for sure; False where that cannot be told."""
    for _ in range(2):
        try:
            return Lease.model_validate_json(path.read_bytes()).run != run
        except FileNotFoundError:
            # Network file systems remember for a while that a file was not there; they are asked again for a list.
            try:
                if path not in set(path.parent.iterdir()):
                    return True
            except OSError:
                return False
            time.sleep(_ASK_AGAIN_SECONDS)
        except (OSError, ValidationError):
            return False
    return False


def release(path: Path, lease: Lease) -> None:
    """Give a case back."""
    holder = read_lease(path)
    if holder is not None and holder.run == lease.run:
        path.unlink(missing_ok=True)


def _set_aside(path: Path, judged: Lease | None) -> None:
    """Take a stale lease away, if it is still the one that was judged."""
    aside = temporary_name(path)
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    taken = read_lease(aside)
    if taken is None or (taken == judged and is_stale(aside, taken)):
        aside.unlink(missing_ok=True)
        return
    # Somebody else set the stale one aside and took the case between our look and our rename: put theirs back.
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink(missing_ok=True)


def _written(path: Path, lease: Lease) -> Path:
    temporary = temporary_name(path)
    temporary.write_text(lease.model_dump_json())
    return temporary
