"""Work in order of preference, each piece as soon as it may begin, some pieces side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import TypeVar

Piece = TypeVar("Piece")


def side_by_side(
    pieces: Sequence[Piece], may_begin: Callable[[Piece], bool], do: Callable[[Piece], str], processes: int
) -> None:
    """Do all pieces, each in a fresh process, and print what each returns.

    Parameters
    ----------
    pieces : sequence
        The first wanted first.
    may_begin : callable
        Whether what a piece begins with is there.
    do : callable
        Does a piece; travels to the processes.
    processes : int
    """
    waiting, at_work = list(pieces), set[Future[str]]()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        while waiting or at_work:
            for piece in [piece for piece in waiting if may_begin(piece)][: processes - len(at_work)]:
                waiting.remove(piece)
                at_work.add(pool.submit(do, piece))
            ended, at_work = wait(at_work, return_when=FIRST_COMPLETED)
            for future in ended:
                print(f"done: {future.result()}", flush=True)
