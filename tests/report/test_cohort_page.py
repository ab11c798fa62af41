"""The cohort's page in a browser, with 5,000 made-up people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.common.made_up_tables import MadeUp, made_up_tables
from cerebatch.report.cohort_page import case_name, cohort_html

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.slow

CASES = 5000


class Opened:
    """A page with what its browser complained of and asked for."""

    def __init__(self, page: sync_api.Page, path: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("#cases-table tbody tr[data-name]")

    def column(self, number: int) -> list[str]:
        return [
            text.strip() for text in self.page.locator(f"tbody tr[data-name] td:nth-child({number})").all_inner_texts()
        ]

    def sort(self, column: str) -> None:
        self.page.click(f"#column-{column} button")


@pytest.fixture(scope="module")
def made() -> MadeUp:
    return made_up_tables(CASES, 3)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def path(made: MadeUp, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    flagged = [case_name(row) for row in made.volumes if row["rating"] != "A"]
    html = cohort_html(
        made.volumes, made.flags, made.failures, pages={flagged[0]: "reports/x.html"},
        thumbnails=dict.fromkeys(flagged, pixel), model=None, about_model="None.", version="0",
    )  # fmt: skip
    path = tmp_path_factory.mktemp("cohort") / "cohort.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: sync_api.Browser, path: Path) -> Iterator[Opened]:
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    yield Opened(page, path)
    page.close()


def test_flagged_cases_stand_first_the_gravest_at_the_top_with_a_picture(opened: Opened, made: MadeUp) -> None:
    ratings = opened.column(3)
    assert ratings[0] == "C"
    problems = sum(row["rating"] == "C" for row in made.volumes)
    assert set(ratings[: min(problems, len(ratings))]) == {"C"}
    assert opened.page.locator("tbody tr[data-name] img").count() == len(ratings)


def test_only_a_few_rows_are_in_the_page_and_scrolling_brings_the_others(opened: Opened) -> None:
    assert opened.page.locator("tbody tr[data-name]").count() < 60
    opened.sort("name")
    opened.page.evaluate("const f = document.getElementById('frame'); f.scrollTop = f.scrollHeight")
    opened.page.wait_for_function(f"document.querySelector('tbody tr[data-name=\"sub-madeup{CASES:05d}\"]') !== null")


@pytest.mark.parametrize("column, number, key", [("age", 5, "age"), ("left", 9, "left_cerebellum_cm3")])
def test_sorting_follows_the_numbers_of_the_table_and_a_second_click_turns_it(
    opened: Opened, made: MadeUp, column: str, number: int, key: str
) -> None:
    values = sorted(float(row[key]) for row in made.volumes if row[key] != "n/a")
    opened.sort(column)
    shown = [float(text) for text in opened.column(number)]
    assert shown == values[: len(shown)]
    opened.sort(column)
    shown = [float(text) for text in opened.column(number)]
    assert shown == values[::-1][: len(shown)]


def test_cases_without_an_age_come_last_in_both_directions(opened: Opened) -> None:
    for _ in range(2):
        opened.sort("age")
        opened.page.evaluate("const f = document.getElementById('frame'); f.scrollTop = f.scrollHeight")
        opened.page.wait_for_function("document.querySelector(`tbody tr[aria-rowindex='5001']`) !== null")
        assert opened.column(5)[-1] == "n/a"


def test_filters_leave_those_that_fit(opened: Opened, made: MadeUp) -> None:
    opened.page.select_option("#site", "site03")
    expected = sum(row["site"] == "site03" for row in made.volumes)
    assert opened.page.inner_text("#count") == f"{expected} of {CASES} cases"
    opened.page.select_option("#rating", "B")
    assert set(opened.column(3)) == {"B"}
    assert set(opened.column(7)) == {"site03"}
    opened.page.select_option("#site", "")
    opened.page.select_option("#rating", "")
    opened.page.fill("#find", "madeup00042")
    assert opened.column(2) == ["sub-madeup00042"]
    opened.page.fill("#find", "nobody of this name")
    assert opened.column(2) == []


def test_another_structure_and_unit_change_the_columns(opened: Opened, made: MadeUp) -> None:
    opened.sort("name")
    opened.page.select_option("#structure", "Crus I")
    opened.page.select_option("#unit", "percent_icv")
    first = min(made.volumes, key=case_name)
    assert float(opened.column(9)[0]) == float(first["left_Crus_I_percent_icv"])
    assert "% ICV" in opened.page.inner_text("#column-left")


def test_links_are_relative(opened: Opened) -> None:
    links = opened.page.eval_on_selector_all("#cases-table a", "all => all.map(a => a.getAttribute('href'))")
    assert links in ([], ["reports/x.html"])
    opened.page.fill("#find", opened.page.evaluate("JSON.parse(document.getElementById('data').textContent).names.find((n, k) => JSON.parse(document.getElementById('data').textContent).pages[k])"))  # fmt: skip # noqa: E501
    assert opened.page.eval_on_selector("#cases-table a", "a => a.getAttribute('href')") == "reports/x.html"


def test_something_is_drawn_by_age_and_by_site(opened: Opened) -> None:
    count = "id => { const c = document.getElementById(id); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return d.filter((v, k) => k % 4 == 3 && v > 0).length }"  # noqa: E501
    opened.page.wait_for_function(f"({count})('by-age') > 5000")
    assert opened.page.evaluate(count, "by-site") > 5000


def test_nothing_is_complained_of_and_nothing_is_fetched(opened: Opened, path: Path) -> None:
    for column in ("name", "flags", "sex"):
        opened.sort(column)
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [path.as_uri()]


def test_what_failed_stands_on_the_page_with_its_reason(opened: Opened, made: MadeUp) -> None:
    text = opened.page.inner_text("main")
    assert all(case_name(row) in text for row in made.failures)
    assert made.failures[0]["reason"] in text
