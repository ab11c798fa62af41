"""Pictures: what is in the files, and that they need no network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from lifespan import LifespanModel, MismatchError, fit, plot
from lifespan.plots.panels import panels, side_by_side

Maker = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def table(people: Maker) -> pd.DataFrame:
    return people(150, structures=3).rename(columns={"left_2_cm3": "</script> & right_0_cm3"})


@pytest.fixture(scope="module")
def model(table: pd.DataFrame) -> LifespanModel:
    return fit(table)


@pytest.fixture(scope="module")
def written(model: LifespanModel, table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plots") / "new"
    paths = plot(model, folder, table)
    assert sorted(path.name for path in paths) == sorted(path.name for path in folder.iterdir())
    return folder


def embedded(folder: Path) -> dict[str, object]:
    """The data in the page."""
    page = (folder / "lifespan.html").read_text()
    found = re.search(r"const data = (.*);\n", page)
    assert found is not None
    return dict(json.loads(found[1]))


class TestFiles:
    def test_there_is_a_page_of_each_measure_and_one_html(self, written: Path) -> None:
        names, measures = ("lifespan", "fan", "rate", "sexes"), ("absolute", "percent_icv")
        pages = {f"{name}_{m}.{kind}" for name in names for m in measures for kind in ("png", "svg")}
        tables = {"derived.tsv", "peaks.tsv", "sexes.tsv"}
        assert {path.name for path in written.iterdir()} == pages | tables | {"lifespan.html"}

    def test_the_png_is_a_picture_with_both_colours(self, written: Path) -> None:
        from matplotlib.image import imread

        pixels = imread(written / "lifespan_absolute.png")[..., :3]
        assert pixels.shape[0] > 200
        for colour in ("#c8500a", "#1f5fa8"):
            rgb = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
            assert (np.abs(pixels - rgb).max(axis=2) < 0.02).sum() > 100

    def test_the_svg_is_xml(self, written: Path) -> None:
        assert ElementTree.parse(written / "lifespan_absolute.svg").getroot().tag.endswith("svg")

    def test_the_html_fetches_nothing(self, written: Path) -> None:
        page = (written / "lifespan.html").read_text()
        assert set(re.findall(r"https?://[^\"' ]+", page)) == {"http://www.w3.org/2000/svg"}
        assert not re.search(r"<link|<script[^>]+src|@import|fetch\(|XMLHttpRequest", page)

    def test_a_name_cannot_end_the_script(self, written: Path) -> None:
        page = (written / "lifespan.html").read_text()
        assert page.count("</script>") == 1
        panels_ = embedded(written)["measures"][0]["panels"]  # type: ignore[index]
        assert "</script> & right_0" in [panel["structure"] for panel in panels_]

    def test_the_html_holds_every_person_without_a_name(self, written: Path, table: pd.DataFrame) -> None:
        panel = embedded(written)["measures"][0]["panels"][0]  # type: ignore[index]
        dots = {dots["group"]: dots for dots in panel["dots"]}
        assert len(dots["female"]["age"]) == int((table["sex"] == "F").sum())
        assert len(dots["male"]["age"]) == int((table["sex"] == "M").sum())
        assert "sub-0001" not in (written / "lifespan.html").read_text()


class TestPanels:
    def test_lines_are_the_models(self, model: LifespanModel) -> None:
        (panel, *_) = panels(model, None, "absolute")
        assert [line.group for line in panel.lines] == ["female", "male"]
        assert panel.dots == ()
        line = panel.lines[0]
        table = model.predict(list(line.age), structure="left_0", group="female")
        np.testing.assert_allclose(line.lower, table["lower"])
        np.testing.assert_allclose(line.mean, table["mean"])
        np.testing.assert_array_equal(line.few, table["people_near"] < 20)

    def test_left_stands_beside_right(self) -> None:
        names = ["left VI", "left IX", "vermis", "right VI", "right IX"]
        assert side_by_side(names) == ["left VI", "right VI", "left IX", "right IX", "vermis"]

    def test_people_of_another_tool_are_refused(
        self, model: LifespanModel, table: pd.DataFrame, tmp_path: Path
    ) -> None:
        with pytest.raises(MismatchError, match="tool"):
            plot(model, tmp_path, table.assign(tool="other"))

    def test_a_structure_that_is_not_there(self, model: LifespanModel, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="structures vermis: expected some of left_0"):
            plot(model, tmp_path, structures=["vermis"])
