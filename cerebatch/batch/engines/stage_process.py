"""A process that runs one stage after the other for its owner, and can be ended.

A thread cannot be stopped and a worker that is killed takes its neighbours with it; so each place of a worker has a
process of its own. A stage that hangs, takes too much memory or crashes costs that process and nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import cloudpickle
import psutil

from cerebatch.batch.advance import Call, Progress, advance
from cerebatch.batch.engines.base import EngineFailure
from cerebatch.batch.engines.sent_calls import packed, unpacked
from cerebatch.batch.ledger.events import Event, Tell
from cerebatch.batch.ledger.records import HANG, KILLED, LOST
from cerebatch.io.process import node_name

THREADS_OF = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables by which OpenMP, PyTorch, MKL and OpenBLAS count; what a job or a shell says must not change results."""

_LOOK_SECONDS = 0.2
_LAST_BYTES = 2000
_SET_SIGNAL_AT_DEATH_OF_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


class StageProcess:
    """Runs calls in a child process, started when first needed and again when it was ended.

    One thread at a time may use it. The child's libraries have the threads that a stage needs, whatever the
    environment says. On Linux the child dies with the thread that started it.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._pipe: Connection
        self._threads = 0
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as this

    def run(self, call: Call, tell: Tell) -> Progress | EngineFailure:
        """Run a call.

        Parameters
        ----------
        call : Call
            Its needs are the limits: memory of the child with its own children, and time.
        tell : callable
            Gets the events of the stage while it runs.
        """
        if self._child is not None and self._threads != call.needs.threads:
            self.end()  # libraries read once how many threads they may have
        if self._child is None or self._child.poll() is not None:
            self._start(call.needs.threads)
        assert self._child is not None
        deadline = time.monotonic() + 60 * call.needs.minutes
        self._done: Event | None = None
        try:
            self._pipe.send_bytes(cloudpickle.dumps((call.job.name, call.stage, packed(call))))
            while True:
                while self._pipe.poll(_LOOK_SECONDS):
                    message = cloudpickle.loads(self._pipe.recv_bytes())
                    if not isinstance(message, Event):
                        assert isinstance(message, Progress)
                        return message
                    self._note_end(call, message)
                    tell(message)
                if (used_gb := _resident_gb(self._child.pid)) > call.needs.memory_gb:
                    self.end()
                    return self._judged(call, killed_for_memory(call, used_gb), tell)
                if time.monotonic() > deadline:
                    self.end()
                    return self._judged(call, hung(call), tell)
        except (EOFError, OSError):
            return self._judged(call, self._died(call), tell)

    def _note_end(self, call: Call, event: Event) -> None:
        if event.what == "finished" and event.stage == list(call.job.needs())[-1]:
            self._done = event

    def _judged(self, call: Call, failure: EngineFailure, tell: Tell) -> Progress | EngineFailure:
        """A failure after the last stage was written down is not the case's: what is made afterwards is missing."""
        if self._done is None:
            return failure
        tell(Event(call.job.name, "said", message=f"after the case was done: {failure.message}"))
        return Progress(call.job.name, call.stage, self._done.seconds, host=node_name())

    def end(self) -> None:
        """End the child with whatever it runs."""
        if self._child is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self._child.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self._child.kill()
        self._child.wait()
        self._pipe.close()
        self._child = None

    def _start(self, threads: int) -> None:
        self._threads = threads
        self._said.seek(0)
        self._said.truncate()
        self._pipe, theirs = Pipe()
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # ANTs and greedy talk a lot
            stderr=self._said,
            env=os.environ | dict.fromkeys(THREADS_OF, str(threads)),
        )
        theirs.close()

    def _died(self, call: Call) -> EngineFailure:
        assert self._child is not None
        self._pipe.close()
        code = self._child.wait()
        self._child = None
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        if code == -signal.SIGKILL:
            how += ", most often the system's answer to too much memory"
        return EngineFailure(
            call.job.name,
            call.stage,
            LOST,
            f"its process ended in the middle of it ({how}){self._last_words()}. Look at the system's log; give "
            f"`{call.stage}` more memory or fewer neighbours in the profile.",
        )

    def _last_words(self) -> str:
        """The last line that the child wrote to its standard error."""
        self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - _LAST_BYTES))
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return f"; it said last: {lines[-1].strip()}" if lines else ""


def killed_for_memory(call: Call, used_gb: float) -> EngineFailure:
    """The failure of a stage that took more memory than it needs by the profile."""
    return EngineFailure(
        call.job.name,
        call.stage,
        KILLED,
        f"killed for memory: it had {call.needs.memory_gb:g} GB and took {used_gb:.1f} GB; raise "
        f"`stages: {{{call.stage}: {{memory_gb: ...}}}}` in the profile.",
    )


def hung(call: Call) -> EngineFailure:
    """The failure of a stage that went past its time."""
    return EngineFailure(
        call.job.name,
        call.stage,
        HANG,
        f"ended after {call.needs.minutes:g} minutes, the limit of this stage. If it was not hanging, raise "
        f"`stages: {{{call.stage}: {{minutes: ...}}}}` in the profile.",
    )


def _resident_gb(pid: int) -> float:
    """Resident memory of a process and its children, GB."""
    used = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                used += process.memory_info().rss
    return used / 1e9


def _serve(pipe: Connection, owner: int) -> None:
    """Run calls until the owner is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_SIGNAL_AT_DEATH_OF_PARENT, signal.SIGKILL)
        if os.getppid() != owner:  # died before we could ask
            return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to answer
    with contextlib.suppress(EOFError, OSError):
        while True:
            call = unpacked(*cloudpickle.loads(pipe.recv_bytes()))
            result = call
            if isinstance(call, Call):
                result = advance(call, lambda event: pipe.send_bytes(cloudpickle.dumps(event)))
            pipe.send_bytes(cloudpickle.dumps(result))


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])), int(sys.argv[2]))
