"""What this process may use of the machine that it runs on."""

from __future__ import annotations

import os

import psutil

from cerebatch.errors import SettingsError

_GB = 1e9


def usable_cores() -> int:
    """Cores that this process may use: those of its affinity mask, and inside a Slurm job no more than its own."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *_given_by_slurm("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")]))


def available_gb() -> float:
    """Memory that is available now, GB (10^9 bytes), within the limits of container and Slurm job."""
    from distributed.system import memory_limit

    # Dask reads the limits of control groups and psutil what is free; the smaller one holds.
    free = min(psutil.virtual_memory().available, int(memory_limit()))
    return min([free, *(mebibytes * 2**20 for mebibytes in _given_by_slurm("SLURM_MEM_PER_NODE"))]) / _GB


def gpus() -> int:
    """GPUs that this process may use."""
    import torch

    return torch.cuda.device_count()


def _given_by_slurm(*variables: str) -> list[int]:
    """Values above 0: Slurm writes 0 for all memory of the node."""
    if "SLURM_JOB_ID" not in os.environ:
        return []
    values = (os.environ.get(variable, "") for variable in variables)
    return [int(value) for value in values if value.isdigit() and int(value) > 0]


def address_on(interface: str | None) -> str:
    """IP address of this machine on a network interface; None: on that of the default route.

    Raises
    ------
    SettingsError
        There is no such interface, or it has no address.
    """
    from distributed.utils import get_ip, get_ip_interface

    if interface is None:
        return str(get_ip())
    try:
        return str(get_ip_interface(interface))
    except ValueError as error:
        known = ", ".join(sorted(psutil.net_if_addrs()))
        raise SettingsError(
            f"profile: `interface`: expected one with an IPv4 address on this machine ({known}), found {interface!r}"
        ) from error
