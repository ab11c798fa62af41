#!/usr/bin/env python3
"""Start and stop a real Slurm of four nodes on this one machine.

Standard library only, so that it runs before anything else is installed. Exit status: 0 done, 1 it failed,
2 it cannot be done on this machine or with this folder.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PACKAGES = {"munged": "munge", "slurmctld": "slurmctld", "slurmd": "slurmd", "sinfo": "slurm-client"}
CPU_NODES, GPU_NODES = ("cpu1", "cpu2"), ("gpu1", "gpu2")
NODES = (*CPU_NODES, *GPU_NODES)
START_TIMEOUT_S, CANCEL_TIMEOUT_S, KILL_TIMEOUT_S = 60.0, 10.0, 10.0
FAILED, CANNOT = 1, 2

# A Unix socket's path holds 107 bytes; the longest below the folder is that of a job's step.
LONGEST_FOLDER = 107 - len("/spool/cpu1/cpu1_4294967295.4294967295")


class BoxError(Exception):
    """Slurm did not do what it should."""


class CannotError(BoxError):
    """Nothing was started: this machine or this folder will not do."""


def start(folder: Path, cpus: int, memory_mb: int, gpus: int) -> None:
    """Start the controller and four nodes, and return when all are idle.

    Parameters
    ----------
    folder
        Everything lies below it: configuration, state, sockets, process ids, logs.
    cpus, memory_mb
        What each node claims to have, however much the machine has.
    gpus
        Pretended on each node of the partition gpu.
    """
    _check(folder)
    reserved = _reserve_ports(1 + len(NODES))
    try:
        for part in ("spool", "pid", "log", "munge", "gpu", *(f"spool/{node}" for node in NODES)):
            shutil.rmtree(folder / part, ignore_errors=True)
            (folder / part).mkdir(parents=True)
        _write_configuration(folder, [held.getsockname()[1] for held in reserved], cpus, memory_mb, gpus)
        _write_gpus(folder, gpus)
        _launch(folder)
        _wait_until_idle(folder)
    except BaseException:
        stop(folder)
        raise
    finally:
        for held in reserved:
            held.close()


def stop(folder: Path) -> bool:
    """End all jobs and daemons, and return whether a daemon ran."""
    daemons = _daemons(folder)
    if "slurmctld" in daemons:
        for partition in ("cpu", "gpu"):
            _client(folder, "scancel", "--quiet", f"--partition={partition}")
        deadline = time.monotonic() + CANCEL_TIMEOUT_S
        while _client(folder, "squeue", "--noheader") and time.monotonic() < deadline:
            time.sleep(0.1)
    # Daemons are killed, not asked: it takes no time, and nobody reads the state that they would save.
    deadline = time.monotonic() + KILL_TIMEOUT_S
    while pids := [*_daemons(folder).values(), *_job_processes(folder)]:
        if time.monotonic() > deadline:
            raise BoxError(f"processes that cannot be killed: {pids}")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return bool(daemons)


def _check(folder: Path) -> None:
    if missing := [package for program, package in PACKAGES.items() if not _find(program)]:
        raise CannotError(f"Slurm is not installed: apt-get install --no-install-recommends {' '.join(missing)}")
    if (length := len(os.fsencode(folder))) > LONGEST_FOLDER:
        raise CannotError(f"the folder's path may have {LONGEST_FOLDER} bytes, for sockets, and has {length}: {folder}")
    if odd := re.search(r"[^\w/.+~-]", str(folder)):
        raise CannotError(f"slurm.conf does not take the character {odd[0]!r} in the folder's path: {folder}")
    if daemons := _daemons(folder):
        raise CannotError(f"a Slurm runs in {folder} already ({', '.join(daemons)}): stop it first")
    if folder.exists() and not (folder / "slurm.conf").exists() and any(folder.iterdir()):
        raise CannotError(f"{folder} holds other things: name a new or an empty folder")


def _reserve_ports(number: int) -> list[socket.socket]:
    """Bind sockets to free ports.

    They are made reusable only after that: nobody else is given their ports while they are held, and still a
    daemon can listen there that asks for one by number.
    """
    reserved = [socket.socket() for _ in range(number)]
    for held in reserved:
        held.bind(("", 0))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return reserved


def _write_configuration(folder: Path, ports: Sequence[int], cpus: int, memory_mb: int, gpus: int) -> None:
    host = socket.gethostname().partition(".")[0]
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory={memory_mb}"
        + (f" Gres=gpu:pretend:{gpus}" if node in GPU_NODES else "")
        for node, port in zip(NODES, ports[1:], strict=True)
    )
    (folder / "slurm.conf").write_text(f"""\
ClusterName=box
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/spool/slurmctld
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/pid/slurmctld
SlurmdPidFile={folder}/pid/%n
SlurmctldLogFile={folder}/log/slurmctld
SlurmdLogFile={folder}/log/%n

# A requeued job may start again when its credential has expired.
AuthInfo=socket={folder}/munge/socket,cred_expire=10

# One machine plays all nodes: they may claim more than it has, and no job is bound to cores.
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none

# With 2, a node that was set down would be back at once.
ReturnToService=1

# The memory of every job is looked at once a second; one that has too much is killed.
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU={max(1, memory_mb // cpus)}
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,UsePss

# Seconds instead of the minutes of a large cluster.
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=5
OverTimeLimit=0
KillWait=2

GresTypes=gpu
{nodes}
PartitionName=cpu Nodes={",".join(CPU_NODES)} Default=YES
PartitionName=gpu Nodes={",".join(GPU_NODES)}
""")


def _write_gpus(folder: Path, gpus: int) -> None:
    """Let each GPU be a link to a device that every machine has; a plain file would make the node invalid."""
    devices = [folder / f"gpu/nvidia{index}" for index in range(gpus)]
    for device in devices:
        device.symlink_to(os.devnull)
    lines = [f"NodeName={','.join(GPU_NODES)} Name=gpu Type=pretend File={device}\n" for device in devices]
    (folder / "gres.conf").write_text("".join(lines))


def _launch(folder: Path) -> None:
    key = folder / "munge/key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    munge = [f"--{file}-file={folder}/munge/{file}" for file in ("key", "seed")]
    munge += [f"--pid-file={folder}/pid/munged", f"--log-file={folder}/log/munged", f"--socket={folder}/munge/socket"]
    # Forced, or it refuses a folder that others may not enter.
    _daemonize(folder, "munged", "munged", "--force", *munge)
    _daemonize(folder, "slurmctld", "slurmctld", "-c", "-f", f"{folder}/slurm.conf")
    for node in NODES:
        _daemonize(folder, node, "slurmd", "-f", f"{folder}/slurm.conf", "-N", node)


def _daemonize(folder: Path, name: str, program: str, *arguments: str) -> None:
    command = [_find(program), *arguments]
    done = subprocess.run(
        command, env=_environment(folder), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise BoxError(f"{name} did not start: {done.stdout.decode(errors='replace')}{_tail(folder, name)}")


def _wait_until_idle(folder: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    expected = "".join(f"{node} idle\n" for node in NODES)
    while (found := _client(folder, "sinfo", "--Node", "--noheader", "--format=%N %T")) != expected:
        if time.monotonic() > deadline:
            running = _daemons(folder)
            dead = [name for name in ("slurmctld", *NODES) if name not in running]
            not_idle = [node for node in NODES if f"{node} idle\n" not in found]
            suspects = dead or ["slurmctld", *not_idle]
            raise BoxError(
                f"after {START_TIMEOUT_S:.0f} s these nodes are not idle: {', '.join(not_idle)}; "
                f"these daemons are not running: {', '.join(dead) or 'none'}"
                + "".join(_tail(folder, name) for name in suspects)
            )
        time.sleep(0.05)


def _client(folder: Path, *command: str) -> str:
    """Return what a Slurm command prints, and nothing where it fails."""
    try:
        done = subprocess.run(command, env=_environment(folder), capture_output=True, text=True, timeout=10)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {"SLURM_CONF": f"{folder}/slurm.conf"}


def _find(program: str) -> str:
    # Debian's daemons are in folders that only root has on the path.
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") or ""


def _tail(folder: Path, name: str) -> str:
    log = folder / "log" / name
    lines = log.read_text(errors="replace").splitlines()[-12:] if log.exists() else ["(there is none)"]
    return "\n".join([f"\nEnd of {log}:", *lines])


def _daemons(folder: Path) -> dict[str, int]:
    """Process ids of the daemons that run, by name."""
    running = {}
    for name in ("munged", "slurmctld", *NODES):
        with contextlib.suppress(OSError, ValueError):
            pid = int((folder / "pid" / name).read_text())
            # The daemon may have died and its number gone to a stranger.
            if os.fsencode(folder) in Path(f"/proc/{pid}/cmdline").read_bytes():
                running[name] = pid
    return running


def _job_processes(folder: Path) -> list[int]:
    """Process ids of what jobs have left, also of what has left its job."""
    variable = f"SLURM_CONF={folder}/slurm.conf".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (process / "environ").read_bytes().split(b"\0")
            of_job = variable in environment and any(entry.startswith(b"SLURM_JOB_ID=") for entry in environment)
            # slurmstepd has written over its environment; it works where slurmd did.
            step = (process / "comm").read_text() == "slurmstepd\n" and (process / "cwd").readlink() == folder / "log"
            if of_job or step:
                found.append(int(process.name))
    return found


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, found {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start", help="start it, and print the variable by which Slurm's commands find it")
    starting.add_argument(
        "--cpus-per-node", type=_positive, default=4, metavar="N", help="may be more than there are (4)"
    )
    starting.add_argument(
        "--memory-mb-per-node", type=_positive, default=8000, metavar="MB", help="may be more than there is (8000)"
    )
    starting.add_argument("--gpus-per-node", type=_positive, default=2, metavar="N", help="on gpu1 and gpu2 (2)")
    stopping = commands.add_parser("stop", help="end its jobs and all its processes; the folder stays")
    for command in (starting, stopping):
        command.add_argument("folder", type=Path, help="where all its files lie; a short path")
    return parser


def main() -> int:
    options = _parser().parse_args()
    folder = options.folder.resolve()
    try:
        if os.geteuid() != 0:
            raise CannotError("Slurm's daemons need root: use sudo, or a container in which you are root")
        if options.command == "stop":
            print(f"{'stopped what ran' if stop(folder) else 'nothing runs'} in {folder}")
        else:
            start(folder, options.cpus_per_node, options.memory_mb_per_node, options.gpus_per_node)
            print(f"export SLURM_CONF={folder}/slurm.conf")
    except BoxError as error:
        print(f"slurm-in-a-box: {error}", file=sys.stderr)
        return CANNOT if isinstance(error, CannotError) else FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
