"""Lets torch count the GPUs that the Slurm in a box pretends to have; Python imports it when it starts.

Nothing can be computed on them, and torch still says so (`torch.cuda.is_available`): networks run on the CPU.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


def _given() -> int:
    return len([device for device in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if device])


class _Pretending(PathFinder):
    """Changes torch.cuda when it is imported; torch is not imported for it, which would take seconds everywhere."""

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of torch.cuda with a loader that changes it; None for all other modules."""
        spec = super().find_spec(fullname, path, target) if fullname == "torch.cuda" else None
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_change(module: ModuleType) -> None:
                load(module)
                module.__dict__.update(device_count=_given, get_device_name=lambda *_: "pretended GPU")

            spec.loader.exec_module = load_and_change  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Pretending)
