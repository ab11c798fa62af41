"""Where a run takes place: a profile, read from YAML by name or path."""

from __future__ import annotations

import os
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal

import psutil
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cerebatch.errors import SettingsError


class Profile(BaseModel):
    """A place to run.

    Attributes
    ----------
    kind : {"serial", "local"}
        In this process, or on worker processes of this machine.
    workers : int or "auto"
        Cases at once.
    memory_gb : float
        Memory that one case may need, GB (10^9 bytes).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["serial", "local"]
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    memory_gb: float = Field(default=1.5, gt=0)

    def cases_at_once(self, threads: int) -> int:
        """Number of workers for cases of so many threads."""
        if self.kind == "serial":
            return 1
        if self.workers != "auto":
            return self.workers
        by_memory = int(psutil.virtual_memory().available / (self.memory_gb * 1e9))
        return max(1, min(usable_cores() // threads, by_memory))


def usable_cores() -> int:
    """Cores that this process may use, which on a shared machine are fewer than it has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_profile(name_or_path: str) -> Profile:
    """Read a profile.

    Parameters
    ----------
    name_or_path : str
        Name of one that cerebatch brings ("local"), or path of a YAML file.

    Raises
    ------
    SettingsError
        No such profile, or it does not say what a profile says.
    """
    source = _find(name_or_path)
    try:
        return Profile.model_validate(yaml.safe_load(source.read_text()))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"profile {name_or_path}: expected YAML, found: {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(
            f"profile {name_or_path}: expected the keys {', '.join(Profile.model_fields)}; found: {problems}"
        ) from error


def _find(name_or_path: str) -> Traversable:
    profiles = resources.files("cerebatch.batch").joinpath("profiles")
    named = profiles.joinpath(f"{name_or_path}.yaml")
    if named.is_file():
        return named
    path = Path(name_or_path)
    if path.is_file():
        return path
    known = ", ".join(sorted(p.name.removesuffix(".yaml") for p in profiles.iterdir() if p.name.endswith(".yaml")))
    raise SettingsError(f"--profile: expected one of {known} or the path of a YAML file, found {name_or_path!r}")
