"""The page of a cohort in headless Chromium: its size, first paint, sorting and filtering.

    python -m benchmarks.speed.cohort_page --cases 5000 [--keep PAGE.html] [--picture PAGE.png]

People, volumes and flags are made up; thumbnails are those of a phantom at as many bytes as real ones.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.common.made_up_tables import MadeUp, made_up_tables
from cerebatch import __version__
from cerebatch.figures.slices import Images, thumbnail
from cerebatch.report.cohort_page import THUMBNAIL_BYTES, THUMBNAILS, case_name, cohort_html
from cerebatch.simulation.phantom.cerebellum import template_case
from cerebatch.spatial.space import resample
from cerebatch.spatial.template import t1w

SORTED = ("name", "age", "site", "left", "rating")


def main() -> None:
    """Build the page, open it some times, print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "cohort.html"
        made = made_up_tables(options.cases, options.seed)
        thumbnails = _thumbnails(made)
        html = cohort_html(
            made.volumes, made.flags, made.failures, pages={}, thumbnails=thumbnails, model=None,
            about_model="These people are made up.", version=__version__,
        )  # fmt: skip
        path.write_text(html, encoding="utf-8")
        print(f"{options.cases} cases, {len(thumbnails)} thumbnails: {path.stat().st_size / 1e6:.2f} MB")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
            for _ in range(options.times):
                page = browser.new_page(viewport={"width": 1360, "height": 1500})
                page.goto(path.resolve().as_uri())
                print("; ".join(_measured(page)))
                if options.picture:
                    page.screenshot(path=options.picture)
                page.close()
            browser.close()


def _measured(page: Page) -> list[str]:
    page.wait_for_selector("#cases-table tbody tr[data-name]")
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    loaded = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    sorting = [_until_painted(page, f"document.querySelector('#column-{name} button').click()") for name in SORTED]
    find = "const box = document.getElementById('find'); box.value = '42'; box.dispatchEvent(new Event('input'))"
    filtering = _until_painted(page, find)
    page.evaluate("document.getElementById('find').value = ''; document.querySelector('#column-rating button').click()")
    return [
        f"first paint {paint / 1000:.2f} s",
        f"table there {loaded / 1000:.2f} s",
        f"sorting {max(sorting) / 1000:.3f} s at most, {statistics.median(sorting) / 1000:.3f} s in the middle",
        f"filtering {filtering / 1000:.3f} s",
    ]


def _until_painted(page: Page, act: str) -> float:
    """Milliseconds from an action to the end of the frame after it, plots and all."""
    frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    return float(
        page.evaluate(
            f"async () => {{ const t = performance.now(); {act}; await {frame}; return performance.now() - t }}"
        )
    )


def _thumbnails(made: MadeUp) -> dict[str, str]:
    """Pictures of flagged people: a phantom's labels on the template, seen through some noise."""
    dseg, grid = template_case(1.0)
    image, image_grid = t1w(1)
    scan = 330.0 * resample(image, image_grid, grid, np.eye(4), order=1)
    rng = np.random.default_rng(1)
    distinct = []
    for _ in range(12):
        noisy = (scan + rng.normal(0, 20, scan.shape)).astype(np.float32)
        distinct.append(thumbnail(Images(noisy, dseg, grid)))
    flagged = [case_name(row) for row in made.volumes if row["rating"] != "A"]
    flagged = flagged[: min(THUMBNAILS, THUMBNAIL_BYTES // max(map(len, distinct)))]
    return {name: distinct[k % len(distinct)] for k, name in enumerate(flagged)}


if __name__ == "__main__":
    main()
