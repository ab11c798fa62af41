"""Ray's head on this machine: started for a run, closed to others, and gone with the process that started it.

Ray counts no cores here: Dask has them all. Actors ask for `ACTOR`, which the head offers on one machine and the nodes
offer on a cluster (``ray start --resources '{"cerebatch_actor": 2}'``).

What Ray does not let us choose: only 127.0.0.1 is bound as it is asked for. With any other address the head, its
nodes, actors and the driver listen on all interfaces, and only the token keeps others out. It is not encrypted.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from cerebatch.batch.cluster.job_script import ACTOR
from cerebatch.errors import SettingsError

TOKEN_NAME = "ray_token"
"""File in the folder of a run."""

_OBJECT_STORE_BYTES = 80 * 2**20  # near the least that Ray takes; only paths go through it
_CONFIG = {
    # Ray would end an actor because neighbours fill the machine; each stage has its own limit.
    "memory_monitor_refresh_ms": 0,
    # Nodes whose driver is gone end themselves after so long, not after 60 s.
    "gcs_rpc_server_reconnect_timeout_s": 20,
    # Ray would start actors at 15, and on a busy node they would hardly run; their cores are counted.
    "worker_niceness": 0,
}
_STOP_SECONDS = 10.0


class RayHead:
    """A Ray cluster of this process.

    The thread that makes it has to live until `stop`: on Linux the system ends Ray's processes with that thread.

    Parameters
    ----------
    folder : Path
        Private folder of the run; gets the token, mode 0600.
    address : str
        IP address of this machine by which nodes reach it; "127.0.0.1" where no other machine takes part.
    actors : int
        Places for actors on this machine; 0: all are on nodes.
    gpus : int
        GPUs of this machine that actors may have.

    Raises
    ------
    SettingsError
        The address is none of this machine.
    Exception
        Ray did not start, for one of its many reasons; nothing of it is left.
    """

    def __init__(self, folder: Path, *, address: str = "127.0.0.1", actors: int = 0, gpus: int = 0) -> None:
        _check_own(address)
        self.token = folder / TOKEN_NAME
        self.token.unlink(missing_ok=True)
        self.token.touch(mode=0o600)
        self.token.write_text(secrets.token_hex(32))
        # Not in the folder of the run: the paths of sockets may have no more than 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="cerebatch-ray-", dir="/tmp"))
        self._watcher = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(self.folder), str(self.token)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        try:
            self.address = self._start(address, actors, gpus)
        except BaseException:
            self.stop()
            raise

    def watch(self, pid: int) -> None:
        """Have a process of this machine ended with the head, should it still live then."""
        assert self._watcher.stdin is not None
        with contextlib.suppress(OSError):
            self._watcher.stdin.write(f"{pid}\n")
            self._watcher.stdin.flush()

    def stop(self) -> None:
        """End Ray; processes, folder and token are gone afterwards."""
        if self._watcher.stdin is None or self._watcher.stdin.closed:
            return
        import ray

        for pid in self._processes():
            self.watch(pid)
        ray.shutdown()
        self._watcher.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._watcher.wait(_STOP_SECONDS)

    def _start(self, address: str, actors: int, gpus: int) -> str:
        alone = address == "127.0.0.1" and actors > 0
        settings = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token),
            "RAY_USAGE_STATS_ENABLED": "0",
            # Without clusters Ray takes 127.0.0.1 as its address, with them it replaces it.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0" if alone else "1",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        }
        with _environment(settings):
            import ray
            from ray._private import ray_constants, worker
            from ray.job_config import JobConfig

            # Its workers would import from the folder that the driver was started in, such as a source tree.
            own_paths = JobConfig()
            own_paths._runtime_env_has_working_dir = lambda: True
            # Ray read all that when it was imported, which may have been long ago.
            ray_constants.ENABLE_RAY_CLUSTER = not alone
            raylet: Any = importlib.import_module("ray._raylet")
            raylet.Config.initialize("")
            raylet.AuthenticationTokenLoader.instance().reset_cache()
            # Even without the logs of actors it prints what happens to nodes; the engine tells that in its own words.
            worker._worker_logs_enabled = False
            context = ray.init(
                address="local",
                num_cpus=0,
                num_gpus=gpus,
                resources={ACTOR: actors} if actors else None,
                include_dashboard=False,
                log_to_driver=False,
                job_config=own_paths,
                logging_level="ERROR",
                object_store_memory=_OBJECT_STORE_BYTES,
                _temp_dir=str(self.folder / "r"),  # Ray opens this one to all users
                _node_ip_address=address,
                _skip_env_hook=True,
                _system_config=dict(_CONFIG),  # Ray writes into it
            )
        for pid in self._processes():
            self.watch(pid)
        return str(context.address_info["gcs_address"])

    def _processes(self) -> list[int]:
        """Ray's processes below this one; their commands name the folder, but those that the raylet starts do not."""
        found: list[int] = []
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error):
                if str(self.folder) in " ".join(child.cmdline()) and child.pid != self._watcher.pid:
                    found += [child.pid, *(below.pid for below in child.children(recursive=True))]
        return found


def _check_own(address: str) -> None:
    try:
        socket.create_server((address, 0)).close()
    except OSError as error:
        # Ray would try for minutes.
        raise SettingsError(f"expected an IP address of this machine, found {address}: {error.strerror}") from error


@contextlib.contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Variables for Ray, which all its processes inherit; gone afterwards, with those that Ray sets itself."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in {name for name, value in os.environ.items() if before.get(name) != value}:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]


def _watch(folder: Path, token: Path) -> None:
    """Outlive the driver by a moment: end the processes that it named and remove what lies about.

    On Linux most of Ray's processes die with the driver, but those that the raylet started take up to 80 s.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    named: list[psutil.Process] = []
    for line in sys.stdin:
        with contextlib.suppress(psutil.NoSuchProcess):
            named.append(psutil.Process(int(line)))
    for process in named:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(named, timeout=2.0)
    token.unlink(missing_ok=True)
    for _ in range(5):  # a process that is about to end may still write
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(0.2)


if __name__ == "__main__":
    _watch(Path(sys.argv[1]), Path(sys.argv[2]))
