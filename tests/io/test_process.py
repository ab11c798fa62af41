"""Whether the process that wrote something is gone for sure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cerebatch.io.process import ProcessIdentity, this_process

SAY_WHO = "from cerebatch.io.process import this_process; print(this_process().model_dump_json(), flush=True); input()"


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], ProcessIdentity]]:
    """A process that lives, and what it says of itself."""
    with subprocess.Popen(
        [sys.executable, "-c", SAY_WHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, ProcessIdentity.model_validate_json(process.stdout.readline())
        process.kill()


def test_this_one_lives() -> None:
    assert this_process().pid == os.getpid()
    assert not this_process().is_gone


def test_another_lives_until_it_ends(other: tuple[subprocess.Popen[str], ProcessIdentity]) -> None:
    process, identity = other
    assert not identity.is_gone
    process.send_signal(signal.SIGSTOP)
    assert not identity.is_gone
    process.kill()
    process.wait()
    assert identity.is_gone


def test_one_that_was_killed_and_is_not_yet_buried_is_gone(
    other: tuple[subprocess.Popen[str], ProcessIdentity],
) -> None:
    process, identity = other
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert identity.is_gone


def test_another_with_its_number_is_not_it() -> None:
    assert this_process().model_copy(update={"born": "1"}).is_gone


@pytest.mark.parametrize("what", ["host", "boot", "namespace"])
def test_one_that_cannot_be_seen_from_here_may_live(what: str) -> None:
    unseen = this_process().model_copy(update={what: "another", "pid": 2**22 + 1})
    assert not unseen.is_gone


def test_a_child_by_fork_is_somebody_else() -> None:
    before = this_process()
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, this_process().model_dump_json().encode())
        os._exit(0)
    os.waitpid(child, 0)
    told = ProcessIdentity.model_validate_json(os.read(read, 4096))
    assert (told.pid, told.boot, told.namespace) == (child, before.boot, before.namespace)
    assert told.is_gone
