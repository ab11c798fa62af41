"""dataset_description.json: what a dataset says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifespan.simulated import KEY


def dataset_description(version: str, *, simulated: bool = False) -> dict[str, object]:
    """Content of the dataset_description.json of our derivatives.

    Parameters
    ----------
    version : str
        Version of cerebatch.
    simulated : bool
        Whether the people are simulated: the key is carried on, so that no bounds are made from them.
    """
    content: dict[str, object] = {
        "Name": "cerebatch: cerebellar lobules and their volumes",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "cerebatch", "Version": version}],
    }
    return content | {KEY: True} if simulated else content


def read_description(folder: Path) -> dict[str, Any]:
    """Content of a folder's dataset_description.json; empty where there is none that can be read."""
    try:
        content = json.loads((folder / "dataset_description.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def makers(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What made a dataset, as its description tells under GeneratedBy."""
    told = description.get("GeneratedBy")
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
