"""Ray's actors: calls run there, what fails costs an actor and nothing else, and nothing is left or open to others."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import psutil
import pytest
import ray_running
from ray_running import THREADS, Running, failure, prepare, wait_for

from cerebatch.batch.advance import Call, Progress
from cerebatch.batch.engines import ray_head
from cerebatch.batch.engines.base import CANCELLED
from cerebatch.batch.engines.on_ray import RayJobs
from cerebatch.batch.job import Job, Needs, Stage
from cerebatch.batch.ledger.records import HANG, KILLED, LOST, read_record
from cerebatch.io.stamp import FileStamp
from cerebatch.timing import Step

for module in (sys.modules[__name__], ray_running):
    cloudpickle.register_pickle_by_value(module)

pytestmark = pytest.mark.slow


ADDRESS = "127.0.0.1"
TEMPORARY, FOLDERS = Path("/tmp"), "cerebatch-ray-*"
SETTINGS = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "RAY_USAGE_STATS_ENABLED", "PYTHONBREAKPOINT")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    before = dict(os.environ)
    made = Running(tmp_path_factory.mktemp("run"))
    made.engine.want(1)
    wait_for(lambda: made.engine.slots == 1, seconds=60)
    assert dict(os.environ) == before
    yield made
    made.engine.close()


def ray_processes() -> list[psutil.Process]:
    """This process and those that Ray started below it."""
    below = psutil.Process().children(recursive=True)
    return [psutil.Process(), *(process for process in below if "ray_head" not in " ".join(process.cmdline()))]


def test_a_call_runs_in_an_actor_and_is_heard_here(running: Running, make_jobs: Any) -> None:
    (job,) = make_jobs(1)
    running.events.clear()
    result = running.run(prepare(job))
    assert isinstance(result, Progress)
    assert (result.ran, result.next) == ("prepare", "atlas")
    assert [(event.what, event.case) for event in running.events] == [("started", job.name), ("finished", job.name)]
    assert read_record(job.record_path("prepare")) is not None
    assert f" {running.actor()} " in job.log_path.read_text()


def test_a_stage_is_heard_while_it_runs(running: Running, make_jobs: Any) -> None:
    (job,) = make_jobs(1, work=1.5)
    running.events.clear()
    wait = running.submit(prepare(job))
    wait_for(lambda: bool(running.events), seconds=1)
    assert [event.what for event in running.events] == ["started"]
    wait()


def test_networks_are_loaded_once_for_many_calls(running: Running, make_jobs: Any) -> None:
    for job in make_jobs(3):
        assert isinstance(running.run(prepare(job)), Progress)
    assert len(running.warm_ups.read_text().split()) == 1


def test_a_call_that_waits_is_taken_back(running: Running, make_jobs: Any) -> None:
    first, second = make_jobs(2, work=1.0)
    wait_first, wait_second = running.submit(prepare(first)), running.submit(prepare(second))
    running.engine.cancel(second.name)
    assert failure(wait_second()).kind == CANCELLED
    assert isinstance(wait_first(), Progress)
    assert not second.log_path.exists()


@dataclass(frozen=True)
class NetworkJob(Job):
    """A box of three channels through a small network with weights from a seed."""

    source: Path = Path()

    def needs(self) -> dict[str, Needs]:
        return {"segment": Needs("gpu", memory_gb=4.0)}

    def plan(self) -> list[Stage]:
        return [Stage("segment", 1, {"box": FileStamp.of(self.source)}, {}, self.out_dir / self.name, self.make)]

    def make(self, folder: Path) -> list[Step]:
        segment(self.source, folder)
        return []


def segment(source: Path, folder: Path) -> None:
    """Probabilities of 27 classes from three channels."""
    import torch
    from torch import nn

    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv3d(3, 16, 3, padding=1), nn.InstanceNorm3d(16), nn.ReLU(), nn.Conv3d(16, 27, 3, padding=1), nn.Softmax(1)
    ).eval()
    with torch.inference_mode():
        output = network(torch.from_numpy(np.load(source)))
    np.save(folder / "probabilities.npy", output.numpy())
    (folder / "threads").write_text(str(torch.get_num_threads()))


def test_a_network_gives_the_bytes_that_it_gives_in_a_bare_process(running: Running, tmp_path: Path) -> None:
    source, bare = tmp_path / "box.npy", tmp_path / "bare"
    bare.mkdir()
    np.save(source, np.random.default_rng(0).normal(size=(1, 3, 72, 48, 48)).astype(np.float32))
    job = NetworkJob("sub-01", tmp_path, tmp_path / "work", source=source)
    assert isinstance(running.run(Call(job, "segment", job.needs()["segment"])), Progress)

    def alone() -> None:
        import torch

        torch.set_num_threads(THREADS)
        segment(source, bare)

    program = "import cloudpickle, sys; cloudpickle.load(sys.stdin.buffer)()"
    subprocess.run([sys.executable, "-c", program], input=cloudpickle.dumps(alone), check=True)
    assert (tmp_path / "sub-01" / "threads").read_text() == (bare / "threads").read_text() == str(THREADS)
    in_actor, alone_bytes = (folder / "probabilities.npy" for folder in (tmp_path / "sub-01", bare))
    assert in_actor.read_bytes() == alone_bytes.read_bytes()


def test_on_one_machine_nothing_listens_but_on_the_loopback(running: Running) -> None:
    found: dict[int, str] = {}
    for process in ray_processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            listening = [one for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN]
            found |= {one.laddr.port: one.laddr.ip.removeprefix("::ffff:") for one in listening}
    assert len(found) >= 5
    assert set(found.values()) == {ADDRESS}


def test_other_users_of_the_machine_cannot_reach_its_sockets(running: Running) -> None:
    head = running.engine._head
    assert head is not None
    assert list(head.folder.rglob("sockets/raylet"))
    assert head.folder.stat().st_mode & 0o777 == 0o700


def test_usage_statistics_are_off(running: Running) -> None:
    settings = []
    for process in ray_processes()[1:]:
        with contextlib.suppress(psutil.Error):
            settings.append(process.environ().get("RAY_USAGE_STATS_ENABLED"))
    assert settings.count("0") >= 5
    assert set(settings) <= {"0", None}  # None: a process that wrote its title over its environment


def test_only_who_has_the_token_gets_in(running: Running, tmp_path: Path) -> None:
    import ray

    assert (running.folder / "ray_token").stat().st_mode & 0o777 == 0o600
    wrong = tmp_path / "wrong"
    wrong.write_text("0" * 64)
    program = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False); print(len(ray.nodes()), 'nodes')"

    def try_it(**settings: str) -> subprocess.Popen[str]:
        own = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_NUM_REDIS_GET_RETRIES": "2"}
        return subprocess.Popen(
            [sys.executable, "-c", program, ray.get_runtime_context().gcs_address],
            env={**os.environ, **own, **settings}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    with (
        try_it(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(wrong)) as with_wrong_token,
        try_it(RAY_AUTH_MODE="disabled") as without_token,
        try_it(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(running.folder / "ray_token")) as with_token,
    ):
        told = [process.communicate(timeout=60)[0] for process in (with_wrong_token, without_token, with_token)]
    assert ["1 nodes" in words for words in told] == [False, False, True]
    assert ["InvalidAuthToken" in words for words in told] == [True, True, False]


def test_a_killed_actor_is_lost_and_the_next_call_has_a_new_one(running: Running, make_jobs: Any) -> None:
    hanging, well = make_jobs(2, "0:prepare:hang")
    running.events.clear()
    wait, killed = running.submit(prepare(hanging)), running.actor()
    wait_for(lambda: bool(running.events), seconds=10)
    os.kill(killed, signal.SIGKILL)
    result = failure(wait())
    assert result.kind == LOST
    assert f"process {killed} " in result.message
    assert isinstance(running.run(prepare(well)), Progress)
    assert running.actor() != killed


def test_an_actor_that_died_while_it_waited_costs_no_call(running: Running, make_jobs: Any) -> None:
    (job,) = make_jobs(1)
    wait_for(lambda: running.engine.slots == 1, seconds=20)
    actor = running.actor()
    os.kill(actor, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(actor), seconds=5)  # not between an answer to the engine and its next call
    assert isinstance(running.run(prepare(job)), Progress)


def test_a_hanging_stage_is_ended(running: Running, make_jobs: Any) -> None:
    hanging, well = make_jobs(2, "0:prepare:hang")
    wait, actor = running.submit(prepare(hanging, minutes=0.03)), running.actor()
    result = failure(wait())
    assert result.kind == HANG
    assert "0.03 minutes" in result.message
    assert "`stages: {prepare: {minutes: ...}}`" in result.message
    wait_for(lambda: not psutil.pid_exists(actor), seconds=5)
    assert isinstance(running.run(prepare(well)), Progress)


def test_too_much_memory_is_ended_and_told_with_both_numbers(running: Running, make_jobs: Any) -> None:
    greedy, well = make_jobs(2, "0:prepare:memory", memory_gb=1.0)
    result = failure(running.run(prepare(greedy)))
    assert result.kind == KILLED
    assert result.message.startswith("killed for memory: it had 1 GB and took 1.")
    assert isinstance(running.run(prepare(well)), Progress)


def test_a_job_that_cannot_be_read_there_is_told_why(running: Running, make_jobs: Any) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return int, ("no number",)

    (job,) = make_jobs(1)
    result = running.run(prepare(replace(job, faults=Trap())))
    # The fault of the place, which may have another version of the package; the case is tried elsewhere.
    assert isinstance(result, Progress)
    assert result.failure is not None
    assert result.failure.fault == "place"
    assert "invalid literal for int" in result.failure.message


def test_close_answers_what_runs_and_leaves_nothing(running: Running, make_jobs: Any) -> None:
    running_job, waiting_job = make_jobs(2, "0:prepare:hang")
    running.events.clear()
    waits = [running.submit(prepare(job)) for job in (running_job, waiting_job)]
    wait_for(lambda: any(event.what == "started" for event in running.events), seconds=20)
    below = psutil.Process().children(recursive=True)
    processes = [process for process in below if process not in running.before]
    (temporary,) = {word for one in processes for word in one.cmdline() if word in map(str, TEMPORARY.glob(FOLDERS))}
    running.engine.close()
    running.engine.close()
    assert [failure(wait()).kind for wait in waits] == [CANCELLED, CANCELLED]
    assert failure(running.run(prepare(waiting_job))).kind == CANCELLED
    assert running.engine.slots == 0
    assert not [process for process in processes if process.is_running()]
    assert not Path(temporary).exists()
    assert not (running.folder / "ray_token").exists()
    assert not set(SETTINGS) & set(os.environ)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Ray's own reaper ends them, a little later")
def test_all_is_gone_soon_after_the_driver_was_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "sys.argv = ['x']\n"
        f"exec(open({str(Path(__file__).parents[1] / 'cohort.py')!r}).read().split('def main')[0], globals())\n"
        "from cerebatch.batch.advance import Call\n"
        "from cerebatch.batch.engines.on_ray import Actors, RayEngine\n"
        f"out = Path({str(tmp_path)!r}) / 'out'; out.mkdir()\n"
        "faults = {'sub-00001': [('prepare', 'hang')]}\n"
        "jobs = jobs_of(out, 2, faults, gpu=False, work=0, limits=Needs(memory_gb=1))\n"
        "engine = RayEngine(Actors(1), out, lambda event: print(event.case, event.what, flush=True))\n"
        "for job in jobs:\n"
        "    engine.submit(Call(job, 'prepare', job.needs()['prepare']), print)\n"
        "time.sleep(3600)\n"
    )
    before = set(TEMPORARY.glob(FOLDERS))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        lines = iter(driver.stdout)
        told = [next(line for line in lines if line.startswith(what)) for what in ("Progress", "sub-00001 started")]
        assert "ran='prepare'" in told[0]  # a job of __main__ went there by value
        processes = psutil.Process(driver.pid).children(recursive=True)
        (folder,) = set(TEMPORARY.glob(FOLDERS)) - before
        driver.kill()
        driver.wait()
    assert len(processes) > 5
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive
    wait_for(lambda: not folder.exists(), seconds=5)
    assert not (tmp_path / "out" / "ray_token").exists()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[tuple[list[RayJobs], Callable[[RayJobs], None], list[subprocess.Popen[bytes]]]]:
    """Starts a Ray node in a process of its own where an engine asks for a job, and ends it where none is wanted."""
    asked, nodes = list[RayJobs](), list[subprocess.Popen[bytes]]()
    folder = Path(tempfile.mkdtemp(prefix="node-", dir=TEMPORARY))  # not tmp_path: too long for sockets

    def end() -> None:
        for one in nodes:
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in psutil.Process(one.pid).children(recursive=True):
                    process.kill()
            one.kill()
            one.wait()

    def start(wanted: RayJobs) -> None:
        asked.append(wanted)
        if wanted.jobs == 0:
            end()
            return
        command = [
            "-m", "ray.scripts.scripts", "start", f"--address={wanted.address}", "--block", "--num-cpus=0",
            "--num-gpus=0", '--resources={"cerebatch_actor": 1}', "--labels=cerebatch-job=first",
            f"--temp-dir={folder}", "--object-store-memory=100000000",
        ]  # fmt: skip
        guard = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(wanted.token), "RAY_USAGE_STATS_ENABLED": "0"}
        nodes.append(subprocess.Popen([sys.executable, *command], env=os.environ | guard, stdout=subprocess.DEVNULL))

    yield asked, start, nodes
    end()
    shutil.rmtree(folder, ignore_errors=True)


def test_nodes_of_jobs_offer_places_and_a_lost_node_loses_its_call(
    node: Any, make_jobs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, start, nodes = node
    for name, value in {"period_ms": 500, "timeout_ms": 1000, "failure_threshold": 3, "initial_delay_ms": 1000}.items():
        monkeypatch.setitem(ray_head._CONFIG, f"health_check_{name}", value)  # Ray takes 15 s otherwise
    well, hanging = make_jobs(2, "1:prepare:hang")
    running = Running(tmp_path, address=own_address(), start_jobs=start, idle_minutes=0.02)
    with contextlib.closing(running.engine):
        wait = running.submit(prepare(well))
        assert running.engine.slots == 0
        assert isinstance(wait(), Progress)
        assert asked[0].jobs == 1
        assert "first" in [labels.get("cerebatch-job") for labels in running.engine.node_labels()]
        running.events.clear()
        wait = running.submit(prepare(hanging))
        wait_for(lambda: any(event.what == "started" for event in running.events), seconds=20)
        for process in psutil.Process(nodes[-1].pid).children(recursive=True):
            process.kill()
        assert failure(wait()).kind == LOST
        assert [jobs.jobs for jobs in asked] == [1]  # a call that ran is no idleness
        wait_for(lambda: asked[-1].jobs == 0, seconds=10)


def test_an_address_of_another_machine_is_told_at_once(make_jobs: Any, tmp_path: Path) -> None:
    running = Running(tmp_path, address="203.0.113.5")  # of a network for documentation
    (job,) = make_jobs(1)
    with contextlib.closing(running.engine):
        assert "expected an IP address of this machine, found 203.0.113.5" in failure(running.run(prepare(job))).message


def own_address() -> str:
    """Address of this machine, or of the loopback where it has no other."""
    found = [one.address for many in psutil.net_if_addrs().values() for one in many if one.family == socket.AF_INET]
    return next((address for address in found if not address.startswith("127.")), ADDRESS)
