"""Who works on a case."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cerebatch.batch.job import Job
from cerebatch.batch.ledger.lease import Lease, is_lost, is_stale, read_lease, release, renew, take
from cerebatch.io.process import this_process

OURS = Lease(run="ours", host="here", pid=1, seconds=60)
THEIRS = Lease(run="theirs", host="there", pid=2, seconds=60)


@pytest.fixture
def job(make_jobs: Any) -> Job:
    (made,) = make_jobs(1)
    result: Job = made
    return result


def make_stale(job: Job, seconds: float = 61) -> None:
    """Nobody renewed it for so long."""
    long_ago = time.time() - seconds
    os.utime(job.lease_path, (long_ago, long_ago))


def left_over(job: Job) -> list[Path]:
    """Files beside the lease."""
    return [path for path in job.records.iterdir() if path != job.lease_path]


def test_the_first_takes_it_and_the_second_hears_who_has_it(job: Job) -> None:
    assert take(job.lease_path, OURS) is None
    holder = take(job.lease_path, THEIRS)
    assert holder is not None
    assert (holder.run, holder.host, holder.pid) == ("ours", "here", 1)
    assert left_over(job) == []


def test_our_own_is_ours_again(job: Job) -> None:
    assert take(job.lease_path, OURS) is None
    assert take(job.lease_path, OURS) is None


def test_what_is_released_is_free(job: Job) -> None:
    take(job.lease_path, OURS)
    release(job.lease_path, OURS)
    assert take(job.lease_path, THEIRS) is None


def test_nobody_releases_or_renews_anothers(job: Job) -> None:
    take(job.lease_path, OURS)
    release(job.lease_path, THEIRS)
    assert not renew(job.lease_path, THEIRS)
    held = read_lease(job.lease_path)
    assert held is not None
    assert held.run == "ours"


def test_a_stale_one_is_taken_over(job: Job) -> None:
    take(job.lease_path, OURS)
    make_stale(job)
    assert take(job.lease_path, THEIRS) is None
    assert not renew(job.lease_path, OURS)
    assert left_over(job) == []


def test_that_of_a_driver_of_this_host_that_died_is_stale_at_once(job: Job) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    here = this_process().model_dump()
    take(job.lease_path, OURS.model_copy(update=here | {"pid": dead.pid}))
    assert take(job.lease_path, THEIRS) is None
    assert not is_stale(job.lease_path, THEIRS.model_copy(update=here))


@pytest.mark.parametrize("what", ["host", "boot", "namespace"])
def test_that_of_a_driver_that_cannot_be_seen_from_here_holds(job: Job, what: str) -> None:
    """In a container of this host, say: its processes have numbers that mean nothing here."""
    unseen = this_process().model_dump() | {"pid": 2**22 + 1, what: "another"}
    take(job.lease_path, OURS.model_copy(update=unseen))
    assert take(job.lease_path, THEIRS) is not None


@pytest.mark.parametrize("content", [None, "another run's", "{"])
def test_a_lease_is_lost_only_for_sure(job: Job, content: str | None) -> None:
    take(job.lease_path, OURS)
    assert not is_lost(job.lease_path, "ours")
    job.lease_path.unlink()
    if content == "{":
        job.lease_path.write_text(content)
        with pytest.raises(OSError, match="cannot be read"):
            renew(job.lease_path, OURS)
    elif content:
        take(job.lease_path, THEIRS)
    assert is_lost(job.lease_path, "ours") == (content != "{")


def test_a_renewed_one_is_not_stale_and_says_what_is_at_work(job: Job) -> None:
    take(job.lease_path, OURS)
    make_stale(job, 59)
    assert renew(job.lease_path, OURS.model_copy(update={"stage": "atlas"}))
    held = read_lease(job.lease_path)
    assert held is not None
    assert (held.stage, is_stale(job.lease_path, held)) == ("atlas", False)
    assert take(job.lease_path, THEIRS) is not None


def test_a_lease_that_cannot_be_read_belongs_to_nobody(job: Job) -> None:
    job.records.mkdir(parents=True)
    job.lease_path.write_text("{")
    assert take(job.lease_path, OURS) is None


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_that_take_at_once_one_gets_it(job: Job, stale: bool, tmp_path: Path) -> None:
    if stale:
        take(job.lease_path, OURS)
        make_stale(job)
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from cerebatch.batch.ledger.lease import Lease, take\n"
        "while not Path(sys.argv[3]).exists(): time.sleep(0.001)\n"
        "print(take(Path(sys.argv[1]), Lease(run=sys.argv[2], host='h', pid=1, seconds=60)) is None)\n"
    )
    go = tmp_path / "go"
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(job.lease_path), f"run{k}", str(go)], stdout=subprocess.PIPE, text=True
        )
        for k in range(6)
    ]
    time.sleep(2)
    go.touch()
    assert sorted(run.communicate()[0].strip() for run in runs) == ["False"] * 5 + ["True"]
