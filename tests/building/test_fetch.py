"""Published files from a web server on the loopback: resumed, broken off, wrong, missing, and no room for them."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

from cerebatch.building import fetch as fetching
from cerebatch.building.archives import scans_of_archives
from cerebatch.building.download import download
from cerebatch.building.fetch import fetch
from cerebatch.building.published import Published, read_table
from cerebatch.errors import DownloadError
from cerebatch.io.labelmaps import read_codes
from cerebatch.library.store import open_library

CONTENT = bytes(range(256)) * 4000


@dataclass
class Web:
    """What a server has and did."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    cut: dict[str, int] = field(default_factory=dict)
    """Name -> bytes after which the connection is closed, once."""
    ranges: bool = True

    def publish(self, name: str, content: bytes, kind: str = "heads") -> Published:
        """Put a file on the server; its line of the table."""
        self.files[name] = content
        digest = hashlib.sha256(content).hexdigest()
        return Published(kind, name, len(content), digest, "CC0", f"{self.address}/{name}")  # type: ignore[arg-type]


@pytest.fixture
def web() -> Iterator[Web]:
    """A web server with files, that knows ranges."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path[1:]
            site.asked.append((name, self.headers.get("Range", "")))
            if name not in site.files:
                self.send_error(404)
                return
            content, start = site.files[name], 0
            if site.ranges and (wanted := re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))):
                start = int(wanted[1])
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : site.cut.pop(name, len(content))])

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Web(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_comes_whole_and_is_not_asked_for_again(web: Web, tmp_path: Path) -> None:
    told: list[int] = []
    file = web.publish("a.bin", CONTENT)
    path = download(file, tmp_path / "new", told.append)
    assert path.read_bytes() == CONTENT
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)
    assert download(file, tmp_path / "new") == path
    assert len(web.asked) == 1
    assert [one.name for one in path.parent.iterdir()] == ["a.bin"]


def test_a_connection_that_breaks_off_is_taken_up_where_it_broke(web: Web, tmp_path: Path) -> None:
    file = web.publish("a.bin", CONTENT)
    web.cut["a.bin"] = 300_000
    assert download(file, tmp_path).read_bytes() == CONTENT
    first, second = web.asked
    assert first == ("a.bin", "")
    start = int(second[1].removeprefix("bytes=").removesuffix("-"))
    assert 200_000 < start <= 300_000


def test_what_an_earlier_call_left_is_gone_on_with(web: Web, tmp_path: Path) -> None:
    file = web.publish("a.bin", CONTENT)
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1000])
    assert download(file, tmp_path).read_bytes() == CONTENT
    assert web.asked == [("a.bin", "bytes=1000-")]


def test_a_server_without_ranges_gives_the_file_from_its_start(web: Web, tmp_path: Path) -> None:
    file, web.ranges = web.publish("a.bin", CONTENT), False
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1000])
    assert download(file, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"of another version", CONTENT + b"too much"], ids=["other", "longer"])
def test_what_was_left_of_another_file_costs_one_more_download(web: Web, tmp_path: Path, left: bytes) -> None:
    file = web.publish("a.bin", CONTENT)
    (tmp_path / "a.bin.part").write_bytes(left)
    assert download(file, tmp_path).read_bytes() == CONTENT
    assert len(web.asked) == 2


def test_a_wrong_digest_is_told_by_name_and_nothing_stays(web: Web, tmp_path: Path) -> None:
    file = replace(web.publish("a.bin", CONTENT), sha256="0" * 64)
    with pytest.raises(
        DownloadError, match=r"/a\.bin: expected sha256 0{64}, found another file.*Nothing of it was kept"
    ):
        download(file, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_on_the_disk_is_replaced(web: Web, tmp_path: Path) -> None:
    file = web.publish("a.bin", CONTENT)
    (tmp_path / "a.bin").write_bytes(CONTENT[:-1])
    assert download(file, tmp_path).read_bytes() == CONTENT


def test_a_file_that_is_not_there_is_told_with_the_servers_answer(web: Web, tmp_path: Path) -> None:
    file = Published("heads", "none.bin", 1, "0" * 64, "CC0", f"{web.address}/none.bin")
    with pytest.raises(DownloadError, match=r"expected the file none\.bin, found the server's answer 404 Not Found"):
        download(file, tmp_path)
    assert len(web.asked) == 1  # asking again cannot help


def test_where_nobody_answers_what_came_is_kept(web: Web, tmp_path: Path) -> None:
    file = Published("heads", "a.bin", 1, "0" * 64, "CC0", "http://127.0.0.1:9/a.bin")
    (tmp_path / "a.bin.part").write_bytes(b"some")
    with pytest.raises(DownloadError, match=r"could not be made .*run the same command again"):
        download(file, tmp_path)
    assert (tmp_path / "a.bin.part").read_bytes() == b"some"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_told_with_the_file(web: Web, tmp_path: Path) -> None:
    file = web.publish("a.bin", CONTENT)
    (tmp_path / "a.bin.part").symlink_to("/dev/full")
    with pytest.raises(DownloadError, match=r"a\.bin: expected room for the file, found a full disk.*Make room"):
        download(file, tmp_path)


def test_too_little_room_is_told_before_anything_comes(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fetching._LIBRARY_BYTES, 1.0, 10**18)
    with pytest.raises(DownloadError, match=r"expected 1000000000\.0 GB of room"):
        fetch(
            tmp_path, [web.publish("a.bin", CONTENT)], with_scans=False, resolution=1.0, tell=print,
            tell_bytes=lambda file, there: None,
        )  # fmt: skip
    assert web.asked == []


def test_a_digest_nobody_published_is_recorded_once_and_then_held(web: Web, tmp_path: Path) -> None:
    file = replace(web.publish("a.bin", CONTENT), sha256=None)
    download(file, tmp_path)
    assert (tmp_path / "a.bin.sha256").read_text() == f"{hashlib.sha256(CONTENT).hexdigest()}  a.bin\n"
    (tmp_path / "a.bin").unlink()
    web.files["a.bin"] = CONTENT[::-1]
    with pytest.raises(DownloadError, match="found another file"):
        download(file, tmp_path)


def test_the_table_has_the_public_maps_each_with_its_digest_but_two_archives() -> None:
    files = read_table()
    assert [sum(file.kind == kind for file in files) for kind in ("lobules", "heads", "scans")] == [5, 20, 2]
    for file in files:
        assert file.url.startswith("http")
        assert (file.kind == "scans") == (file.sha256 is None)
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.url.endswith(file.name)


@pytest.mark.parametrize(
    ("content", "words"),
    [("a\tb\n", "expected columns kind"), ("", "found nothing")],
)
def test_another_table_is_refused_by_what_it_lacks(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "t.tsv").write_text(content)
    with pytest.raises(DownloadError, match=words):
        read_table(tmp_path / "t.tsv")


def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    line = "kind\tname\tbytes\tsha256\tlicence\turl\nheads\t../x\t1\t\tCC0\thttp://127.0.0.1/x\n"
    (tmp_path / "t.tsv").write_text(line)
    with pytest.raises(DownloadError, match="found line 2"):
        read_table(tmp_path / "t.tsv")


def write_minc(path: Path, codes: np.ndarray, affine: np.ndarray) -> None:
    """A MINC 2 file as the tools of MINC write labels: slowest axis first, a range for each slice."""
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = affine[:3, :3] / sizes
    starts = np.linalg.solve(cosines, affine[:3, 3])
    stored = np.transpose(codes, (2, 1, 0))
    with h5py.File(path, "w") as file:
        dimensions = file.create_group("minc-2.0/dimensions")
        for axis, name in enumerate(("xspace", "yspace", "zspace")):
            dimension = dimensions.create_dataset(name, data=0)
            dimension.attrs["start"], dimension.attrs["step"] = starts[axis], sizes[axis]
            dimension.attrs["direction_cosines"], dimension.attrs["spacing"] = cosines[:, axis], np.bytes_("regular__")
        image = file.create_group("minc-2.0/image/0")
        top = np.maximum(stored.reshape(len(stored), -1).max(axis=1), 1).astype(float)
        shares = np.rint(stored / top[:, None, None] * 65535).astype(np.uint16)
        data = image.create_dataset("image", data=shares, compression="gzip")
        data.attrs["dimorder"], data.attrs["valid_range"] = np.bytes_("zspace,yspace,xspace"), [0.0, 65535.0]
        for name, values in (("image-max", top), ("image-min", np.zeros(len(stored)))):
            image.create_dataset(name, data=values).attrs["dimorder"] = np.bytes_("zspace")


def test_labels_in_minc_are_whole_numbers_where_the_nifti_has_them(lobule_maps: Path, tmp_path: Path) -> None:
    known = nib.load(lobule_maps / "one_dseg.nii.gz")
    codes = np.asarray(known.dataobj)
    write_minc(tmp_path / "one_labels.mnc", codes, known.affine)
    found, grid = read_codes(tmp_path / "one_labels.mnc")
    assert np.array_equal(np.transpose(found, (2, 1, 0)), codes)
    assert np.allclose(grid.affine[:, [2, 1, 0, 3]], known.affine)


def archive(path: Path, members: dict[str, bytes]) -> Path:
    """A bz2 archive of files."""
    with tarfile.open(path, "w:bz2") as made:
        for name, content in members.items():
            information = tarfile.TarInfo(name)
            information.size = len(content)
            made.addfile(information, io.BytesIO(content))
    return path


def nifti(value: float) -> bytes:
    return bytes(nib.Nifti1Image(np.full((4, 4, 4), value, np.float32), np.diag([0.3, 0.3, 0.3, 1])).to_bytes())


def test_scans_come_out_of_their_archives_named_after_the_maps(tmp_path: Path) -> None:
    first = archive(tmp_path / "brains_t1.tar.bz2", {
        "brains_t1/brain1_t1.nii": nifti(1), "brains_t1/brain2_t1.nii": nifti(2), "brains_t1/notes.txt": b"x",
        "brains_t1/brain3_a.nii": nifti(3), "../brain3_b.nii": nifti(3),
    })  # fmt: skip
    second = archive(tmp_path / "brains_t2.tar.bz2", {"brains_t2/brain1_t2.nii": nifti(9)})
    told: list[str] = []
    folder = scans_of_archives([first, second], tmp_path / "out" / "scans", told.append)
    assert folder is not None
    assert sorted(path.name for path in folder.iterdir()) == ["brain1_T1w.nii.gz", "brain1_T2w.nii.gz"]
    assert nib.load(folder / "brain1_T2w.nii.gz").get_fdata().max() == 9
    assert any("several images of brain3" in line for line in told)
    assert any("brain2: only a T1w" in line for line in told)


def test_an_archive_that_is_broken_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "brains_t1.tar.bz2").write_bytes(b"no archive")
    with pytest.raises(DownloadError, match=r"(?s)brains_t1\.tar\.bz2: expected an archive.*Delete it"):
        scans_of_archives([tmp_path / "brains_t1.tar.bz2"], tmp_path / "scans", print)


def cerebatch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    line = [sys.executable, "-P", "-c", "from cerebatch.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=900)


@pytest.mark.slow
@pytest.mark.long
def test_the_library_from_downloads_is_the_one_by_hand(
    web: Web, lobule_maps: Path, head_maps: Path, tmp_path: Path
) -> None:
    known = nib.load(lobule_maps / "one_dseg.nii.gz")
    by_hand = tmp_path / "by-hand"
    (by_hand / "lobules").mkdir(parents=True)
    write_minc(by_hand / "lobules/brain1_labels.mnc", np.asarray(known.dataobj), known.affine)
    shutil.copytree(head_maps, by_hand / "heads")
    rows = ["kind\tname\tbytes\tsha256\tlicence\turl"]
    for kind in ("lobules", "heads"):
        for path in (by_hand / kind).iterdir():
            file = web.publish(path.name, path.read_bytes(), kind)
            rows.append(f"{kind}\t{file.name}\t{file.bytes}\t{file.sha256}\tCC0\t{file.url}")
    table = tmp_path / "mirror.tsv"
    table.write_text("\n".join(rows) + "\n")
    options = ("--resolution", "4.0", "--processes", 1)
    got = cerebatch("library", "fetch", tmp_path / "fetched", "--table", table, *options)
    assert got.returncode == 0, got.stdout + got.stderr
    assert "downloaded and checked" in got.stdout
    built = cerebatch(
        "library",
        "build",
        tmp_path / "hand.zarr",
        "--lobules",
        by_hand / "lobules",
        "--heads",
        by_hand / "heads",
        *options,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    fetched, hand = open_library(tmp_path / "fetched/library-4mm.zarr"), open_library(tmp_path / "hand.zarr")
    assert fetched.names == hand.names == ("brain1_alpha", "brain1_alpha-mirrored")
    assert fetched.digest == hand.digest
    again = cerebatch("library", "fetch", tmp_path / "fetched", "--table", table, *options)
    assert again.returncode == 0
    assert "is finished already" in again.stdout
    web.files.clear()
    broken = cerebatch("library", "fetch", tmp_path / "other", "--table", table, *options)
    assert broken.returncode == 2
    assert "404" in broken.stderr
