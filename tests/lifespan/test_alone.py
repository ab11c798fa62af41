"""lifespan stands on its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lifespan

FOREIGN = ("ants", "cerebatch", "dask", "nibabel", "nilearn", "pydantic", "ray", "SimpleITK", "torch", "typer", "zarr")


def loaded_after(script: str, folder: Path) -> set[str]:
    """Modules in a process of its own."""
    place = str(Path(lifespan.__file__).parents[1])
    command = f"import sys; sys.path.insert(0, {place!r}); {script}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in ran.stdout.split()}


def test_importing_it_loads_nothing_heavy(tmp_path: Path) -> None:
    assert not loaded_after("import lifespan", tmp_path) & {*FOREIGN, "matplotlib", "pandas", "scipy", "statsmodels"}


def test_all_of_it_loads_nothing_of_cerebatch_or_of_images(tmp_path: Path) -> None:
    script = "from lifespan import *; import lifespan.plots.draw"
    found = loaded_after(script, tmp_path)
    assert {"pandas", "scipy"} <= found
    assert not found & set(FOREIGN)


def test_every_public_name_is_there() -> None:
    assert all(getattr(lifespan, name) is not None for name in lifespan.__all__)
    assert not hasattr(lifespan, "nothing_of_this_name")
