"""Which model is fitted: the words of --model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

WORDS = {
    "paper": "the six candidates, spread that does not change: alone",
    "spline": "a natural cubic spline instead of the six candidates",
    "spread": "spread that changes with age",
    "sites": "shifts and spreads of sites, as random effects",
    "visits": "several visits of one person",
    "shape": "skewness, which may change with age, and tails",
    "robust": "residuals of Student's t: a few wrong values do not move the curve",
    "log": "logarithms of volumes: no bound below 0",
}


@dataclass(frozen=True)
class ModelChoice:
    """What a curve is made of; all False is the paper's model.

    Attributes
    ----------
    spline, spread, sites, visits, shape, robust, log : bool
        See `WORDS`.
    """

    spline: bool = False
    spread: bool = False
    sites: bool = False
    visits: bool = False
    shape: bool = False
    robust: bool = False
    log: bool = False

    @classmethod
    def parse(cls, text: str) -> ModelChoice:
        """Read words joined by "+", such as "spread+sites".

        Raises
        ------
        ValueError
            Another word, a word twice, or "paper" with others.
        """
        words = [word.strip().lower() for word in text.split("+")]
        known = ", ".join(WORDS)
        for word in words:
            if word not in WORDS:
                raise ValueError(f"model {text!r}: expected words out of {known}, joined by +, found {word!r}.")
        if len(set(words)) < len(words) or ("paper" in words and len(words) > 1):
            raise ValueError(f"model {text!r}: expected each word once, and paper alone.")
        return cls(**{word: True for word in words if word != "paper"})

    @property
    def is_paper(self) -> bool:
        return self == ModelChoice()

    def __str__(self) -> str:
        return "+".join(word for word, on in asdict(self).items() if on) or "paper"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
