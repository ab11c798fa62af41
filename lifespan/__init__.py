"""Curves of volume against age: tables of volumes in, models, z-scores and comparisons out.

    from lifespan import fit, score
    model = fit("volumes.tsv", model="spread+sites")
    scores = score(model, "new.tsv")

Volumes are cm3, ages years. Nothing here knows images.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifespan.changing import change
    from lifespan.checking import Check, check
    from lifespan.coefficients import coefficient_table
    from lifespan.comparing import compare
    from lifespan.deriving import derived_table, peak_table, sex_table
    from lifespan.errors import FitError, LifespanError, MismatchError, ModelFileError, TableError
    from lifespan.fitting import fit
    from lifespan.flagging import flag_table
    from lifespan.group_tests import compare_groups
    from lifespan.harmonising import harmonise
    from lifespan.models.model import LifespanModel
    from lifespan.models.model_file import load_model, save
    from lifespan.plots.check_page import plot_check
    from lifespan.plots.draw import plot
    from lifespan.plots.effects_page import plot_effects
    from lifespan.scoring import score, transfer
    from lifespan.tables.read import Reading, read_table

__all__ = [
    "Check",
    "FitError",
    "LifespanError",
    "LifespanModel",
    "MismatchError",
    "ModelFileError",
    "Reading",
    "TableError",
    "change",
    "check",
    "coefficient_table",
    "compare",
    "compare_groups",
    "derived_table",
    "fit",
    "flag_table",
    "harmonise",
    "load_model",
    "peak_table",
    "plot",
    "plot_check",
    "plot_effects",
    "read_table",
    "save",
    "score",
    "sex_table",
    "transfer",
]

_HOMES = {
    "changing": ("change",),
    "checking": ("Check", "check"),
    "coefficients": ("coefficient_table",),
    "comparing": ("compare",),
    "deriving": ("derived_table", "peak_table", "sex_table"),
    "errors": ("FitError", "LifespanError", "MismatchError", "ModelFileError", "TableError"),
    "fitting": ("fit",),
    "flagging": ("flag_table",),
    "group_tests": ("compare_groups",),
    "harmonising": ("harmonise",),
    "models.model": ("LifespanModel",),
    "models.model_file": ("load_model", "save"),
    "plots.check_page": ("plot_check",),
    "plots.draw": ("plot",),
    "plots.effects_page": ("plot_effects",),
    "scoring": ("score", "transfer"),
    "tables.read": ("Reading", "read_table"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load pandas and SciPy when something is first used, not at import."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
