"""`cerebatch evaluate`: predicted label maps against true ones, as a table of every figure and a printed summary."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cerebatch.errors import DatasetError, InputError, LabelMapError, SettingsError

if TYPE_CHECKING:
    from cerebatch.evaluation.matching import Choice
    from cerebatch.evaluation.protocols import Protocol
    from cerebatch.evaluation.scores import Score
    from cerebatch.evaluation.summary import Comparison, RegionSummary, Spread

SOME_LEFT_OUT = 1
"""Exit status where a case could not be scored."""

_SUMMARY_HEAD = ("", "Dice", "HD95 mm", "volume cm3", "volume %", "SD over structures")
_PROTOCOL_HEAD = ("", "Dice", "names", "HD95 mm", "volume cm3", "volume %")


def evaluate(
    predicted: Annotated[Path, typer.Argument(help="Label map in cerebatch codes, or a folder of them.")],
    truth: Annotated[Path, typer.Argument(help="True label map, or a folder of them; matched by sub and ses.")],
    against: Annotated[
        Path | None, typer.Option(help="Maps of a second method: paired Wilcoxon tests between the two.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Table to write (.tsv), a row a case and structure; tests go beside it.")
    ] = None,
    space: Annotated[str | None, typer.Option(help="Only maps of this space, such as MNI152NLin2009aSym.")] = None,
    desc: Annotated[str | None, typer.Option(help="Only maps of this desc, such as withfolia.")] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="TRUTH is another tool's: cerebnet, manual-outline, freesurfer or suit; regions are merged."),
    ] = None,
) -> None:
    """Compare label maps with the truth: Dice, 95% Hausdorff distance and volume by structure, lobe and for the whole.

    Predicted maps are brought to the grids of the true ones by the affines of their headers. Exit status 1 if a case
    could not be scored; the others are.
    """
    from cerebatch.evaluation.matching import Choice
    from cerebatch.evaluation.protocols import read_protocol
    from cerebatch.evaluation.summary import spread_of_names, summarise

    other_tool = None if protocol is None else read_protocol(protocol)
    if out is not None and out.suffix != ".tsv":
        raise SettingsError(f"--out {out}: expected a name that ends in .tsv.")
    methods = _method_names(predicted, against)
    left_out: list[str] = []
    choice = Choice(space, desc, other_tool is not None)
    scores = {name: _scored(path, truth, choice, left_out, other_tool) for name, path in methods.items()}
    for name, of_method in scores.items():
        print(f"\n{name} against {truth}, {_cases(of_method)}: mean (SD over cases)")
        summaries = summarise(of_method)
        if other_tool is None:
            _print_aligned([_SUMMARY_HEAD, *map(_summary_row, summaries)])
        else:
            names = {each: spread_of_names(of_method, each) for each in (one.region for one in summaries)}
            _print_aligned([_PROTOCOL_HEAD, *(_protocol_row(each, names[each.region]) for each in summaries)])
    if out is not None:
        _write(out, (row for name in scores for row in _score_rows(name, scores[name])))
    if against is not None:
        _compare(scores, against, out, left_out)
    for line in left_out:
        print(f"left out: {line}")
    if left_out:
        raise typer.Exit(SOME_LEFT_OUT)


def _method_names(predicted: Path, against: Path | None) -> dict[str, Path]:
    """A name for each method: the last part of its path, or all of it where these are the same."""
    name = predicted.absolute().name
    if against is None:
        return {name: predicted}
    if predicted.resolve() == against.resolve():
        raise SettingsError(f"--against {against}: expected the maps of a second method, found PREDICTED itself.")
    other = against.absolute().name
    return {name: predicted, other: against} if name != other else {str(predicted): predicted, str(against): against}


def _scored(
    predicted: Path, truth: Path, choice: Choice, left_out: list[str], protocol: Protocol | None
) -> dict[str, Sequence[Score]]:
    """Scores of every case that has them; those that have none are added to `left_out`."""
    from cerebatch.evaluation.agreement import score_against
    from cerebatch.evaluation.matching import match
    from cerebatch.evaluation.scores import score_files

    pairs, unmatched = match(predicted, truth, choice)
    left_out += [f"{each.case} in {predicted}: {each.reason}" for each in unmatched]
    scores: dict[str, Sequence[Score]] = {}
    for pair in pairs:
        try:
            if protocol is None:
                scores[pair.case] = score_files(pair.predicted, pair.truth)
            else:
                scores[pair.case] = score_against(pair.predicted, pair.truth, protocol)
        except LabelMapError as error:
            if len(pairs) == 1 and not unmatched:
                raise
            left_out.append(f"{pair.case} in {predicted}: {error}")
    if not scores:
        raise DatasetError(
            predicted,
            expected=f"a map that can be scored against {truth}",
            found="; ".join(left_out) or "no case that both have",
            do="Give maps in cerebatch codes with the same sub, ses, space and desc as the true ones.",
        )
    return scores


def _compare(
    scores: dict[str, dict[str, Sequence[Score]]], against: Path, out: Path | None, left_out: list[str]
) -> None:
    """Print and write the tests between two methods."""
    from cerebatch.evaluation.summary import compare

    (one, first), (other, second) = scores.items()
    if not first.keys() & second.keys():
        raise DatasetError(
            against,
            expected=f"cases that {one} has, too",
            found=f"{', '.join(second)} here and {', '.join(first)} there",
            do="Give two methods on the same cases.",
        )
    for name, mine, others in ((one, first, second), (other, second, first)):
        left_out += [f"{case}: only {name} has it; it is in no test" for case in mine if case not in others]
    compared = compare(first, second)
    print("\nmean Dice over the cases of both, and the two-sided Wilcoxon test of the paired differences")
    _print_aligned([("", "cases", one, other, "p", "p (Holm)"), *map(_comparison_row, compared)])
    if out is not None:
        rows = ({column: _cell(value) for column, value in vars(each).items()} for each in compared)
        _write(out.with_name(f"{out.stem}_wilcoxon.tsv"), ({"method": one, "against": other} | row for row in rows))


def _summary_row(summary: RegionSummary) -> tuple[str, ...]:
    spread = f"{summary.structures_sd:.3f}" if math.isfinite(summary.structures_sd) else ""
    return (
        summary.region,
        _spread_text(summary.dice, 3),
        _spread_text(summary.hausdorff95_mm, 2),
        _spread_text(summary.difference_cm3, 2),
        _spread_text(summary.difference_percent, 1),
        spread,
    )


def _protocol_row(summary: RegionSummary, names: Spread) -> tuple[str, ...]:
    region, found, away, cm3, percent, _ = _summary_row(summary)
    return (region, found, _spread_text(names, 3), away, cm3, percent)


def _spread_text(spread: Spread, digits: int) -> str:
    if not math.isfinite(spread.mean):
        return ""
    return f"{spread.mean:.{digits}f}" + (f" ({spread.sd:.{digits}f})" if math.isfinite(spread.sd) else "")


def _comparison_row(found: Comparison) -> tuple[str, ...]:
    dice = (f"{found.one:.3f}", f"{found.other:.3f}")
    return (found.region, str(found.cases), *dice, *(f"{p:.4f}" if p == p else "" for p in (found.p, found.p_holm)))


def _score_rows(method: str, scores: dict[str, Sequence[Score]]) -> Iterator[dict[str, str]]:
    from cerebatch.evaluation.agreement import RegionScore

    columns = ("dice", "hausdorff95_mm", "predicted_cm3", "truth_cm3", "difference_cm3", "difference_percent")
    for case, of_case in scores.items():
        for score in of_case:
            named = {"method": method, "case": case, "structure": score.region, "kind": score.kind}
            names = {"names": _cell(score.names)} if isinstance(score, RegionScore) else {}
            yield named | names | {column: _cell(getattr(score, column)) for column in columns}


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else "n/a"
    return str(value)


def _write(path: Path, rows: Iterable[dict[str, str]]) -> None:
    from cerebatch.io.files import write_rows

    try:
        write_rows(path, rows)
    except OSError as error:
        raise InputError(
            path, expected="a file that can be written", found=str(error.strerror), do="Give another --out."
        ) from error
    print(f"wrote {path}")


def _cases(scores: dict[str, Sequence[Score]]) -> str:
    return f"{len(scores)} case{'' if len(scores) == 1 else 's'}"


def _print_aligned(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print("  ".join([first.ljust(widths[0]), *cells]).rstrip())
