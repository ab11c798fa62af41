"""Where a run takes place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebatch.batch.profile import Profile, load_profile, usable_cores
from cerebatch.errors import SettingsError

NO_MEMORY_AT_ALL = 1e-9
MORE_THAN_THERE_IS = 1e9


def profile(path: Path, text: str) -> str:
    """Path of a file with this text."""
    path.write_text(text)
    return str(path)


class TestReading:
    @pytest.mark.parametrize(("name", "kind"), [("local", "local"), ("serial", "serial")])
    def test_the_profiles_that_cerebatch_brings(self, name: str, kind: str) -> None:
        assert load_profile(name).kind == kind

    def test_a_file_by_its_path(self, tmp_path: Path) -> None:
        path = profile(tmp_path / "ours.yaml", "kind: local\nworkers: 3\nmemory_gb: 4\n")
        assert load_profile(path) == Profile(kind="local", workers=3, memory_gb=4.0)

    def test_what_a_file_leaves_out_is_decided_by_the_machine(self, tmp_path: Path) -> None:
        assert load_profile(profile(tmp_path / "short.yaml", "kind: local\n")).workers == "auto"

    def test_a_name_goes_before_a_file_of_that_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        profile(tmp_path / "serial", "kind: local\n")
        assert load_profile("serial").kind == "serial"


class TestRefusing:
    @pytest.mark.parametrize("name", ["slrum", "no/such/file.yaml", "", "."])
    def test_an_unknown_name_says_which_there_are(self, name: str) -> None:
        with pytest.raises(SettingsError) as caught:
            load_profile(name)
        assert str(caught.value) == (
            f"--profile: expected one of local, serial or the path of a YAML file, found {name!r}"
        )

    @pytest.mark.parametrize(
        ("text", "about"),
        [
            ("kind: local\nwokers: 3\n", "wokers: Extra inputs are not permitted"),
            ("kind: slurm\n", "kind: Input should be"),
            ("workers: 3\n", "kind: Field required"),
            ("kind: local\nworkers: many\n", "workers"),
            ("kind: local\nworkers: 1.5\n", "workers"),
            ("kind: local\nmemory_gb: a lot\n", "memory_gb: Input should be a valid number"),
            ("kind: local\nmemory_gb: 0\n", "memory_gb: Input should be greater than 0"),
            ("kind: local\nmemory_gb: .nan\n", "memory_gb: Input should be greater than 0"),
            ("- local\n", "dictionary"),
            ("local\n", "dictionary"),
            ("", "dictionary"),
        ],
    )
    def test_a_wrong_key_or_type_is_named_with_the_file_and_the_keys_there_are(
        self, tmp_path: Path, text: str, about: str
    ) -> None:
        path = profile(tmp_path / "wrong.yaml", text)
        with pytest.raises(SettingsError) as caught:
            load_profile(path)
        assert str(caught.value).startswith(f"profile {path}: expected the keys kind, workers, memory_gb")
        assert about in str(caught.value)

    @pytest.mark.parametrize("workers", [0, -1])
    def test_fewer_than_one_worker_is_refused_for_it_would_run_nothing(self, tmp_path: Path, workers: int) -> None:
        with pytest.raises(SettingsError, match="workers"):
            load_profile(profile(tmp_path / "none.yaml", f"kind: local\nworkers: {workers}\n"))

    @pytest.mark.parametrize("text", ["kind: [local\n", "kind: local\n\tworkers: 3\n", "a: b: c\n", "\x00\n"])
    def test_a_file_that_is_no_yaml(self, tmp_path: Path, text: str) -> None:
        path = profile(tmp_path / "bad.yaml", text)
        with pytest.raises(SettingsError) as caught:
            load_profile(path)
        assert str(caught.value).startswith(f"profile {path}: expected YAML, found: ")

    def test_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "scan.nii.gz"
        path.write_bytes(b"\x1f\x8b\x08\x00\xff\xfe\xfd")
        with pytest.raises(SettingsError, match="expected YAML"):
            load_profile(str(path))

    def test_a_value_may_not_change_afterwards(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            load_profile("serial").workers = 3  # type: ignore[misc]


class TestCasesAtOnce:
    @given(threads=st.integers(1, 1000))
    @settings(deadline=None)
    def test_in_one_process_it_is_one(self, threads: int) -> None:
        assert Profile(kind="serial", workers=8).cases_at_once(threads) == 1

    @given(workers=st.integers(1, 1000), threads=st.integers(1, 1000))
    @settings(deadline=None)
    def test_a_number_is_taken_as_it_stands(self, workers: int, threads: int) -> None:
        assert Profile(kind="local", workers=workers).cases_at_once(threads) == workers

    @given(threads=st.integers(1, 1000))
    @settings(deadline=None)
    def test_auto_is_never_less_than_one_nor_more_threads_than_cores(self, threads: int) -> None:
        found = Profile(kind="local", memory_gb=NO_MEMORY_AT_ALL).cases_at_once(threads)
        assert found == max(1, usable_cores() // threads)

    def test_auto_is_one_where_memory_would_not_do_for_two(self) -> None:
        assert Profile(kind="local", memory_gb=MORE_THAN_THERE_IS).cases_at_once(1) == 1

    @pytest.mark.skipif(
        not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores"
    )
    def test_auto_counts_the_cores_that_the_process_may_use(self) -> None:
        script = (
            "import os, sys\n"
            "from cerebatch.batch.profile import Profile\n"
            "cores = sorted(os.sched_getaffinity(0))\n"
            f"profile = Profile(kind='local', memory_gb={NO_MEMORY_AT_ALL})\n"
            "for allowed, threads in ((2, 1), (2, 2), (1, 1)):\n"
            "    os.sched_setaffinity(0, cores[:allowed])\n"
            "    print(profile.cases_at_once(threads))\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["2", "1", "1"]
