"""Tables as tools write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lifespan import Reading, TableError, read_table


def write(path: Path, text: str, separator: str = "\t") -> Path:
    """Cells by blanks, rows by semicolons."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(separator.join(row.split()) for row in text.split(";")) + "\n")
    return path


class TestWide:
    TEXT = "participant_id age sex left_cortex_mm3 icv_mm3;a 30 F 52000 1400000;b 40 male 61000 1500000"

    @pytest.mark.parametrize("separator", ["\t", ",", ";"])
    def test_units_come_from_the_names_of_columns(self, tmp_path: Path, separator: str) -> None:
        text = self.TEXT.replace(";", "\n").replace(" ", separator)
        path = tmp_path / "t.csv"
        path.write_text(text)
        people = read_table(path)
        assert people.structures == ("left_cortex",)
        assert list(people.volumes["left_cortex"]) == [52.0, 61.0]
        assert list(people.icv_cm3) == [1400.0, 1500.0]
        assert people.texts("sex") == ["F", "M"]

    @pytest.mark.parametrize("name", ["vermis_cm3", "vermis cm3", "vermis (cm3)", "vermis_ml", "vermis.cm3"])
    def test_spellings_of_a_unit(self, tmp_path: Path, name: str) -> None:
        frame = pd.DataFrame({"participant_id": ["a"], "age": [30], "sex": ["F"], name: [5.0]})
        assert list(read_table(frame).volumes["vermis"]) == [5.0]

    def test_several_units_are_brought_together_with_a_warning(self, tmp_path: Path) -> None:
        people = read_table(write(tmp_path / "t.tsv", "participant_id age sex a_mm3 b_cm3;x 30 F 5000 5"))
        assert people.volumes.iloc[0].tolist() == [5.0, 5.0]
        assert any("cm3 and mm3" in warning for warning in people.warnings)

    def test_one_structure_in_two_units_is_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.tsv", "participant_id age sex a_mm3 a_cm3;x 30 F 5000 5")
        with pytest.raises(TableError, match="a in the columns a_mm3 and a_cm3"):
            read_table(path)

    def test_without_a_unit_nothing_is_guessed(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.tsv", "participant_id age sex left right;x 30 F 5000 5000")
        with pytest.raises(
            TableError, match=r"with their unit in the name.*found the columns participant_id, age, sex"
        ):
            read_table(path)
        people = read_table(path, Reading(structures=("left",), unit="mm3"))
        assert (people.structures, people.volumes["left"][0]) == (("left",), 5.0)

    def test_only_some_structures(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.tsv", "participant_id age sex a_mm3 b_mm3;x 30 F 5000 5000")
        assert read_table(path, Reading(structures=("b",))).structures == ("b",)
        with pytest.raises(TableError, match="columns c with a unit"):
            read_table(path, Reading(structures=("c",)))


OWN_ROWS = (
    ("Crus I", "left", 10.0),
    ("Crus I", "right", 11.0),
    ("Crus I", "both", 21.0),
    ("anterior", "left", 8.0),
    ("cerebellum", "both", 130.0),
)


def own(folder: Path, label: str, factor: float = 1.0, method: str = "atlas") -> Path:
    """One table as `cerebatch run` writes it, with its sidecars."""
    anat = folder / f"sub-{label}" / "anat"
    anat.mkdir(parents=True, exist_ok=True)
    stem = f"sub-{label}_seg-lobules"
    lines = ["structure\tside\tvolume_cm3\tnative_count_cm3\tpercent_icv\twith_folia_cm3\tasymmetry"]
    for structure, side, volume in OWN_ROWS:
        v = volume * factor
        lines.append(f"{structure}\t{side}\t{v:.4f}\t{v:.4f}\t{100 * v / 1400:.4f}\t{v * 1.3:.4f}\tn/a")
    path = anat / f"{stem}_volumes.tsv"
    path.write_text("\n".join(lines) + "\n")
    path.with_suffix(".json").write_text(json.dumps({"ICV": {"Method": "affine scale"}}))
    (anat / f"{stem}_dseg.json").write_text(json.dumps({"Method": method}))
    return path


class TestOwn:
    def participants(self, folder: Path, text: str = "participant_id age sex;sub-1 30 F;sub-2 40 M") -> Reading:
        return Reading(participants=write(folder / "participants.tsv", text))

    def test_a_folder_of_them_with_ages_from_participants(self, tmp_path: Path) -> None:
        own(tmp_path / "out", "1")
        own(tmp_path / "out", "2", 1.1)
        people = read_table(tmp_path / "out", self.participants(tmp_path))
        assert people.texts("participant_id") == ["sub-1", "sub-2"]
        assert list(people.age) == [30.0, 40.0]
        assert list(people.volumes["left Crus I"]) == pytest.approx([10.0, 11.0])
        np.testing.assert_allclose(people.icv_cm3, 1400.0, rtol=1e-4)
        assert (people.tool, people.icv_method) == ("cerebatch (atlas)", "affine scale")

    def test_lobes_both_sides_and_the_whole_are_totals(self, tmp_path: Path) -> None:
        people = read_table(own(tmp_path, "1"), self.participants(tmp_path))
        assert people.totals == {"both Crus I", "left anterior", "both cerebellum"}

    def test_another_column_is_another_tool(self, tmp_path: Path) -> None:
        reading = self.participants(tmp_path)
        said = Reading(participants=reading.participants, column="with_folia_cm3")
        people = read_table(own(tmp_path, "1"), said)
        assert people.volumes["left Crus I"][0] == pytest.approx(13.0)
        assert people.tool == "cerebatch (atlas) with_folia_cm3"
        assert people.icv_cm3[0] == pytest.approx(1400.0, rel=1e-4)

    def test_two_methods_in_one_folder_are_refused(self, tmp_path: Path) -> None:
        own(tmp_path / "out", "1")
        own(tmp_path / "out", "2", method="single case")
        with pytest.raises(TableError, match=r"volumes of one method, found atlas \(.*\), single case \("):
            read_table(tmp_path / "out", self.participants(tmp_path))

    def test_a_folder_without_any(self, tmp_path: Path) -> None:
        with pytest.raises(TableError, match="OUT_DIR of `cerebatch run`"):
            read_table(tmp_path)

    def test_a_name_that_does_not_tell_whose_it_is(self, tmp_path: Path) -> None:
        path = own(tmp_path, "1")
        moved = path.rename(path.with_name("volumes.tsv"))
        with pytest.raises(TableError, match=r"a name that begins with sub-LABEL, found volumes\.tsv"):
            read_table(moved, self.participants(tmp_path))

    def test_a_cohort_in_one_table(self, tmp_path: Path) -> None:
        text = (
            "participant_id age sex structure side volume_cm3;1 30 F IX left 5;1 30 F IX right 6;2 40 M IX left 7;"
            "2 40 M IX right 8"
        )
        people = read_table(write(tmp_path / "t.tsv", text))
        assert people.volumes.to_numpy().tolist() == [[5.0, 6.0], [7.0, 8.0]]

    def test_a_structure_twice_is_refused(self, tmp_path: Path) -> None:
        text = "participant_id age sex structure volume_mm3;1 30 F IX 5000;1 30 F IX 6000"
        with pytest.raises(TableError, match=r"found line 3 \(1, IX\)"):
            read_table(write(tmp_path / "t.tsv", text))

    def test_people_that_are_not_in_participants(self, tmp_path: Path) -> None:
        own(tmp_path / "out", "7")
        with pytest.raises(TableError, match=r"people of .*out, such as 7, found others, such as 1"):
            read_table(tmp_path / "out", self.participants(tmp_path))

    def test_someone_twice_in_participants(self, tmp_path: Path) -> None:
        own(tmp_path / "out", "1")
        with pytest.raises(TableError, match=r"each person once, found line 3 \(1\)"):
            read_table(tmp_path / "out", self.participants(tmp_path, "participant_id age;1 30;sub-1 31"))


class TestFreeSurfer:
    TEXT = (
        "Measure:volume Left-Cerebellum-White-Matter Left-Cerebellum-Cortex Right-Cerebellum-White-Matter "
        "Right-Cerebellum-Cortex Brain-Stem EstimatedTotalIntraCranialVol;sub-1 14000 55000 13000 56000 20000 1500000"
    )

    def test_asegstats2table_with_participants(self, tmp_path: Path) -> None:
        table = write(tmp_path / "aseg.txt", self.TEXT)
        who = write(tmp_path / "participants.tsv", "participant_id age sex site;sub-1 33 F here")
        people = read_table(table, Reading(participants=who))
        assert people.volumes.iloc[0].to_dict() == {
            "left cerebellum cortex": 55.0,
            "left cerebellum white matter": 14.0,
            "right cerebellum cortex": 56.0,
            "right cerebellum white matter": 13.0,
        }
        assert (people.tool, people.icv_method, people.icv_cm3[0]) == ("FreeSurfer", "FreeSurfer eTIV", 1500.0)
        assert people.texts("site") == ["here"]

    def test_another_structure_by_name(self, tmp_path: Path) -> None:
        table = write(tmp_path / "aseg.txt", self.TEXT)
        who = write(tmp_path / "participants.tsv", "participant_id age sex;1 33 F")
        people = read_table(table, Reading(participants=who, structures=("Brain-Stem",)))
        assert (people.structures, people.volumes.iloc[0, 0]) == (("brain stem",), 20.0)


class TestCeres:
    def test_the_published_tables(self, data: Path) -> None:
        reliability = data / "reliability"
        for tool in ("ceres", "deepceres"):
            people = read_table(reliability / f"hnu_{tool}_volumes.csv", Reading(tool=tool))
            assert len(people) > 80
            assert {"left I-V", "right Crus I", "left X"} <= set(people.structures)
            assert 60 < people.volumes.sum(axis=1).mean() < 140

    def test_the_tool_has_to_be_said(self, tmp_path: Path) -> None:
        text = "ID ses age sex ICV Left.VI Right.VI Left.IX Right.IX;sub-1 01 24 M 1400 7 7 3 3"
        path = write(tmp_path / "t.csv", text, ",")
        with pytest.raises(TableError, match="Give --tool CERES or --tool DeepCERES"):
            read_table(path)
        people = read_table(path, Reading(tool="CERES"))
        assert (people.tool, people.icv_method, people.texts("session")) == ("CERES", "CERES ICV", ["01"])


class TestRealTables:
    def test_ages_sexes_and_units_of_both(self, data: Path) -> None:
        people = read_table(data / "volumes" / "fcon1000.tsv")
        assert (len(people), len(set(people.texts("site")))) == (1078, 23)
        assert people.volumes.sum(axis=1).mean() == pytest.approx(136.1, abs=0.1)
        assert people.icv_cm3.mean() == pytest.approx(1498.0, abs=0.1)

    def test_visits_of_oasis_are_seen(self, data: Path) -> None:
        path = data / "volumes" / "nki-oasis.tsv"
        assert any("27 people look as if they had several visits" in w for w in read_table(path).warnings)
        people = read_table(path, Reading(visit_pattern=r"_MR([0-9]+)$"))
        assert (len(people), len(set(people.texts("participant_id")))) == (328, 293)
