"""All metrics of a case."""

from __future__ import annotations

from cerebatch.quality.geometry import geometry_metrics
from cerebatch.quality.image import image_metrics
from cerebatch.quality.inputs import QualityInputs
from cerebatch.quality.metric import Metric
from cerebatch.quality.structures import structure_metrics


def all_metrics(case: QualityInputs) -> list[Metric]:
    """Every number that quality is judged by.

    Parameters
    ----------
    case : QualityInputs
        With at least one label.
    """
    return [*geometry_metrics(case), *structure_metrics(case), *image_metrics(case)]
