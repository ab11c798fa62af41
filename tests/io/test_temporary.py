"""Names of files that are not yet whole, and which of them may go."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from cerebatch.io.atomic import write_text
from cerebatch.io.temporary import sweep, temporary_name

MAKE_AND_DIE = (
    "import sys\nfrom pathlib import Path\nfrom cerebatch.io.temporary import temporary_name\n"
    "temporary_name(Path(sys.argv[1])).mkdir()\n"
)


def make_old(path: Path, seconds: float) -> None:
    """Nobody touched it for so long."""
    long_ago = time.time() - seconds
    os.utime(path, (long_ago, long_ago))


def test_what_a_process_left_that_lives_no_more_goes_at_once(tmp_path: Path) -> None:
    target = tmp_path / "out"
    subprocess.run([sys.executable, "-c", MAKE_AND_DIE, target], check=True)
    assert len(list(tmp_path.iterdir())) == 1
    sweep(target, untouched_seconds=60)
    assert not list(tmp_path.iterdir())


def test_what_a_process_of_today_works_on_stays(tmp_path: Path) -> None:
    folder = temporary_name(tmp_path / "out")
    folder.mkdir()
    sweep(tmp_path / "out", untouched_seconds=60)
    assert folder.exists()


def test_of_a_process_that_cannot_be_looked_at_only_what_is_long_untouched_goes(tmp_path: Path) -> None:
    fresh, old, busy = (tmp_path / f".out.{host}-1-1-abcdef01.tmp" for host in ("11111111", "22222222", "33333333"))
    for folder in (fresh, old, busy):
        folder.mkdir()
        (folder / "half").touch()
    for path in (old / "half", old, busy):
        make_old(path, 61)
    sweep(tmp_path / "out", untouched_seconds=60)
    assert (fresh.exists(), old.exists(), busy.exists()) == (True, False, True)


def test_only_what_belongs_to_the_very_name_goes(tmp_path: Path) -> None:
    other = tmp_path / ".outer.11111111-1-1-abcdef01.tmp"
    other.touch()
    make_old(other, 61)
    sweep(tmp_path / "out", untouched_seconds=60)
    assert other.exists()


def test_many_that_write_one_file_at_once_do_not_take_each_others_half(tmp_path: Path) -> None:
    """Containers have the same process numbers; threads always have."""
    errors: list[Exception] = []

    def write(text: str) -> None:
        try:
            for _ in range(200):
                write_text(tmp_path / "table.tsv", text)
        except OSError as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=[str(number) * 1000]) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert errors == []
    assert [path.name for path in tmp_path.iterdir()] == ["table.tsv"]
    assert len((tmp_path / "table.tsv").read_text()) == 1000
