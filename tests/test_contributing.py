"""What contributors and packagers rely on: forms, hooks, workflow, one version, what containers copy."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The metadata."""
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def test_the_version_stands_in_one_place_and_the_changelog_tells_of_it(project: dict[str, Any]) -> None:
    version = project["version"]
    assert "version" not in read("CITATION.cff")
    assert f"\n## {version}\n" in (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1:] == sorted(headings[1:], reverse=True)


def test_the_workflow_tries_the_versions_that_the_metadata_names(project: dict[str, Any]) -> None:
    matrix = read(".github/workflows/test.yml")["jobs"]["test"]["strategy"]["matrix"]
    prefix = "Programming Language :: Python :: "
    named = [one.removeprefix(prefix) for one in project["classifiers"] if one.startswith(prefix)]
    assert matrix["python"] == named == ["3.11", "3.12", "3.13"]


def test_hooks_are_the_checks_of_make_lint() -> None:
    hooks = {
        hook["entry"].split(" --")[0] for repo in read(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]
    }
    assert hooks == {"ruff check", "ruff format", "mypy", "lint-imports"}


@pytest.mark.parametrize("form", ["fault", "wish"])
def test_forms_ask_for_something_and_every_question_has_a_label(form: str) -> None:
    body = read(f".github/ISSUE_TEMPLATE/{form}.yml")["body"]
    questions = [one for one in body if one["type"] != "markdown"]
    assert all(one["attributes"]["label"] and one["id"] for one in questions)
    assert any(one.get("validations", {}).get("required") for one in questions)


def test_containers_install_what_the_tree_declares() -> None:
    for name in ("containers/Dockerfile", "containers/cerebatch.def"):
        text = (ROOT / name).read_text()
        assert "--constraint /source/constraints.txt '/source[all]'" in text
        pinned = re.search(r"torch==([\d.]+)", text)
        assert pinned is not None
        assert f"torch=={pinned[1]}\n" in (ROOT / "constraints.txt").read_text()


def test_make_help_names_every_target_that_people_call() -> None:
    said = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {"help", "install", "demo", "test", "lint", "docs"} <= set(said.split())
    makefile = (ROOT / "Makefile").read_text()
    for name in re.findall(r"^proof-([a-z-]+):", makefile, re.MULTILINE):
        assert name in said


def test_links_of_pages_in_the_tree_lead_somewhere() -> None:
    broken = []
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks/README.md"):
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in link and not (page.parent / link).exists():
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert broken == []
