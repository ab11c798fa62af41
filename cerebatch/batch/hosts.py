"""Which hosts fail what works elsewhere, and when it is no host's fault but everybody's."""

from __future__ import annotations

from collections import Counter

from cerebatch.batch.ledger.records import DISK_FULL, Failure

LEAVE_OUT_AFTER = 3
"""Failures in a row, with nothing that worked on the host between them."""
STOP_AFTER = 10
"""Failures alike in a row, with nothing that worked anywhere between them."""
_STOP_AFTER_FULL = 5


class Hosts:
    """What a run learns of its hosts."""

    def __init__(self) -> None:
        self._in_a_row: Counter[str] = Counter()
        self._alike: tuple[str, str] = "", ""
        self._alike_on: list[str] = []
        self.left_out: tuple[str, ...] = ()

    def worked(self, host: str, *, suspects: tuple[str, ...] = ()) -> list[str]:
        """A stage worked on a host, and the suspects, where it had failed before, are to blame for that.

        Returns
        -------
        news : list of str
            In words.
        """
        self._alike_on.clear()
        self._in_a_row.pop(host, None)
        news = [f"{host} is no longer left out: a stage worked there"] if host in self.left_out else []
        self.left_out = tuple(one for one in self.left_out if one != host)
        for other in suspects:
            news += self._blame(other, "stages failed there and worked elsewhere") if other != host else []
        return news

    def failed(self, host: str, failure: Failure, *, others: bool) -> tuple[list[str], str]:
        """A stage failed on a host for the sake of the place.

        Parameters
        ----------
        host : str
        failure : Failure
        others : bool
            Whether there is any place on another host that is not left out.

        Returns
        -------
        news : list of str
            In words.
        stop : str
            Why the run had better stop; empty if it had not.
        """
        if (failure.stage, failure.kind) != self._alike:
            self._alike, self._alike_on = (failure.stage, failure.kind), []
        if host not in self.left_out or not others:
            self._alike_on.append(host)
        news = self._blame(host, failure.message)
        if len(self._alike_on) < (_STOP_AFTER_FULL if failure.kind == DISK_FULL else STOP_AFTER):
            return news, ""
        where = ", ".join(dict.fromkeys(self._alike_on))
        count = len(self._alike_on)
        return news, f"{count} failures alike in a row, on {where}, and nothing worked between them: {failure.message}"

    def _blame(self, host: str, why: str) -> list[str]:
        self._in_a_row[host] += 1
        if host in self.left_out or self._in_a_row[host] < LEAVE_OUT_AFTER:
            return []
        self.left_out = (*self.left_out, host)
        count = self._in_a_row[host]
        return [f"{host} is left out where there are others: {count} stages failed there in a row, the last: {why}"]
