"""Export to the raw layout of nnU-Net (Isensee et al. 2021): images by channel, label maps, and their description."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from cerebatch.io.files import require_empty, write_image, write_json
from cerebatch.labels import LABELS
from cerebatch.library.augmented.splits import Split
from cerebatch.library.augmented.store import AugmentedSet
from cerebatch.library.layout import CONTRASTS


def export(
    store: AugmentedSet, folder: Path, *, folds: list[Split] | None = None, tell: Callable[[str], None] = lambda _: None
) -> int:
    """Write ``imagesTr/CASE_0000.nii.gz`` (T1w), ``_0001`` (T2w), ``labelsTr/CASE.nii.gz`` and ``dataset.json``.

    With an atlas in the set it is channel 2, ``_0002``, in cerebatch codes. Images of a case and its labels have one
    affine bit for bit. Usable cases alone are exported.

    Parameters
    ----------
    store : AugmentedSet
    folder : Path
        New or empty; for nnU-Net its name should be ``DatasetNNN_Name``.
    folds : list of Split, optional
        Written as ``splits_final.json``, which nnU-Net wants in its folder of preprocessed data.
    tell : callable
        Gets the name of each case.

    Returns
    -------
    cases : int
        How many were written.

    Raises
    ------
    DatasetError
        The folder holds something.
    LibraryError
        A case cannot be read.
    """
    require_empty(folder)
    with_atlas = store.has_atlas
    for index in store.usable:
        name = store.names[index]
        for channel, contrast in enumerate(CONTRASTS):
            path = folder / "imagesTr" / f"{name}_{channel:04d}.nii.gz"
            write_image(path, store.image(index, contrast), store.grid, "MNI")
        if with_atlas:
            path = folder / "imagesTr" / f"{name}_{len(CONTRASTS):04d}.nii.gz"
            write_image(path, store.atlas(index), store.grid, "MNI")
        write_image(folder / "labelsTr" / f"{name}.nii.gz", store.dseg(index), store.grid, "MNI")
        tell(name)
    channels = [*CONTRASTS, *(["atlas"] if with_atlas else [])]
    write_json(
        folder / "dataset.json",
        {
            "channel_names": {str(number): name for number, name in enumerate(channels)},
            "labels": {"background": 0} | {label.name: label.index for label in LABELS},
            "numTraining": len(store.usable),
            "file_ending": ".nii.gz",
            "description": f"Labelled cerebella bent onto other people by cerebatch augment; digest {store.digest}",
        },
    )
    if folds is not None:
        content = [{"train": list(fold.train), "val": list(fold.test)} for fold in folds]
        (folder / "splits_final.json").write_text(json.dumps(content, indent=1) + "\n")
    return len(store.usable)
