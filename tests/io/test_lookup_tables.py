"""Tables of names and colours for viewers."""

from __future__ import annotations

import re
from pathlib import Path

from cerebatch.io.lookup_tables import fsleyes, itksnap, write_lookup_tables
from cerebatch.labels import LABELS


def test_fsleyes_gets_code_colour_from_0_to_1_and_name() -> None:
    lines = [line.split(" ", 4) for line in fsleyes().splitlines()]
    assert [(int(line[0]), line[4]) for line in lines] == [(label.index, label.name) for label in LABELS]
    for line, label in zip(lines, LABELS, strict=True):
        assert "".join(f"{round(float(shade) * 255):02x}" for shade in line[1:4]) == label.color[1:]


def test_itksnap_gets_every_label_with_its_colour_seen_and_opaque() -> None:
    pattern = re.compile(r'^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+([\d.]+)\s+([01])\s+([01])\s+"(.+)"$')
    found = [pattern.match(line) for line in itksnap().splitlines() if not line.startswith("#")]
    assert all(found)
    clear, *rows = [match.groups() for match in found if match]
    assert clear[:5] == ("0", "0", "0", "0", "0")
    assert [(int(row[0]), row[7]) for row in rows] == [(label.index, label.name) for label in LABELS]
    assert {row[4:7] for row in rows} == {("1", "1", "1")}
    assert ["#" + "".join(f"{int(shade):02x}" for shade in row[1:4]) for row in rows] == [
        label.color for label in LABELS
    ]


def test_both_are_written_into_a_folder(tmp_path: Path) -> None:
    write_lookup_tables(tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"cerebatch_fsleyes.lut", "cerebatch_itksnap.txt"}
