"""Where a run takes place."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cerebatch.batch.cluster.profile import (
    Cluster,
    GpuClass,
    Local,
    Profile,
    Serial,
    WorkerClass,
    load_profile,
    profile_names,
    require_fit,
    usable_cores,
)
from cerebatch.batch.job import Needs
from cerebatch.errors import SettingsError

CLUSTER = """\
kind: cluster
scheduler: slurm
workers:
  - {name: small, jobs: 4, cores: 2, memory_gb: 4, walltime: "12:00:00"}
  - {name: large, jobs: 1, cores: 4, memory_gb: 16, walltime: "1-02:03:04"}
"""
GPU = 'gpu: {jobs: 1, gpus: 2, actors_per_gpu: 2, cores: 4, memory_gb: 8, walltime: "1:00:00"}\n'


def profile(path: Path, text: str) -> str:
    """Path of a file with this text."""
    path.write_text(text)
    return str(path)


def read(tmp_path: Path, text: str) -> Any:
    return load_profile(profile(tmp_path / "ours.yaml", text))


def refusal(tmp_path: Path, text: str) -> str:
    """What is said about a file, without its name."""
    path = profile(tmp_path / "wrong.yaml", text)
    with pytest.raises(SettingsError) as caught:
        load_profile(path)
    title = f"profile {path}: "
    assert str(caught.value).startswith(title)
    return str(caught.value).removeprefix(title)


class TestReading:
    def test_the_profiles_that_cerebatch_brings(self) -> None:
        kinds = {name: load_profile(name).kind for name in profile_names()}
        assert kinds == {"local": "local", "serial": "serial", "slurm": "cluster", "slurm-gpu": "cluster"}

    @pytest.mark.parametrize("name", ["local", "serial", "slurm", "slurm-gpu"])
    def test_they_name_every_option_and_explain_it_in_the_line_above(self, name: str) -> None:
        text = resources.files("cerebatch.batch").joinpath(f"profiles/{name}.yaml").read_text()
        content = yaml.safe_load(text)
        assert content.keys() == type(load_profile(name)).model_fields.keys()
        lines = text.splitlines()
        keys = [number for number, line in enumerate(lines) if line.strip()[:1].isalpha() or line.startswith("  - ")]
        unexplained = [lines[number] for number in keys if not lines[number - 1].lstrip().startswith("#")]
        first_class = content.get("workers", [None])[1:]
        assert len(unexplained) == sum(len(keys) for keys in first_class)  # explained in the class before

    def test_slurm_gpu_is_slurm_with_gpus(self) -> None:
        on_cpus, with_gpus = load_profile("slurm"), load_profile("slurm-gpu")
        assert isinstance(on_cpus, Cluster)
        assert isinstance(with_gpus, Cluster)
        assert on_cpus.gpu is not None
        assert with_gpus.gpu is not None
        assert (on_cpus.gpu.gpus, with_gpus.gpu.gpus) == (0, 1)
        assert with_gpus.model_copy(update={"gpu": None}) == on_cpus.model_copy(update={"gpu": None})
        # The threads of an actor decide the last bits of what its networks give.
        assert on_cpus.gpu.cores // on_cpus.gpu.actors == with_gpus.gpu.cores // with_gpus.gpu.actors

    def test_a_file_by_its_path_with_what_it_leaves_out(self, tmp_path: Path) -> None:
        found = read(tmp_path, "kind: local\ncores: 3\nmemory_gb: 4\n")
        assert found == Local(kind="local", cores=3, memory_gb=4.0, actors=1, actor_threads=1, lease_seconds=120.0)

    def test_a_name_goes_before_a_file_of_that_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        profile(tmp_path / "serial", "kind: local\n")
        assert load_profile("serial").kind == "serial"

    def test_the_classes_of_a_cluster(self, tmp_path: Path) -> None:
        found = read(tmp_path, CLUSTER + GPU)
        assert [one.name for one in found.classes] == ["small", "large", "gpu"]
        assert [one.walltime_seconds for one in found.classes] == [43200, 86400 + 7384, 3600]
        assert found.gpu.actors == 4

    def test_a_gpu_class_without_gpus_has_actors_on_cpus(self) -> None:
        found = GpuClass(jobs=1, gpus=0, actors_per_gpu=3, cores=3, memory_gb=6, walltime="1:00:00")
        assert found.actors == 3

    def test_a_value_may_not_change_afterwards(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            load_profile("serial").lease_seconds = 3  # type: ignore[misc]


class TestRefusing:
    @pytest.mark.parametrize(
        ("name", "hint"), [("slrum", ": did you mean `slurm`?"), ("no/such/file.yaml", ""), ("", ""), (".", "")]
    )
    def test_an_unknown_name_says_which_there_are(self, name: str, hint: str) -> None:
        with pytest.raises(SettingsError) as caught:
            load_profile(name)
        assert str(caught.value) == (
            "--profile: expected one of local, serial, slurm, slurm-gpu or the path of a YAML file, "
            f"found {name!r}{hint}"
        )

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("kind: local\ncoers: 3\n", "unknown key `coers`: did you mean `cores`?"),
            ("kind: local\nxyzzy: 3\n", "unknown key `xyzzy`"),
            ("kind: local\n3: 3\n", "unknown key `3`"),
            (CLUSTER.replace("workers", "wokers"), "unknown key `wokers`: did you mean `workers`?"),
            (
                CLUSTER.replace("jobs: 1", "jobs: 1, quene: long"),
                "`workers[1]`: unknown key `quene`: did you mean `queue`?",
            ),
            (
                CLUSTER + GPU.replace("gpus", "gpu"),
                "`gpu`: unknown key `gpu`: did you mean `gpus`?",
            ),
            (
                "kind: serial\nstages: {prepare: {memory: 3}}\n",
                "`stages.prepare`: unknown key `memory`: did you mean `memory_gb`?",
            ),
        ],
    )
    def test_an_unknown_key_is_named_with_the_nearest_known_one(self, tmp_path: Path, text: str, words: str) -> None:
        assert refusal(tmp_path, text) == words

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("kind: slurm\n", "`kind`: expected one of serial, local, cluster, found 'slurm'"),
            ("kind: [local]\n", "`kind`: expected one of serial, local, cluster, found ['local']"),
            ("cores: 3\n", "`kind`: expected one of serial, local, cluster, found None"),
            ("- local\n", "`kind`: expected one of serial, local, cluster, found None"),
            ("", "`kind`: expected one of serial, local, cluster, found None"),
            ("kind: local\ncores: many\n", "`cores`: expected a valid integer or 'auto', found 'many'"),
            ("kind: local\ncores: 1.5\n", "`cores`: expected a valid integer or 'auto', found 1.5"),
            ("kind: local\ncores: true\n", "`cores`: expected a valid integer or 'auto', found True"),
            ("kind: local\ncores: 0\n", "`cores`: expected a number greater than or equal to 1 or 'auto', found 0"),
            ("kind: local\nmemory_gb: .nan\n", "`memory_gb`: expected a finite number or 'auto', found nan"),
            ("kind: serial\nlease_seconds: '9'\n", "`lease_seconds`: expected a valid number, found '9'"),
            (CLUSTER.replace("memory_gb: 16, ", ""), "`workers[1].memory_gb`: expected a value, found none"),
            (
                CLUSTER.replace("jobs: 4", "jobs: 0"),
                "`workers[0].jobs`: expected a number greater than or equal to 1, found 0",
            ),
            (
                CLUSTER.replace('"12:00:00"', "12:00:00"),
                '`workers[0].walltime`: expected text such as "12:00:00", found a number: YAML needs quotes around a '
                "time",
            ),
            (
                CLUSTER.replace("large", "small"),
                "`workers`: expected classes with different names, other than gpu",
            ),
            (CLUSTER.replace("large", "gpu"), "`workers`: expected classes with different names, other than gpu"),
            (
                CLUSTER.replace('"12:00:00"', '"12:00"'),
                "`walltime`: expected [D-]HH:MM:SS for slurm",
            ),
            (CLUSTER + "job_state: squeue\n", "`job_state`: expected a command with {id} in it"),
            ("kind: cluster\nscheduler: slurm\n", "`workers`: expected a value, found none"),
            (
                "kind: local\ncores: x\nactors: y\n",
                "`cores`: expected a valid integer or 'auto', found 'x'; `actors`: expected a valid integer, found 'y'",
            ),
        ],
    )
    def test_a_wrong_value_is_told_with_its_place_what_is_expected_and_what_was_found(
        self, tmp_path: Path, text: str, words: str
    ) -> None:
        assert refusal(tmp_path, text) == words

    def test_an_unknown_scheduler_says_which_there_are(self, tmp_path: Path) -> None:
        words = refusal(tmp_path, CLUSTER.replace("slurm", "slrum"))
        assert words.startswith("`scheduler`: expected 'slurm', 'pbs'")
        assert words.endswith("found 'slrum'")

    @pytest.mark.parametrize("text", ["kind: [local\n", "kind: local\n\tcores: 3\n", "a: b: c\n", "\x00\n"])
    def test_a_file_that_is_no_yaml(self, tmp_path: Path, text: str) -> None:
        assert refusal(tmp_path, text).startswith("expected YAML, found: ")

    def test_a_key_that_stands_twice_for_yaml_would_forget_the_first(self, tmp_path: Path) -> None:
        assert "the key `workers` twice" in refusal(tmp_path, CLUSTER + "workers: []\n")

    def test_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "scan.nii.gz"
        path.write_bytes(b"\x1f\x8b\x08\x00\xff\xfe\xfd")
        with pytest.raises(SettingsError, match="expected YAML"):
            load_profile(str(path))


class TestNeeds:
    NEEDS = {"prepare": Needs("cpu", 1, 2.0, 60.0), "segment": Needs("gpu", 1, 3.0, 5.0)}  # noqa: RUF012

    def test_overrides_change_what_they_name_and_nothing_else(self, tmp_path: Path) -> None:
        ours = read(tmp_path, "kind: serial\nstages: {prepare: {memory_gb: 9, minutes: 7}}\n")
        assert ours.adjusted(self.NEEDS) == self.NEEDS | {"prepare": Needs("cpu", 1, 9.0, 7.0)}

    def test_an_override_of_an_unknown_stage_is_refused_with_the_nearest(self, tmp_path: Path) -> None:
        ours = read(tmp_path, "kind: serial\nstages: {prepair: {minutes: 2}}\n")
        with pytest.raises(SettingsError, match=r"found `prepair`: did you mean `prepare`\?"):
            ours.adjusted(self.NEEDS)

    def test_an_override_of_a_stage_that_other_runs_have_is_let_be(self, tmp_path: Path) -> None:
        ours = read(tmp_path, "kind: serial\nstages: {atlas: {minutes: 2}}\n")
        assert ours.adjusted(self.NEEDS, also=["atlas"]) == self.NEEDS

    @pytest.mark.parametrize(
        ("need", "has"),
        [
            (Needs(threads=5), "no class of `workers` has them (small: 2 and 4 GB, large: 4 and 16 GB)"),
            (Needs(memory_gb=17), "no class of `workers` has them"),
            (Needs("gpu", 1, 3.0), "`gpu` has 4 and 8 GB for 4 of them"),
            (Needs("gpu", 2, 1.0), "`gpu` has 4 and 8 GB for 4 of them"),
        ],
    )
    def test_a_stage_that_nothing_can_hold_is_refused_before_anything_starts(
        self, tmp_path: Path, need: Needs, has: str
    ) -> None:
        with pytest.raises(SettingsError) as caught:
            require_fit(read(tmp_path, CLUSTER + GPU), {"atlas": need})
        assert str(caught.value).startswith(f"stage atlas needs {need.threads} core")
        assert has in str(caught.value)

    def test_a_gpu_stage_needs_a_gpu_section(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"stage segment .* has no `gpu` section"):
            require_fit(read(tmp_path, CLUSTER), self.NEEDS)

    def test_what_fits_is_let_be(self, tmp_path: Path) -> None:
        require_fit(read(tmp_path, CLUSTER + GPU), {"a": Needs("cpu", 4, 16.0), "b": Needs("gpu", 1, 2.0)})
        require_fit(Serial(kind="serial"), {"a": Needs("cpu", 1000, 1e6), "b": Needs("gpu", 1000, 1e6)})

    @pytest.mark.parametrize("need", [Needs(threads=3), Needs(memory_gb=5)])
    def test_a_machine_that_is_too_small(self, need: Needs) -> None:
        with pytest.raises(SettingsError, match=r"the profile has 2 and 4\.0 GB on this machine"):
            require_fit(Local(kind="local", cores=2, memory_gb=4), {"a": need})

    @given(st.floats(0.1, 50), st.lists(st.floats(0.1, 50), min_size=1, max_size=5))
    def test_after_too_little_memory_comes_the_smallest_class_with_more(self, had: float, gb: list[float]) -> None:
        workers = tuple(
            WorkerClass(name=f"w{number}", jobs=1, cores=1, memory_gb=one, walltime="1:00:00")
            for number, one in enumerate(gb)
        )
        found = Cluster(kind="cluster", scheduler="slurm", workers=workers).larger_gb(Needs(memory_gb=had))
        larger = sorted(one for one in gb if one > had)
        assert found == (larger[0] if larger else None)


class TestThisMachine:
    def test_numbers_are_taken_as_they_stand(self) -> None:
        ours = Local(kind="local", cores=77, memory_gb=1000.0)
        assert (ours.all_cores(), ours.usable_memory_gb()) == (77, 1000.0)

    def test_auto_is_what_the_process_may_use(self) -> None:
        ours = Local(kind="local")
        assert ours.all_cores() == usable_cores()
        assert 0 < ours.usable_memory_gb() < 1e4

    @pytest.mark.parametrize(("gpus", "left"), [(0, 4), (1, 8)])
    def test_actors_take_cores_where_there_is_no_gpu(
        self, monkeypatch: pytest.MonkeyPatch, gpus: int, left: int
    ) -> None:
        monkeypatch.setattr("cerebatch.batch.cluster.profile.gpus", lambda: gpus)
        ours = Local(kind="local", cores=8, actors=2, actor_threads=2)
        assert ours.usable_cores({"segment": Needs("gpu")}) == left
        assert ours.usable_cores({"prepare": Needs("cpu")}) == 8
        assert Local(kind="local", cores=1).usable_cores({"segment": Needs("gpu")}) == 1

    def test_inside_a_slurm_job_no_more_than_the_job_has(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
        outside = usable_cores()
        monkeypatch.setenv("SLURM_JOB_ID", "7")
        assert usable_cores() == 1
        assert outside == len(os.sched_getaffinity(0))
        monkeypatch.setenv("SLURM_MEM_PER_NODE", "100")
        assert Local(kind="local").usable_memory_gb() == pytest.approx(0.9 * 100 * 2**20 / 1e9)

    @pytest.mark.skipif(
        not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores"
    )
    def test_only_cores_of_the_affinity_mask_count(self) -> None:
        script = (
            "import os\n"
            "from cerebatch.batch.cluster.profile import usable_cores\n"
            "os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])\n"
            "print(usable_cores())\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "1"


def test_a_profile_is_one_of_three() -> None:
    kinds: list[Profile] = [load_profile("serial"), load_profile("local"), load_profile("slurm")]
    assert [type(one) for one in kinds] == [Serial, Local, Cluster]
