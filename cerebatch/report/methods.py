"""The methods text of a run with its citations, generated from the settings that stand beside the outputs."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from cerebatch.spatial.space import TEMPLATE_SPACE


@dataclass(frozen=True)
class Citation:
    """One work.

    Attributes
    ----------
    key, authors, year, title, source, doi : str
        `doi` is empty where we do not know it.
    """

    key: str
    authors: str
    year: str
    title: str
    source: str
    doi: str

    @property
    def short(self) -> str:
        """As it stands in running text: first author and year."""
        first, *others = self.authors.split(", ")
        return f"{first.rsplit(' ', 1)[0]}{' et al.' if others else ''} {self.year}"

    @property
    def bibtex(self) -> str:
        """As an entry for BibTeX."""
        people = " and ".join(_last_first(person) for person in self.authors.split(", ") if person != "et al.")
        doi = f",\n  doi = {{{self.doi}}}" if self.doi else ""
        return (
            f"@article{{{self.key},\n  author = {{{people}}},\n  title = {{{self.title}}},\n"
            f"  journal = {{{self.source}}},\n  year = {{{self.year}}}{doi}\n}}"
        )


@dataclass(frozen=True)
class Methods:
    """Text and what it cites.

    Attributes
    ----------
    sentences : tuple of str
    citations : tuple of Citation
        In the order in which the text names them.
    """

    sentences: tuple[str, ...]
    citations: tuple[Citation, ...]

    @property
    def text(self) -> str:
        """One paragraph."""
        return " ".join(self.sentences)


@cache
def citations() -> dict[str, Citation]:
    """Every work that a text may cite, by key."""
    text = resources.files("cerebatch.report").joinpath("citations.tsv").read_text(encoding="utf-8")
    return {row["key"]: Citation(**row) for row in csv.DictReader(text.splitlines(), delimiter="\t")}


def methods_of(sidecar: Mapping[str, Any], *, t2w: bool, norms: Mapping[str, Any] | None = None) -> Methods:
    """Describe how a case was made.

    Parameters
    ----------
    sidecar : mapping
        Of its label map.
    t2w : bool
        Whether a T2w was used.
    norms : mapping, optional
        What the case was compared with: ``Model``, ``People``, ``Tool`` (`norms.describe`).
    """
    versions, resolution = sidecar["Software"], f"{sidecar['ResolutionMM']:g} mm"
    said = [
        f"Cerebellar lobules were segmented with cerebatch {versions['cerebatch']}, an open implementation of the "
        "pipeline of DeepCERES [deepceres], from data organised by BIDS [bids].",
        f"The T1-weighted scan was registered affinely to {TEMPLATE_SPACE} [template] with ANTs [ants] "
        f"(antspyx {versions['antspyx']}), denoised by adaptive non-local means [sanlm], corrected for bias by N4 "
        "[n4], normalised by the means of its tissues, corrected inside the skull and normalised once more, and "
        f"sampled in a box around the cerebellum at {resolution}{_refinement(sidecar)}.",
    ]
    if t2w:
        said.append("The T2-weighted scan was registered rigidly to the T1-weighted one and treated likewise.")
    said.append(_labels(sidecar))
    by_network = str(sidecar["ICV"]["Method"]).startswith("network")
    said.append(
        "Volumes are voxels of the template's grid over the determinant of the affine; the intracranial volume was "
        + ("measured by a convolutional network." if by_network else "estimated from that determinant [icv].")
    )
    if sidecar["Trial"]:
        said.append("The grid of 4 mm is meant for trials of scale: these volumes measure nothing.")
    if norms is not None:
        said.append(
            f"Volumes were compared by age and sex with curves of {norms['People']} people ({norms['Tool']}; model "
            f"{norms['Model']}) in the manner of Coupé and colleagues [lifespan], with 95% prediction bounds."
        )
    table, order = citations(), dict[str, None]()
    for sentence in said:
        order |= {key: None for key in table if f"[{key}]" in sentence}
    order = dict.fromkeys(sorted(order, key=" ".join(said).index))
    done = tuple(_with_names(sentence, [table[key] for key in order]) for sentence in said)
    return Methods(done, tuple(table[key] for key in order))


def _labels(sidecar: Mapping[str, Any]) -> str:
    library = sidecar.get("Library", {})
    worth = " On real scans such an atlas made the labels better in one of three." if library.get("Note") else ""
    tool = "greedy [greedy]" if sidecar.get("Registration", "greedy") == "greedy" else "a convolutional network"
    from_library = (
        f"the 20 most similar cases of the library {library.get('Name')} (digest {str(library.get('Digest'))[:12]}), "
        f"made from published lobule maps [maps], were registered to the scan with {tool} and fused"
    )
    if sidecar["Method"] == "atlas":
        return f"Labels come from an atlas of the scan alone: {from_library}."
    if sidecar["Method"] == "networks":
        weights = sidecar["Weights"]
        atlas = f" They also saw an atlas of the scan: {from_library}.{worth}" if sidecar.get("AtlasChannel") else ""
        return (
            f"Labels come from an ensemble of convolutional networks in two steps, sides and then lobules (weights "
            f"{weights['Name']}, digest {str(weights['Digest'])[:12]}).{atlas}{_t2w_words(sidecar)}"
        )
    case = sidecar["LabelledCase"]
    return (
        f"Labels are those of one labelled case ({case['File']}, digest {str(case['SHA256'])[:12]}), carried over by "
        "the affine: they show the way of a scan and do not measure a person's lobules."
    )


def _refinement(sidecar: Mapping[str, Any]) -> str:
    """Nothing where the scan was interpolated."""
    return " by a convolutional network for super-resolution" if sidecar.get("SuperResolution") else ""


def _t2w_words(sidecar: Mapping[str, Any]) -> str:
    """Nothing where the T2w was scanned, or none was used."""
    return " Their T2-weighted image was made up from the T1-weighted one by a network." if "T2w" in sidecar else ""


def _with_names(sentence: str, cited: list[Citation]) -> str:
    for citation in cited:
        sentence = sentence.replace(f"[{citation.key}]", f"({citation.short})")
    return sentence


def _last_first(person: str) -> str:
    name, _, initials = person.rpartition(" ")
    return f"{name}, {initials}"
