"""The methods text and its citations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cerebatch.report.methods import citations, methods_of

BASE: dict[str, Any] = {
    "Software": {"cerebatch": "0.1", "antspyx": "0.6"}, "ResolutionMM": 1.0, "Trial": False,
    "ICV": {"Method": "affine scale (Buckner et al. 2004)"},
}  # fmt: skip
LIBRARY = {"Library": {"Name": "lib.zarr", "Digest": "abcdef0123456789"}}
WAYS = {
    "atlas": BASE | LIBRARY | {"Method": "atlas"},
    "networks": BASE | {"Method": "networks", "Weights": {"Name": "w", "Digest": "0123456789abcdef"}},
    "both": BASE | LIBRARY | {"Method": "networks", "AtlasChannel": True, "Weights": {"Name": "w", "Digest": "01"}},
    "single case": BASE | {"Method": "single case", "LabelledCase": {"File": "case.nii.gz", "SHA256": "ff" * 32}},
}


@pytest.mark.parametrize("way", WAYS)
def test_every_mark_becomes_a_name_and_every_work_is_named(way: str) -> None:
    methods = methods_of(WAYS[way], t2w=True)
    assert "[" not in methods.text
    assert all(one.short in methods.text for one in methods.citations)


def test_what_was_not_used_is_not_cited() -> None:
    keys = {one.key for one in methods_of(WAYS["networks"], t2w=False).citations}
    assert "greedy" not in keys and "lifespan" not in keys
    assert "greedy" in {one.key for one in methods_of(WAYS["atlas"], t2w=False).citations}
    by_network = WAYS["both"] | {"Registration": "0123", "ICV": {"Method": "network of the intracranial cavity"}}
    assert not {"greedy", "icv"} & {one.key for one in methods_of(by_network, t2w=False).citations}


def test_a_single_case_and_a_trial_say_that_they_measure_nothing() -> None:
    text = methods_of(WAYS["single case"] | {"Trial": True}, t2w=False).text
    assert "do not measure a person's lobules" in text
    assert "these volumes measure nothing" in text


def test_norms_are_told_and_cited() -> None:
    methods = methods_of(WAYS["atlas"], t2w=False, norms={"People": 812, "Tool": "cerebatch (atlas)", "Model": "paper"})
    assert "812 people" in methods.text
    assert methods.citations[-1].key == "lifespan"


def test_every_work_makes_a_bibtex_entry() -> None:
    for key, one in citations().items():
        assert one.bibtex.startswith(f"@article{{{key},")
        assert one.bibtex.count("{") == one.bibtex.count("}")


def test_the_citation_file_names_software_licence_and_paper() -> None:
    content = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text())
    assert (content["title"], content["license"]) == ("cerebatch", ["Apache-2.0", "CC-BY-NC-SA-4.0"])
    assert content["references"][0]["doi"] == citations()["deepceres"].doi
