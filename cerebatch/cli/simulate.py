"""`cerebatch simulate`: people who were never scanned, with the truth beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cerebatch.errors import SettingsError

if TYPE_CHECKING:
    from cerebatch.simulation.cohorts.people import Person
    from cerebatch.simulation.cohorts.source import Source

_PLAIN_PEOPLE = 3


def simulate(
    out_bids: Annotated[Path, typer.Argument(help="Folder of the dataset. An unfinished cohort there is resumed.")],
    people: Annotated[
        int | None, typer.Option(min=1, help="How many. [default: 3; with --table1 all 4857 of the table]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    table1: Annotated[
        bool, typer.Option("--table1", help="Datasets, ages, sexes and diagnoses of the paper's Table 1.")
    ] = False,
    youngest: Annotated[float | None, typer.Option(help="Years; without --table1. [default: 1]")] = None,
    oldest: Annotated[float | None, typer.Option(help="Years; without --table1. [default: 90]")] = None,
    voxel_size: Annotated[
        float, typer.Option(min=0.5, max=4.0, help="Edge of a voxel in mm; `run` takes up to 3.5.")
    ] = 1.0,
    skull: Annotated[bool, typer.Option(help="Whole heads, or brain-extracted ones.")] = True,
    t2w: Annotated[bool, typer.Option("--t2w", help="Write a T2w of each, too.")] = False,
    lobules: Annotated[
        Path | None, typer.Option(help="Folder of lobule maps (CoBrALab codes) to make people from, with --heads.")
    ] = None,
    heads: Annotated[Path | None, typer.Option(help="Folder of whole-head label maps (SynthSeg's codes).")] = None,
    source: Annotated[
        str | None, typer.Option(help="The one lobule map that everybody is made from, such as subject-3.")
    ] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="People at a time. [default: cores]")] = None,
    phantoms: Annotated[
        bool, typer.Option("--phantoms", help="Phantoms of one age instead, for demo and tests of the pipeline.")
    ] = False,
) -> None:
    """Write simulated people of all ages as a BIDS dataset, with true labels and volumes beside it."""
    if phantoms:
        only = {"--table1": table1, "--youngest": youngest, "--oldest": oldest, "--lobules": lobules, "--heads": heads}
        _refuse("--phantoms", only | {"--source": source, "--processes": processes})
        _write_phantoms(out_bids, people or _PLAIN_PEOPLE, seed, voxel_size, skull, t2w)
        return
    from cerebatch.batch.cluster.profile import usable_cores
    from cerebatch.simulation.cohorts.cohort import TRUTH, write_simulated
    from cerebatch.simulation.cohorts.resume import require_new_or_begun

    if table1:
        _refuse("--table1", {"--youngest": youngest, "--oldest": oldest})
    cohort = _people(people, seed, table1, youngest, oldest)
    # The source takes some time to make.
    require_new_or_begun(out_bids)
    write_simulated(
        out_bids,
        cohort,
        _source(lobules, heads, source, voxel_size, skull, t2w),
        seed,
        voxel_mm=voxel_size,
        processes=processes or usable_cores(),
        tell=lambda line: print(line, flush=True),
    )
    print(f"{len(cohort)} simulated people in {out_bids}, their truth in {TRUTH}; no bounds may be made from them")


def _people(count: int | None, seed: int, table1: bool, youngest: float | None, oldest: float | None) -> list[Person]:
    from cerebatch.simulation.cohorts.people import LIFESPAN_YEARS, lifespan_people, table1_people

    if table1:
        return table1_people(count, seed)
    low, high = LIFESPAN_YEARS
    years = (low if youngest is None else youngest, high if oldest is None else oldest)
    return lifespan_people(count or _PLAIN_PEOPLE, seed, years)


def _source(
    lobules: Path | None, heads: Path | None, source: str | None, voxel_mm: float, skull: bool, t2: bool
) -> Source:
    if lobules is None and heads is None:
        _refuse("the template", {"--source": source})
        from cerebatch.simulation.cohorts.template_source import TemplateSource

        return TemplateSource.build(voxel_mm, skull=skull, t2=t2)
    if lobules is None or heads is None or not skull:
        raise SettingsError(
            "people from maps: expected --lobules and --heads, and no --no-skull, found "
            f"{'one of them' if lobules is None or heads is None else '--no-skull'}. Give both, or neither for people "
            "from the template."
        )
    from cerebatch.simulation.cohorts.maps_source import MapsSource

    return MapsSource.build(lobules, heads, source, t2=t2)


def _refuse(mode: str, given: dict[str, object]) -> None:
    """Refuse options that say nothing in this mode."""
    found = [name for name, value in given.items() if value not in (None, False)]
    if found:
        raise SettingsError(f"{', '.join(found)} with {mode}: expected none of them. Leave them out.")


def _write_phantoms(out_bids: Path, people: int, seed: int, voxel_mm: float, skull: bool, t2: bool) -> None:
    from cerebatch.simulation.phantom import write_cohort

    write_cohort(out_bids, people, seed, resolution_mm=voxel_mm, skull=skull, t2=t2)
    print(f"{people} phantoms (made up, not people) in {out_bids}, their truth in derivatives/phantom-truth")
