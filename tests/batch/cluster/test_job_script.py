"""Job scripts: what is submitted."""

from __future__ import annotations

import itertools
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import pytest
from job_profiles import cluster, place

from cerebatch.batch.cluster.job_script import RAY_JOB_LABEL, BatchJob, cancel, ray_node
from cerebatch.batch.cluster.profile import Cluster
from cerebatch.errors import QueueError, SettingsError


def worker(profile: Cluster, folder: Path) -> str:
    """Script of a CPU job."""
    return BatchJob(profile, profile.workers[0], place(folder), "cerebatch-R-cpu-1").script


def gpu_script(profile: Cluster, folder: Path) -> str:
    assert profile.gpu is not None
    command = ray_node(profile, profile.gpu, "10.0.0.1:6379", token=folder / "secrets" / "token")("cerebatch-R-gpu-1")
    return BatchJob(profile, profile.gpu, place(folder), "cerebatch-R-gpu-1", command).script


def header(script: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH ")]


@pytest.fixture(autouse=True)
def _no_configuration_of_the_user() -> Iterator[None]:
    import dask_jobqueue

    defaults = next(iter(dask.config.collect_yaml([str(Path(dask_jobqueue.__file__).parent)])))
    with dask.config.set(jobqueue=defaults["jobqueue"]):
        yield


class TestScript:
    def test_the_header_says_what_the_class_asks_for(self, tmp_path: Path) -> None:
        script = worker(cluster(cores=3, memory_gb=8.0, queue="long", account="lab"), tmp_path)
        assert header(script) == [
            "-J cerebatch-R-cpu-1",
            f"-e {tmp_path}/jobs/cerebatch-R-cpu-1-%J.err",
            f"-o {tmp_path}/jobs/cerebatch-R-cpu-1-%J.out",
            "-p long",
            "-A lab",
            "-n 1",
            "--cpus-per-task=3",
            "--mem=8G",
            "-t 00:10:00",
            "--no-requeue",
        ]

    def test_the_command_is_a_dask_worker_that_ends_with_its_job(self, tmp_path: Path) -> None:
        command = shlex.split(worker(cluster(cores=3), tmp_path).splitlines()[-1])
        assert command[1:5] == ["-P", "-m", "distributed.cli.dask_worker", "tls://10.0.0.1:8786"]
        options = dict(itertools.pairwise(command))
        secrets = tmp_path / "secrets"
        expected = {
            "--name": "cerebatch-R-cpu-1", "--nthreads": "3", "--death-timeout": "60",
            "--local-directory": "${TMPDIR:-/tmp}", "--resources": "cores=3,memory_gb=0.5",
            "--tls-ca-file": f"{secrets}/ca.pem",
            "--tls-cert": f"{secrets}/cert.pem", "--tls-key": f"{secrets}/key.pem",
        }  # fmt: skip
        assert {name: options.get(name) for name in expected} == expected
        assert {"--no-nanny", "--no-dashboard"} < set(command)
        assert not {"--lifetime", "--preload", "--nworkers", "--interface"} & set(command)

    def test_a_gpu_job_has_the_same_header_and_joins_ray(self, tmp_path: Path) -> None:
        profile = cluster()
        script = gpu_script(profile, tmp_path)
        assert header(script)[3:] == [
            "-p gpu", "-n 1", "--cpus-per-task=1", "--mem=954M", "-t 00:10:00", "--gres=gpu:1"
        ]  # fmt: skip
        command = script.splitlines()[-1]
        assert " -m ray.scripts.scripts start --address=10.0.0.1:6379 --block " in command
        assert "--num-cpus=0 --num-gpus=1 '--resources={\"cerebatch_actor\": 1}' " in command
        assert f" --labels={RAY_JOB_LABEL}=cerebatch-R-gpu-1 " in command
        assert f"RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH={tmp_path}/secrets/token " in command

    @pytest.mark.parametrize("make", [worker, gpu_script])
    def test_odd_characters_in_paths_stay_what_they_are(
        self, tmp_path: Path, make: Callable[[Cluster, Path], str]
    ) -> None:
        folder = tmp_path / 'a b\'s $HOME `id` "c"'
        script = make(cluster(), folder)
        command = script.splitlines()[-1]
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        assert any(str(folder) in word for word in shlex.split(command.replace("`mktemp -d /tmp/ray-XXXXXX`", "x")))
        assert not any(line.startswith(("-e", "-o")) for line in header(script))

    def test_nothing_secret_stands_in_a_script(self, tmp_path: Path) -> None:
        secrets = tmp_path / "secrets"
        secrets.mkdir()
        for name in ("ca.pem", "cert.pem", "key.pem", "token"):
            (secrets / name).write_text("open sesame")
        assert "sesame" not in worker(cluster(), tmp_path) + gpu_script(cluster(), tmp_path)

    def test_what_the_profile_leaves_out_is_what_the_user_told_dask_jobqueue(self, tmp_path: Path) -> None:
        ours = {
            "queue": "theirs", "account": "theirs", "python": "/opt/py thon", "local-directory": "/scratch",
            "job-extra-directives": ["--qos=low"], "job-script-prologue": ["module load their"], "walltime": "1",
            "worker-extra-args": ["--interface", "ib0"],
        }  # fmt: skip
        with dask.config.set({f"jobqueue.slurm.{name}": value for name, value in ours.items()}):
            script = worker(cluster(queue="ours", prologue=["module load our"]), tmp_path)
            with_gpu = gpu_script(cluster(), tmp_path)
        assert header(script)[3:] == [
            "-p ours", "-A theirs", "-n 1", "--cpus-per-task=1", "--mem=477M", "-t 00:10:00", "--qos=low",
            "--no-requeue",
        ]  # fmt: skip
        assert script.splitlines()[-3:-1] == ["module load their", "module load our"]
        assert script.splitlines()[-1].startswith("'/opt/py thon' -P -m distributed.cli.dask_worker ")
        assert " --local-directory /scratch --interface ib0 --no-dashboard " in script
        assert " '/opt/py thon' -P -m ray.scripts.scripts start " in with_gpu

    def test_python_may_be_several_words_such_as_those_of_a_container(self, tmp_path: Path) -> None:
        words = ["apptainer", "exec", "--nv", "/images/my cerebatch.sif", "python"]
        profile = cluster(python=words)
        said = "apptainer exec --nv '/images/my cerebatch.sif' python -P -m "
        with dask.config.set({"jobqueue.slurm.python": "/opt/other"}):
            assert worker(profile, tmp_path).splitlines()[-1].startswith(f"{said}distributed.cli.dask_worker ")
            assert f" {said}ray.scripts.scripts start " in gpu_script(profile, tmp_path)

    @pytest.mark.parametrize(
        ("scheduler", "line"),
        [
            ("pbs", "#PBS -A lab"),
            ("moab", "#PBS -A lab"),
            ("lsf", '#BSUB -P "lab"'),
            ("sge", "#$ -P lab"),
            ("oar", "#OAR --project lab"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:OAR Job memory")
    def test_other_schedulers_are_dask_jobqueues_affair(self, tmp_path: Path, scheduler: str, line: str) -> None:
        walltime = "00:10" if scheduler == "lsf" else "00:10:00"
        profile = cluster(scheduler=scheduler, account="lab", walltime=walltime, gpu=None)
        script = worker(profile, tmp_path)
        assert line in script.splitlines()
        assert "distributed.cli.dask_worker" in script.splitlines()[-1]

    def test_htcondor_gets_its_prologue_before_any_command(self, tmp_path: Path) -> None:
        profile = cluster(scheduler="htcondor", directives=["Requirements = a == b"], prologue=["module load x"])
        with dask.config.set({"jobqueue.htcondor.disk": "1GB"}):
            job = BatchJob(profile, profile.workers[0], place(tmp_path), "n", "true")
        assert "Arguments = \"-c 'module load x; true'\"" in job.script
        assert "Requirements = a == b" in job.script

    def test_an_option_that_a_scheduler_has_not_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="`queue` of class cpu: htcondor knows none"):
            worker(cluster(scheduler="htcondor", queue="long"), tmp_path)

    def test_what_dask_jobqueue_refuses_is_a_matter_of_the_profile(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"writes no job for htcondor: .*disk"):
            worker(cluster(scheduler="htcondor", directives=[]), tmp_path)
        with pytest.raises(SettingsError, match=r"class cpu: expected NAME = VALUE, found '--no-requeue'"):
            worker(cluster(scheduler="htcondor"), tmp_path)


class TestQueue:
    def test_without_a_quotable_path_the_log_is_in_the_folder_all_the_same(self, slurm: Path, tmp_path: Path) -> None:
        here = place(tmp_path / "a b")
        BatchJob(cluster(), cluster().workers[0], here, "n", "echo said").submit()
        deadline = time.monotonic() + 20
        while not (logs := [path for path in here.folder.glob("slurm-*.out") if path.read_text() == "said\n"]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert len(logs) == 1

    def test_a_scheduler_that_is_not_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        job = BatchJob(cluster(), cluster().workers[0], place(tmp_path), "n", "true")
        with pytest.raises(QueueError, match=r"sbatch .*n\.sh: No such file or directory"):
            job.submit()
        cancel([job])  # there is nothing to cancel
