"""What a node of a cluster finds. Its text travels inside a job's script and needs nothing but Python.

Usage: python node_report.py '{"host": ..., "port": ..., "folders": [...], "marker": ..., "file": ..., ...}'
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any


def report(request: dict[str, Any]) -> dict[str, Any]:
    """Look around; an empty text means that all is well."""
    began = time.monotonic()
    return {
        "name": request["name"],
        "node": os.environ.get("SLURMD_NODENAME") or platform.node(),
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in request["packages"]},
        "modules": {module: _import(module) for module in request["modules"]},
        "folders": {folder: _look_at(Path(folder), request["marker"]) for folder in request["folders"]},
        "gpus": _gpus(),
        "seconds": time.monotonic() - began,
    }


def hand_over(found: dict[str, Any], request: dict[str, Any]) -> None:
    """Bring the report to the driver; where it cannot be reached, into a file that says so."""
    try:
        with socket.create_connection((request["host"], request["port"]), timeout=15) as connection:
            connection.sendall(json.dumps(found | {"driver": ""}).encode())
    except OSError as error:
        path = Path(request["file"])
        whole = path.with_name(f"{path.name}.tmp")
        whole.write_text(json.dumps(found | {"driver": str(error)}))
        whole.replace(path)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def _import(module: str) -> str:
    try:
        importlib.import_module(module)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _look_at(folder: Path, marker: str) -> str:
    if not folder.is_dir():
        return "is not there"
    if not (folder / marker).exists():
        return "is another folder than on this machine: what was written here is not seen there"
    written = folder / f"{marker}-{platform.node()}-{os.getpid()}"
    try:
        written.touch()
        written.unlink()
    except OSError as error:
        return f"cannot be written: {error.strerror}"
    return ""


def _gpus() -> int:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip()])
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=60)
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    hand_over(report(asked), asked)
