"""Which process wrote something, so that others can tell whether it is gone."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

_DEAD = ("Z", "X")
_STATE, _START = 0, 19
"""Fields of /proc/PID/stat after the name of the program."""


class ProcessIdentity(BaseModel):
    """A process among those of all hosts.

    A host's name and a number do not name it: containers on one host share the name and count from 1 each, and the
    numbers of processes that ended are given out again.

    Attributes
    ----------
    host : str
    pid : int
        In its own namespace.
    boot : str
        Id of the boot of its kernel; empty where there is none, as on macOS.
    namespace : str
        Of process numbers and of time; empty where there is none.
    born : str
        When it started, by the clock of the kernel.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    pid: int
    boot: str = ""
    namespace: str = ""
    born: str = ""

    @property
    def is_in_sight(self) -> bool:
        """Whether this process can tell whether it lives."""
        return (self.host, self.boot, self.namespace) == (platform.node(), *_world(os.getpid()))

    @property
    def is_gone(self) -> bool:
        """Whether it lives no more, for sure; False where it lives, or is not in sight."""
        if not self.is_in_sight:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # somebody else's
            pass
        state, born = _look(self.pid)
        return state in _DEAD or bool(born and self.born and born != self.born)


def this_process() -> ProcessIdentity:
    """The calling process."""
    pid = os.getpid()
    boot, namespace = _world(pid)
    return ProcessIdentity(host=platform.node(), pid=pid, boot=boot, namespace=namespace, born=_born(pid))


def node_name() -> str:
    """Name of this host as its batch scheduler says it, else as it says itself."""
    return os.environ.get("SLURMD_NODENAME") or platform.node()


@cache
def _world(pid: int) -> tuple[str, str]:
    """Boot and namespaces of this process, whose number it is."""
    del pid  # asked again after a fork
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return boot, " ".join(str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("pid", "time"))
    except OSError:
        return "", ""


@cache
def _born(pid: int) -> str:
    return _look(pid)[1]


def _look(pid: int) -> tuple[str, str]:
    """State and start of a process of this namespace; empty where they cannot be told."""
    if sys.platform != "linux":
        with suppress(psutil.Error):
            return "", str(psutil.Process(pid).create_time())
        return "", ""
    try:
        who = "self" if pid == os.getpid() else str(pid)
        if who != "self" and str(Path("/proc/self").readlink()) != str(
            os.getpid()
        ):  # /proc is that of another namespace
            return "", ""
        fields = Path(f"/proc/{who}/stat").read_text().rpartition(")")[2].split()
        return fields[_STATE], fields[_START]
    except OSError:
        return "", ""
