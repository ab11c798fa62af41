from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import pytest


@pytest.fixture(scope="session")
def cohort() -> ModuleType:
    """The program of small files as a module; what it defines travels to other processes by value."""
    path = Path(__file__).with_name("cohort.py")
    spec = importlib.util.spec_from_file_location("cohort_of_small_files", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    cloudpickle.register_pickle_by_value(module)
    return module


@pytest.fixture
def make_jobs(cohort: ModuleType, tmp_path: Path) -> Any:
    """Makes jobs: how many, and their faults as "case number:stage:what"."""

    def make(cases: int, *faults: str, **more: Any) -> Any:
        by_case: dict[str, list[tuple[str, str]]] = {}
        for fault in faults:
            number, stage, what = fault.split(":")
            by_case.setdefault(f"sub-{int(number):05d}", []).append((stage, what))
        limits = cohort.Needs(memory_gb=more.pop("memory_gb", 0.5), minutes=more.pop("minutes", 1.0))
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        return cohort.jobs_of(
            out, cases, by_case, gpu=more.pop("gpu", False), work=more.pop("work", 0.0), limits=limits
        )

    return make
