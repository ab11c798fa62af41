"""Where a run takes place: a profile, read from YAML by name or path."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from cerebatch.batch.cluster.machine import available_gb, gpus, usable_cores
from cerebatch.batch.cluster.profile_file import find_profile, nearest, profile_names, read_yaml, validated
from cerebatch.batch.job import Needs
from cerebatch.errors import SettingsError

__all__ = [
    "Cluster",
    "GpuClass",
    "JobClass",
    "Local",
    "Override",
    "Profile",
    "Serial",
    "WorkerClass",
    "load_profile",
    "profile_names",
    "require_fit",
    "usable_cores",
]

Scheduler = Literal["slurm", "pbs", "lsf", "sge", "htcondor", "oar", "moab"]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Word = Annotated[str, Field(pattern=r"^\S+$")]
Words = Annotated[tuple[Annotated[str, Field(min_length=1, pattern=r"^[^\r\n]+$")], ...], Field(strict=False)]
Lines = Annotated[tuple[Annotated[str, Field(pattern=r"^[^\r\n]+$")], ...], Field(strict=False)]

_SHARE_OF_MEMORY = 0.9


def _as_walltime(found: Any) -> Any:
    if isinstance(found, int):
        raise PydanticCustomError(
            "walltime", 'expected text such as "12:00:00", found a number: YAML needs quotes around a time'
        )
    return found


Walltime = Annotated[str, Field(pattern=r"^(\d+-)?\d+:[0-5]\d(:[0-5]\d)?$"), BeforeValidator(_as_walltime)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, found: Any) -> Any:
        for key in found if isinstance(found, dict) else ():
            if key not in cls.model_fields:
                words = f"unknown key `{key}`{nearest(key, cls.model_fields)}"
                raise PydanticCustomError("unknown_key", "{words}", {"words": words})
        return found


class Override(_Model):
    """What a stage needs in this place, where the stage itself says otherwise; None leaves its word.

    Attributes
    ----------
    memory_gb : float or None
        GB (10^9 bytes).
    minutes : float or None
    """

    memory_gb: Positive | None = None
    minutes: Positive | None = None


class _Profile(_Model):
    """What all kinds of profile say.

    Attributes
    ----------
    lease_seconds : float
        A case whose run has not been heard of for so long may be taken by another run.
    stages : dict
        Stage -> `Override`.
    """

    lease_seconds: Positive = 120.0
    stages: dict[str, Override] = {}

    def adjusted(self, needs: Mapping[str, Needs], *, also: Collection[str] = ()) -> dict[str, Needs]:
        """Needs of each stage, as this profile overrides them.

        Parameters
        ----------
        needs : mapping of stage to Needs
        also : collection of str, optional
            Stages that other runs have and this one has not: they may be named in the profile.

        Raises
        ------
        SettingsError
            The profile names a stage that does not exist.
        """
        for name in self.stages:
            if name not in needs and name not in also:
                raise SettingsError(
                    f"profile, `stages`: expected stages of the run ({', '.join(needs)}), "
                    f"found `{name}`{nearest(name, [*needs, *also])}"
                )
        return {
            name: replace(need, **self.stages[name].model_dump(exclude_none=True)) if name in self.stages else need
            for name, need in needs.items()
        }

    def largest_gb(self, need: Needs) -> float:
        """The most memory in GB that one stage can have here."""
        return max([need.memory_gb, *self._places_gb(need)])

    def _places_gb(self, need: Needs) -> list[float]:
        """Memory in GB of the places where a stage may run."""
        del need
        return [float("inf")]

    def larger_gb(self, need: Needs) -> float | None:
        """The next larger memory in GB that a stage may have here after what it needs was too little, or None."""
        del need
        return None


class Serial(_Profile):
    """One case after the other, in the calling process."""

    kind: Literal["serial"]


class Local(_Profile):
    """Worker processes on this machine.

    Attributes
    ----------
    cores : int or "auto"
        Cores for everything that the run starts.
    memory_gb : float or "auto"
        GB (10^9 bytes) for all stages that run at once.
    actors : int
        Ray actors of the stage that holds networks; on CPUs if there is no GPU.
    actor_threads : int
        Threads of an actor on CPUs; they are taken off `cores`.
    dashboard : bool
        Whether Dask serves one, on this machine alone; every user of it can look at it.
    """

    kind: Literal["local"]
    cores: Count | Literal["auto"] = "auto"
    memory_gb: Positive | Literal["auto"] = "auto"
    actors: Count = 1
    actor_threads: Count = 1
    dashboard: bool = True

    def all_cores(self) -> int:
        """Cores of the run; for "auto", those that this process may use."""
        return usable_cores() if self.cores == "auto" else self.cores

    def usable_cores(self, needs: Mapping[str, Needs]) -> int:
        """Cores for CPU stages, at least 1; fewer where actors without a GPU run beside them."""
        on_cpus = any(need.kind == "gpu" for need in needs.values()) and not gpus()
        return max(1, self.all_cores() - on_cpus * self.actors * self.actor_threads)

    def measured(self) -> Local:
        """This profile with what is free now in place of "auto"; asked again later, there may be less."""
        return self.model_copy(update={"cores": self.all_cores(), "memory_gb": self.usable_memory_gb()})

    def usable_memory_gb(self) -> float:
        """GB for all stages; for "auto", 90% of what is available now, within the limits of container and job."""
        return available_gb() * _SHARE_OF_MEMORY if self.memory_gb == "auto" else self.memory_gb

    def _places_gb(self, need: Needs) -> list[float]:
        return [] if need.kind == "gpu" else [self.usable_memory_gb()]


class JobClass(_Model):
    """Jobs that are alike.

    Attributes
    ----------
    name : str
    jobs : int
        At most so many at once.
    cores : int
        Of one job.
    memory_gb : float
        Of one job, GB (10^9 bytes).
    walltime : str
        ``[D-]HH:MM:SS``; for lsf ``HH:MM``.
    queue, account : str or None
        None: what the user's configuration of dask-jobqueue says.
    directives : tuple of str
        More lines of the job's header, without the ``#SBATCH``.
    prologue : tuple of str
        Shell commands before the worker starts.
    """

    name: str
    jobs: Count
    cores: Count
    memory_gb: Positive
    walltime: Walltime
    queue: Word | None = None
    account: Word | None = None
    directives: Lines = ()
    prologue: Lines = ()

    @property
    def walltime_seconds(self) -> float:
        """The time of a job in seconds."""
        days, _, clock = self.walltime.rpartition("-")
        hours, minutes, *seconds = (int(part) for part in clock.split(":"))
        return float(86400 * int(days or 0) + 3600 * hours + 60 * minutes + sum(seconds))


class WorkerClass(JobClass):
    """Jobs of Dask workers for CPU stages."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]

    def holds(self, need: Needs) -> bool:
        """Whether a stage with this need fits into one job."""
        return need.threads <= self.cores and need.memory_gb <= self.memory_gb


class GpuClass(JobClass):
    """Jobs of Ray nodes, whose actors hold networks.

    Attributes
    ----------
    gpus : int
        Of one job; 0: its actors run on CPUs.
    actors_per_gpu : int
        Actors that share a GPU; of each job where it has none.
    idle_minutes : float
        A job without work for so long is ended.
    patience_minutes : float
        Jobs that have not started after so long are told.
    """

    name: Literal["gpu"] = "gpu"
    gpus: Annotated[int, Field(ge=0)] = 1
    actors_per_gpu: Count = 1
    idle_minutes: Positive = 10.0
    patience_minutes: Positive = 30.0

    @property
    def actors(self) -> int:
        """Actors of one job."""
        return max(1, self.gpus) * self.actors_per_gpu


class Cluster(_Profile):
    """Jobs of a batch scheduler.

    Attributes
    ----------
    scheduler : str
        dask-jobqueue's name of it.
    interface : str or None
        Network interface by which nodes reach the driver.
    python : tuple of str
        Words that start Python on the nodes, such as ``apptainer exec image.sif python``; empty: what the user's
        configuration of dask-jobqueue says, else the interpreter of the driver by its path.
    workers : tuple of WorkerClass
    gpu : GpuClass or None
    resubmit : int
        Lost jobs that are submitted again, in all.
    patience_minutes : float
        CPU jobs that have not started after so long are told.
    job_state : str or None
        Command that prints a line while the job ``{id}`` waits or runs, and nothing once it is gone.
    dashboard : bool
        Whether Dask serves one, on this machine alone; every user of it can look at it.
    """

    kind: Literal["cluster"]
    scheduler: Scheduler
    interface: Word | None = None
    python: Words = ()
    workers: Annotated[tuple[WorkerClass, ...], Field(strict=False, min_length=1)]
    gpu: GpuClass | None = None
    resubmit: Annotated[int, Field(ge=0)] = 100
    patience_minutes: Positive = 60.0
    job_state: str | None = None
    dashboard: bool = True

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Cluster:
        names = [job_class.name for job_class in self.workers]
        colons = 1 if self.scheduler == "lsf" else 2
        wrong = {
            "`workers`: expected classes with different names, other than gpu": len({*names, "gpu"}) <= len(names),
            f"`walltime`: expected {'HH:MM' if colons == 1 else '[D-]HH:MM:SS'} for {self.scheduler}": any(
                job_class.walltime.count(":") != colons for job_class in self.classes
            ),
            "`job_state`: expected a command with {id} in it": self.job_state is not None
            and "{id}" not in self.job_state,
        }
        for words, is_wrong in wrong.items():
            if is_wrong:
                raise PydanticCustomError("contradiction", "{words}", {"words": words})
        return self

    @property
    def classes(self) -> tuple[JobClass, ...]:
        """All classes of jobs, the one with GPUs last."""
        return (*self.workers, *([self.gpu] if self.gpu else []))

    def _places_gb(self, need: Needs) -> list[float]:
        return [one.memory_gb for one in self.workers if need.kind == "cpu" and need.threads <= one.cores]

    def larger_gb(self, need: Needs) -> float | None:
        """Memory in GB of the smallest class of CPU jobs that holds a stage and has more, or None."""
        if need.kind == "gpu":
            return None
        larger = (one.memory_gb for one in self.workers if one.memory_gb > need.memory_gb and need.threads <= one.cores)
        return min(larger, default=None)

    def patience_seconds(self, job_class: JobClass) -> float:
        """How long jobs of a class may wait before it is told, seconds."""
        return 60 * (job_class.patience_minutes if isinstance(job_class, GpuClass) else self.patience_minutes)


Profile = Serial | Local | Cluster


_KINDS: dict[str, type[Serial] | type[Local] | type[Cluster]] = {"serial": Serial, "local": Local, "cluster": Cluster}


def load_profile(name_or_path: str) -> Profile:
    """Read a profile.

    Parameters
    ----------
    name_or_path : str
        Name of one that cerebatch brings ("slurm"), or path of a YAML file.

    Raises
    ------
    SettingsError
        No such profile, or it does not say what a profile says.
    """
    title = f"profile {name_or_path}"
    content = read_yaml(find_profile(name_or_path), title)
    kind = content.get("kind") if isinstance(content, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise SettingsError(f"{title}: `kind`: expected one of {', '.join(_KINDS)}, found {kind!r}")
    return validated(_KINDS[kind], content, title)


def require_fit(profile: Profile, needs: Mapping[str, Needs]) -> None:
    """Refuse a profile in which a stage would wait for ever.

    Parameters
    ----------
    profile : Profile
    needs : mapping of stage to Needs
        As `adjusted` gives them.

    Raises
    ------
    SettingsError
        Nothing in the profile is large enough for a stage.
    """
    for stage, need in needs.items():
        has = _what_is_too_small(profile, need, needs)
        if has:
            raise SettingsError(
                f"stage {stage} needs {need.threads} {'core' if need.threads == 1 else 'cores'} and "
                f"{need.memory_gb:g} GB{' in an actor' * (need.kind == 'gpu')}, and {has}. "
                f"Give more in the profile, or say under `stages: {stage}:` that it needs less."
            )


def _what_is_too_small(profile: Profile, need: Needs, needs: Mapping[str, Needs]) -> str:
    if isinstance(profile, Local) and need.kind == "cpu":
        cores, memory_gb = profile.usable_cores(needs), profile.usable_memory_gb()
        if need.threads > cores or need.memory_gb > memory_gb:
            return f"the profile has {cores} and {memory_gb:.1f} GB on this machine"
    elif isinstance(profile, Cluster) and need.kind == "cpu":
        if not any(one.holds(need) for one in profile.workers):
            listed = ", ".join(f"{one.name}: {one.cores} and {one.memory_gb:g} GB" for one in profile.workers)
            return f"no class of `workers` has them ({listed})"
    elif isinstance(profile, Cluster) and profile.gpu is None:
        return "the profile has no `gpu` section"
    elif isinstance(profile, Cluster) and profile.gpu is not None:
        gpu = profile.gpu
        if need.threads * gpu.actors > gpu.cores or need.memory_gb * gpu.actors > gpu.memory_gb:
            return f"`gpu` has {gpu.cores} and {gpu.memory_gb:g} GB for {gpu.actors} of them"
    return ""
