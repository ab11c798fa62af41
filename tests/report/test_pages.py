"""Pages of cases: what stands on them, and where its numbers come from."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cerebatch.errors import CerebatchError
from cerebatch.report.norms import places, read_norms
from cerebatch.report.pages import Order, write_page
from cerebatch.report.result import Person, read_result
from lifespan import Reading, fit, read_table, save

NUMBER = re.compile(r"(?<![\w.-])-?\d+\.\d+(?![\w.])")


class Text(HTMLParser):
    """Text of tables, lists and facts, pictures and code left out; and what the page asks for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.asked: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self._inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.asked += [value for name, value in attrs if name in ("src", "href") and value]
        if tag == "img":
            self.images.append(named)
        if tag in ("td", "dd", "li", "small", "svg", "ul", "style", "caption"):
            self._inside.append(f"{tag} {named.get('class', '')}")

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1].split()[0] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        references = any(one == "ul plain quiet" for one in self._inside)
        if self._inside and not references and self._inside[-1].split()[0] not in ("svg", "style"):
            self.cells.append(data)


@pytest.fixture(scope="module")
def norms(finished_out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 120 made-up people around the phantom's own volumes."""
    result = read_result("sub-phantom001", finished_out / "sub-phantom001")
    rng = np.random.default_rng(5)
    parts = []
    for person in range(120):
        factor = float(rng.normal(1.0, 0.08))
        frame = pd.DataFrame(result.volumes).assign(
            participant_id=f"sub-{person}", age=f"{rng.uniform(15, 85):.2f}", sex="FM"[person % 2]
        )
        for column in ("volume_cm3", "percent_icv"):
            frame[column] = [f"{float(value) * factor * rng.normal(1, 0.02):.6f}" for value in frame[column]]
        parts.append(frame)
    reading = Reading(tool="cerebatch (single case)", icv_method=result.icv["Method"], leave_out=True)
    path = tmp_path_factory.mktemp("norms") / "model.json"
    save(fit(read_table(pd.concat(parts, ignore_index=True), reading)), path)
    return path


def written(out: Path, **options: object) -> tuple[str, Path]:
    """Text of the page of sub-phantom001, and the folder of the pages."""
    folder = out / "reports"
    folder.mkdir(exist_ok=True)
    order = Order("sub-phantom001", out / "sub-phantom001", folder, **({"person": Person(41.0, "F")} | options))  # type: ignore[arg-type]
    done = write_page(order)
    assert done.done == "written", done
    return (folder / "sub-phantom001.html").read_text(), folder


def numbers_of(out: Path, folder: Path) -> set[str]:
    """Every number of the TSV and JSON files of the case, as written there."""
    texts = [path.read_text() for path in (*(out / "sub-phantom001/anat").iterdir(), *folder.iterdir())
             if path.suffix in (".tsv", ".json")]  # fmt: skip
    return {match for text in texts for match in NUMBER.findall(text)}


@pytest.mark.parametrize("with_norms", [False, True])
def test_every_number_of_the_page_stands_in_a_table_or_sidecar(out: Path, norms: Path, with_norms: bool) -> None:
    page, folder = written(out, norms=norms if with_norms else None, pdf=False)
    known = numbers_of(out, folder)
    shown = {number for cell in Text(page).cells for number in NUMBER.findall(cell)}
    assert len(shown) > 60
    icv = f"{float(read_result('sub-phantom001', out / 'sub-phantom001').icv['VolumeCM3']):.1f}"
    assert shown - known <= {icv}


def test_the_page_needs_nothing_from_elsewhere_and_says_what_its_pictures_show(out: Path) -> None:
    text = Text(written(out, pdf=False)[0])
    assert [one for one in text.asked if not one.startswith(("data:image/", "sub-phantom001"))] == []
    assert len(text.images) == 6 + 18
    assert all(image.get("alt") and str(image["src"]).startswith("data:image/webp") for image in text.images)


def test_without_norms_the_page_says_so(out: Path) -> None:
    page, folder = written(out, pdf=False)
    assert "No norms were given" in page
    assert "lower" not in (folder / "sub-phantom001_volumes.tsv").read_text()


def test_norms_place_the_person_as_lifespan_does(out: Path, norms: Path) -> None:
    page, folder = written(out, norms=norms, pdf=False)
    rows = list(csv.DictReader((folder / "sub-phantom001_volumes.tsv").open(), delimiter="\t"))
    crus = next(row for row in rows if (row["structure"], row["side"]) == ("Crus I", "left"))
    predicted = read_norms(norms).predict([41.0], structure="left Crus I", group="female").iloc[0]
    assert float(crus["volume_lower"]) == pytest.approx(predicted["lower"], abs=1e-3)
    assert float(crus["volume_upper"]) == pytest.approx(predicted["upper"], abs=1e-3)
    assert crus["volume_status"] == "inside"
    assert page.count('<svg class="chart"') == 26


def test_a_structure_outside_the_bounds_is_marked(out: Path, norms: Path) -> None:
    path = out / "sub-phantom001/anat/sub-phantom001_seg-lobules_volumes.tsv"
    lines = path.read_text().splitlines()
    place = next(k for k, line in enumerate(lines) if line.startswith("Crus I\tleft"))
    cells = lines[place].split("\t")
    cells[2] = f"{float(cells[2]) / 3:.4f}"
    path.write_text("\n".join([*lines[:place], "\t".join(cells), *lines[place + 1 :]]) + "\n")
    page, _ = written(out, norms=norms, pdf=False)
    assert '<td class="below">▼' in page
    assert "left Crus I" in page


def test_norms_of_another_tool_are_refused_in_words(out: Path, norms: Path, tmp_path: Path) -> None:
    content = json.loads(norms.read_text())
    content["tool"] = "CERES"
    other = tmp_path / "model.json"
    other.write_text(json.dumps(content))
    result = read_result("sub-phantom001", out / "sub-phantom001")
    with pytest.raises(CerebatchError, match="expected volumes of the model's tool, CERES"):
        places(read_norms(other), result, Person(41.0, "F"))


def test_without_an_age_the_page_says_why_nothing_was_compared(out: Path, norms: Path) -> None:
    assert "The age is not known" in written(out, norms=norms, pdf=False, person=Person())[0]


def test_words_from_elsewhere_are_escaped(out: Path) -> None:
    assert "A warning &lt;with&gt; marks &amp; signs." in written(out, pdf=False)[0]


def test_a_page_is_written_again_only_when_what_it_shows_has_changed(out: Path) -> None:
    _, folder = written(out, pdf=False)
    order = Order("sub-phantom001", out / "sub-phantom001", folder, Person(41.0, "F"), pdf=False)
    assert write_page(order).done == "unchanged"
    sidecar = out / "sub-phantom001/anat/sub-phantom001_seg-lobules_dseg.json"
    sidecar.write_text(sidecar.read_text().replace('"Warnings": [', '"Warnings": ["One more.", '))
    assert write_page(order).done == "written"
    assert "One more." in (folder / "sub-phantom001.html").read_text()


def test_a_case_that_is_not_whole_gets_no_page_and_a_reason(out: Path) -> None:
    (out / "sub-phantom001/anat/sub-phantom001_seg-lobules_quality.json").unlink()
    (out / "reports").mkdir()
    done = write_page(Order("sub-phantom001", out / "sub-phantom001", out / "reports", Person(), pdf=False))
    assert (done.done, "quality.json" in done.reason) == ("failed", True)


def test_the_layout_of_ceres_is_read_back_by_lifespan(out: Path) -> None:
    _, folder = written(out, pdf=False, layout="ceres")
    path = folder / "sub-phantom001_volumes.csv"
    assert path.read_text().splitlines()[0].count(";") > 100
    people = read_table(path, Reading(tool="cerebatch"))
    result = read_result("sub-phantom001", out / "sub-phantom001")
    assert people.volumes["Crus I right"][0] == float(result.volume("Crus I", "right")["volume_cm3"])
    assert people.frame.loc[0, ["participant_id", "age", "sex"]].tolist() == ["sub-phantom001", 41.0, "F"]
    assert people.icv_cm3[0] == pytest.approx(float(result.icv["VolumeCM3"]), abs=1e-3)


@pytest.mark.usefixtures("pdf")
def test_the_pdf_has_the_page_in_it(out: Path) -> None:
    _, folder = written(out)
    content = (folder / "sub-phantom001.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
