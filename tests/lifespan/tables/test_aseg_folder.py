"""FreeSurfer's SUBJECTS_DIR: a folder a person, stats/aseg.stats in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lifespan import Reading, TableError, read_table

HEADER = """# Title Segmentation Statistics
#
# cvs_version 7.4.1
# Measure BrainSeg, BrainSegVol, Brain Segmentation Volume, 1100000.000000, mm^3
# Measure EstimatedTotalIntraCranialVol, eTIV, Estimated Total Intracranial Volume, {icv}, mm^3
# ColHeaders  Index SegId NVoxels Volume_mm3 StructName normMean normStdDev normMin normMax normRange
"""
ROWS = (
    (7, "Left-Cerebellum-White-Matter", 15000.5),
    (8, "Left-Cerebellum-Cortex", 52000.0),
    (46, "Right-Cerebellum-White-Matter", 14900.0),
    (47, "Right-Cerebellum-Cortex", 53000.25),
    (17, "Left-Hippocampus", 4100.0),
)


def subject(folder: Path, name: str, rows: tuple[tuple[int, str, float], ...] = ROWS, icv: str = "1500000.0") -> Path:
    path = folder / name / "stats" / "aseg.stats"
    path.parent.mkdir(parents=True)
    lines = [
        f"{k + 1:3d} {code:3d} {volume:9.0f} {volume:9.1f}  {structure:30s} 80.1 9.5 20 120 100"
        for k, (code, structure, volume) in enumerate(rows)
    ]
    path.write_text(HEADER.format(icv=icv) + "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("sub-1", "sub-2"):
        subject(tmp_path / "fs", name)
    (tmp_path / "fs" / "fsaverage").mkdir()
    (tmp_path / "ages.tsv").write_text("participant_id\tage\tsex\nsub-1\t20\tF\nsub-2\t30\tM\n", encoding="utf-8")
    return tmp_path


def test_each_folder_is_a_person_with_the_cerebellums_volumes(folder: Path) -> None:
    people = read_table(folder / "fs", Reading(participants=folder / "ages.tsv"))
    assert people.texts("participant_id") == ["sub-1", "sub-2"]
    assert people.tool == "FreeSurfer" and people.icv_method == "FreeSurfer eTIV"
    np.testing.assert_allclose(people.volumes["left cerebellum cortex"], 52.0)
    np.testing.assert_allclose(people.volumes["left cerebellum white matter"], 15.0005, atol=1e-4)
    np.testing.assert_allclose(people.icv_cm3, 1500.0)
    assert len(people.structures) == 4


def test_other_structures_by_name(folder: Path) -> None:
    said = Reading(participants=folder / "ages.tsv", structures=("Left-Hippocampus",))
    assert read_table(folder / "fs", said).structures == ("left hippocampus",)


def test_sessions_come_from_the_names_of_the_folders(folder: Path) -> None:
    for session in ("1", "2"):
        subject(folder / "long", f"sub-1_ses-{session}")
    people = read_table(folder / "long", Reading(participants=folder / "ages.tsv"))
    assert people.texts("participant_id") == ["sub-1", "sub-1"]
    assert people.texts("session") == ["1", "2"]


def test_a_structure_that_a_person_lacks_is_missing_and_told(folder: Path) -> None:
    subject(folder / "fs", "sub-3", ROWS[1:])
    (folder / "ages.tsv").write_text("participant_id\tage\nsub-1\t20\nsub-2\t30\nsub-3\t40\n", encoding="utf-8")
    people = read_table(folder / "fs", Reading(participants=folder / "ages.tsv"))
    assert np.isnan(people.volumes["left cerebellum white matter"].to_numpy()[2])
    assert any("Left-Cerebellum-White-Matter: 1 missing" in text for text in people.warnings)


def test_a_file_that_is_no_aseg_stats_is_named(folder: Path) -> None:
    (folder / "fs" / "sub-2" / "stats" / "aseg.stats").write_text("nothing\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"sub-2/stats/aseg\.stats: expected the table of aseg\.stats"):
        read_table(folder / "fs", Reading(participants=folder / "ages.tsv"))
