"""A small profile of jobs, and where their workers find the driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cerebatch.batch.cluster.job_script import WorkerPlace
from cerebatch.batch.cluster.profile import Cluster, WorkerClass


def cluster(**changes: Any) -> Cluster:
    """A profile with one class of small jobs and one with GPUs."""
    workers = {
        "name": "cpu", "jobs": 4, "cores": 1, "memory_gb": 0.5, "walltime": "00:10:00",
        "directives": ["--no-requeue"],
    }  # fmt: skip
    gpu = {
        "jobs": 1,
        "cores": 1,
        "memory_gb": 1,
        "walltime": "00:10:00",
        "queue": "gpu",
        "directives": ["--gres=gpu:1"],
    }
    for_all = {name: changes.pop(name) for name in list(changes) if name in WorkerClass.model_fields}
    content = {
        "kind": "cluster", "scheduler": "slurm", "workers": [workers | for_all], "gpu": gpu,
        "job_state": "squeue --noheader --format=%T --jobs={id}",
    }  # fmt: skip
    return Cluster.model_validate(content | changes)


def place(folder: Path) -> WorkerPlace:
    secrets = folder / "secrets"
    return WorkerPlace(
        "tls://10.0.0.1:8786", secrets / "ca.pem", secrets / "cert.pem", secrets / "key.pem", folder / "jobs"
    )
