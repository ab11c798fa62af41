"""The settings of one scan, checked before it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from cerebatch.errors import SettingsError
from cerebatch.spatial.space import RESOLUTIONS
from cerebatch.stages.settings import RunSettings
from cerebatch.stages.sources import check_labels, checked_weights

Method = Literal["networks", "atlas"]


def settings_of(
    *,
    resolution: float = 1.0,
    method: Method = "networks",
    library: Path | None = None,
    weights: Path | None = None,
    probabilities: bool = False,
    threads: int = 1,
    seed: int = 1,
) -> RunSettings:
    """Settings from what a user asks for.

    Parameters
    ----------
    resolution : {1.0, 0.5, 4.0}
        Edge of the MNI grid in millimetres.
    method : {"networks", "atlas"}
    library : Path, optional
        Of labelled cases, for an atlas of the scan.
    weights : Path, optional
        Folder of weights; None: those of cerebatch.
    probabilities : bool
        Whether those of the networks are written.
    threads : int
    seed : int

    Raises
    ------
    SettingsError
        They contradict each other.
    LibraryError, WeightsError
        The library or the weights cannot be used.
    """
    if str(float(resolution)) not in RESOLUTIONS:
        raise SettingsError(f"resolution: expected one of {', '.join(RESOLUTIONS)} mm, found {resolution}")
    if method not in ("networks", "atlas"):
        raise SettingsError(f"method: expected 'networks' or 'atlas', found {method!r}")
    if method == "atlas" and (library is None or weights is not None):
        raise SettingsError(
            "method atlas: expected a library, and no weights. `cerebatch library build` makes a library from "
            "published lobule maps."
        )
    found = None if method == "atlas" else checked_weights(weights, float(resolution)).resolve()
    check_labels(library, None, float(resolution))
    return RunSettings(
        resolution=float(resolution),
        method=method,
        weights=found,
        library=None if library is None else library.resolve(),
        probseg=probabilities and method == "networks",
        threads=threads,
        seed=seed,
    )
