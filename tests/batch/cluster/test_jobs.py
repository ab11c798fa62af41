"""Jobs: how many of them are kept alive."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from job_profiles import cluster, place

from cerebatch.batch.cluster.jobs import JobPool, Pace, Resubmits, WorkerPlace
from cerebatch.batch.cluster.profile import Cluster
from cerebatch.errors import SettingsError

pytestmark = pytest.mark.slow


SECONDS = 20.0
"""Within which everything has to happen on the small Slurm."""


def until(condition: Callable[[], Any], what: str) -> Any:
    """What a condition gives once it is true."""
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {SECONDS} s"
        time.sleep(0.05)
    return found


class Owner:
    """A pool whose jobs are shell scripts, and what their owner sees of them."""

    def __init__(self, folder: Path, profile: Cluster, *, job: str = "sleep 600", retry: float = 0.05) -> None:
        self.folder = folder
        self.told: list[str] = []
        self.pool = JobPool(
            profile,
            profile.workers[0],
            place(folder),
            "R1",
            tell=self.told.append,
            resubmits=Resubmits(profile.resubmit),
            command_of=lambda name: f"touch {shlex.quote(str(folder / name))}; {job}",
            pace=Pace(look=0.2, retry=retry),
        )
        self.seen: set[str] = set()

    def new(self, jobs: int) -> list[str]:
        """Names of so many jobs that have started since the last time; the pool knows that they arrived."""

        def started() -> list[str]:
            names = {path.name for path in self.folder.glob("cerebatch-*")} - self.seen
            return sorted(names) if len(names) >= jobs else []

        names = until(started, f"{jobs} jobs start") if jobs else []
        self.seen |= set(names)
        assert all(self.pool.arrived(name) for name in names)
        return names


@pytest.fixture
def owner(slurm: Path, tmp_path: Path) -> Iterator[Callable[..., Owner]]:
    """Makes owners; their jobs are gone in the end."""
    owners: list[Owner] = []

    def make(profile: Cluster | None = None, **options: Any) -> Owner:
        owners.append(Owner(tmp_path, profile or cluster(), **options))
        return owners[-1]

    yield make
    for one in owners:
        one.pool.close()
    until(lambda: not queued(), "the queue is empty")


def queued(form: str = "%j") -> list[str]:
    done = subprocess.run(["squeue", "--noheader", f"--format={form}"], capture_output=True, text=True, check=True)
    return sorted(line.strip() for line in done.stdout.splitlines())


class TestPool:
    def test_as_many_jobs_as_wanted_with_names_of_their_own(self, owner: Callable[..., Owner]) -> None:
        ours = owner()
        ours.pool.want(3)
        assert ours.new(3) == ["cerebatch-R1-cpu-1", "cerebatch-R1-cpu-2", "cerebatch-R1-cpu-3"]
        assert queued() == sorted(ours.seen)
        assert (ours.pool.alive, ours.told) == (3, [])

    def test_no_more_than_the_class_allows(self, owner: Callable[..., Owner]) -> None:
        ours = owner(cluster(jobs=1))
        ours.pool.want(5)
        ours.new(1)
        assert len(queued()) == 1

    def test_surplus_is_cancelled_and_what_waits_goes_first(self, owner: Callable[..., Owner]) -> None:
        ours = owner(cluster(cores=4))  # two nodes have room for two
        ours.pool.want(2)
        running = ours.new(2)
        ours.pool.want(4)
        until(lambda: len(queued()) == 4, "four are in the queue")
        ours.pool.want(2)
        until(lambda: queued() == running, "the waiting ones are cancelled")
        ours.pool.want(0)
        until(lambda: not queued(), "all are cancelled")

    def test_a_lost_job_is_replaced(self, owner: Callable[..., Owner]) -> None:
        ours = owner()
        ours.pool.want(2)
        lost, kept = ours.new(2)
        ours.pool.left(lost)
        (new,) = ours.new(1)
        until(lambda: queued() == sorted([kept, new]), "the lost one is cancelled, for it may still run")

    def test_a_job_that_vanished_before_it_started_is_noticed(self, owner: Callable[..., Owner]) -> None:
        ours = owner(cluster(cores=4, jobs=3))
        ours.pool.want(3)
        ours.new(2)
        waiting = until(lambda: [line.split()[0] for line in queued("%i %T") if "PENDING" in line], "one waits")
        subprocess.run(["scancel", *waiting], check=True)
        until(lambda: len(queued("%i")) == 3 and waiting[0] not in queued("%i"), "another waits")
        assert any(f"job {waiting[0]} ended before its worker arrived" in words for words in ours.told)

    def test_a_job_that_left_on_time_is_replaced_without_limit(self, owner: Callable[..., Owner]) -> None:
        ours = owner(cluster(jobs=1, resubmit=0))
        ours.pool.want(1)
        for _ in range(3):
            (name,) = ours.new(1)
            ours.pool.left(name, expected=True)
        ours.new(1)
        assert ours.told == []

    def test_beyond_the_limit_nothing_is_replaced_and_it_is_told(self, owner: Callable[..., Owner]) -> None:
        ours = owner(cluster(jobs=2, resubmit=1))
        ours.pool.want(2)
        first, second = ours.new(2)
        ours.pool.left(first)
        (third,) = ours.new(1)
        ours.pool.left(second)
        until(lambda: ours.told, "it is told")
        assert "1 lost jobs were submitted again (`resubmit` in the profile), and no more" in ours.told[0]
        assert "1 of 2 are left" in ours.told[0]
        assert (ours.pool.alive, ours.pool.is_spent) == (1, False)
        ours.pool.left(third)
        until(lambda: ours.pool.is_spent, "none is left")

    def test_a_job_that_comes_back_after_it_was_replaced_is_cancelled(self, owner: Callable[..., Owner]) -> None:
        ours = owner(cluster(directives=[]))
        ours.pool.want(1)
        (ghost,) = ours.new(1)
        ours.pool.left(ghost)
        ours.new(1)
        assert ours.pool.arrived(ghost) is False

    def test_a_job_of_somebody_else_does_not_belong_here(self, owner: Callable[..., Owner]) -> None:
        assert owner().pool.arrived("cerebatch-R0-cpu-1") is False

    def test_jobs_that_do_not_start_are_told_once(self, owner: Callable[..., Owner]) -> None:
        ours = owner(cluster(patience_minutes=0.01))
        ours.pool.want(1)
        until(lambda: ours.told, "it is told")
        time.sleep(0.5)
        (words,) = ours.told
        assert words.startswith("jobs of class cpu: 1 of 1 jobs have not arrived after 0.01 minutes: ")
        assert "Each asks for 1 cores, 0.5 GB, 00:10:00; the run goes on waiting" in words

    def test_jobs_that_end_at_once_use_up_the_limit_and_say_what_their_log_says(
        self, owner: Callable[..., Owner]
    ) -> None:
        ours = owner(cluster(jobs=1, resubmit=2), job="echo no such module >&2; exit 1")
        ours.pool.want(1)
        until(lambda: ours.pool.is_spent, "the limit is reached")
        until(lambda: len(ours.told) == 2, "it is told")
        assert "Its log ends: no such module" in ours.told[0]

    def test_a_submission_that_is_refused_is_told_and_tried_again(self, owner: Callable[..., Owner]) -> None:
        ours = owner(cluster(jobs=1, resubmit=1, queue="nowhere"))
        ours.pool.want(1)
        until(lambda: ours.pool.is_spent, "the limit is reached")
        until(lambda: len(ours.told) == 2, "it is told")
        assert "could not be submitted: sbatch " in ours.told[0]
        assert "invalid partition specified: nowhere" in ours.told[0]

    def test_after_close_there_is_no_job_and_no_new_one(self, owner: Callable[..., Owner]) -> None:
        ours = owner()
        ours.pool.want(3)
        ours.new(1)
        ours.pool.close()
        ours.pool.want(3)
        until(lambda: not queued(), "the queue is empty")
        ours.pool.close()
        assert ours.pool.alive == 0

    def test_a_profile_that_gives_no_job_is_refused_before_anything_starts(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="htcondor"):
            Owner(tmp_path, cluster(scheduler="htcondor", directives=[]))


class TestResubmits:
    def test_one_limit_for_all_pools(self) -> None:
        shared = Resubmits(2)
        assert [shared.take() for _ in range(4)] == [True, True, False, False]


class TestOnSlurm:
    def test_the_worker_of_a_job_joins_the_scheduler_by_tls(self, slurm: Path, tmp_path: Path) -> None:
        from distributed import Scheduler
        from distributed.security import Security

        temporary = Security.temporary()
        files = {}
        for name, text in (
            ("ca", temporary.tls_ca_file),
            ("cert", temporary.tls_worker_cert),
            ("key", temporary.tls_worker_key),
        ):
            files[f"tls_{name}"] = tmp_path / f"{name}.pem"
            files[f"tls_{name}"].write_text(text)
        profile = cluster(cores=2)
        told: list[str] = []

        async def joined() -> tuple[Any, ...]:
            async with Scheduler(
                host="127.0.0.1", protocol="tls", security=temporary, dashboard_address=":0"
            ) as scheduler:
                here = WorkerPlace(scheduler.address, folder=tmp_path / "jobs", **files)
                pool = JobPool(profile, profile.workers[0], here, "R", tell=told.append, resubmits=Resubmits(0))
                pool.want(1)
                try:
                    deadline = time.monotonic() + 2 * SECONDS
                    while not scheduler.workers and time.monotonic() < deadline:
                        await asyncio.sleep(0.1)
                    (found,) = scheduler.workers.values()
                    return (
                        found.name,
                        found.nthreads,
                        dict(found.resources),
                        pool.arrived(str(found.name)),
                        found.address,
                    )
                finally:
                    await asyncio.to_thread(pool.close)

        name, threads, resources, belongs, address = asyncio.run(joined())
        assert (name, threads, belongs) == ("cerebatch-R-cpu-1", 2, True)
        assert resources == {"cores": 2.0, "memory_gb": 0.5}
        assert address.startswith("tls://")
        assert told == []

    def test_a_gpu_job_joins_ray_under_its_name(self, slurm: Path, tmp_path: Path) -> None:
        script = """
import sys, time
from pathlib import Path
import ray
from cerebatch.batch.cluster.jobs import JobPool, Resubmits, WorkerPlace, ray_node
from cerebatch.batch.cluster.profile import load_profile
folder, profile = Path(sys.argv[1]), load_profile(sys.argv[2])
head = ray.init(num_cpus=0, num_gpus=0, include_dashboard=False, _temp_dir=sys.argv[3], _node_ip_address="127.0.0.1",
                log_to_driver=False, logging_level="ERROR")
none = Path("none")
pool = JobPool(
    profile, profile.gpu, WorkerPlace("none", none, none, none, folder), "R", tell=print, resubmits=Resubmits(0),
    command_of=ray_node(profile, profile.gpu, head.address_info["gcs_address"]),
)
pool.want(1)
deadline = time.monotonic() + 60
while len(ray.nodes()) < 2 and time.monotonic() < deadline:
    time.sleep(0.2)
for node in ray.nodes():
    if node["Labels"].get("cerebatch-job"):
        print(node["Labels"]["cerebatch-job"], node["Resources"]["GPU"], node["Resources"]["cerebatch_actor"])
pool.close()
ray.shutdown()
"""
        profile = tmp_path / "profile.yaml"
        profile.write_text(cluster(memory_gb=2).model_dump_json())
        with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as short:
            done = subprocess.run(
                [sys.executable, "-c", script, str(tmp_path / "jobs"), str(profile), short],
                capture_output=True, text=True, timeout=120, cwd="/",
            )  # fmt: skip
        assert done.stdout.splitlines() == ["cerebatch-R-gpu-1 1.0 1.0"], done.stderr
