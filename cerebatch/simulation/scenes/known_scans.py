"""Test images: whole heads whose lobules are known, simulated apart from what the networks are trained on.

A held-out lobule map keeps its own shape (`pose`: a rigid motion and one scale), lies in a head at its own 0.3 mm
(`scene`), has one signal a tissue from the equations of the sequences (`sequences`) and is scanned (`scanner`). Nothing
here is used in training.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cerebatch.io.bids import Case, output_name
from cerebatch.io.files import write_image, write_json, write_label_table
from cerebatch.simulation.scenes.arms import Arm, arm_scene
from cerebatch.simulation.scenes.scanner import Protocol, drawn_texture, scan
from cerebatch.simulation.scenes.scene import AIR, HeadMap, Lobules, Scene, make_scene, read_head_map, read_lobules
from cerebatch.simulation.scenes.sequences import Sequence, drawn_materials, drawn_t1w, drawn_t2w, signals
from cerebatch.spatial.space import Affine, Grid, LabelMap, Volume, apply, inverse, resample_labels
from lifespan.simulated import KEY

TRUTH = "derivatives/test-truth"
"""Where the truth lies inside the dataset."""

DESCRIPTION = (
    "Simulated: a published lobule map in its own shape in a published head map. No person was scanned. Made from maps "
    "under CC BY-NC-SA 4.0 (CoBrALab/atlases) and Apache-2.0 (SynthSeg); CC BY-NC-SA 4.0."
)

_TRUTH_MM = 0.5
_AROUND_MM = 6.0
_TURN_DEGREES, _SHIFT_MM = 4.0, 4.0
_OBLIQUE_DEGREES = 5.0
_MOTION_DEGREES, _MOTION_MM = 0.5, 0.5
_WHITE = {"T1w": 600.0, "T2w": 250.0}
"""White matter in the files that are written."""


@dataclass(frozen=True)
class KnownScan:
    """A simulated T1w and T2w with what is true of them.

    Attributes
    ----------
    name : str
        Label of the participant, without ``sub-``.
    scans : dict
        Contrast ("T1w", "T2w") -> image (X, Y, Z) float32 and its grid, native, each in the frame of its own header.
    dseg, lobules : (X, Y, Z) uint8
        Cerebatch codes on `truth_grid`: the arbor vitae as white matter, and with its lobule.
    truth_grid : Grid
        0.5 mm along the axes of the T1w, cropped around the cerebellum; the T1w's frame.
    t1w_from_map : (4, 4) float
        Millimetres of the lobule map's frame -> millimetres of the T1w's frame: a similarity.
    t2w_from_t1w : (4, 4) float
        The head's motion between the scans: points of the T1w's frame -> points of the T2w's frame.
    figures : dict of str to float
        Scale and overlap of the pose, and shares of `scene.Scene.figures`.
    settings : dict
        What the scans were taken with.
    """

    __test__: ClassVar[bool] = False

    name: str
    scans: dict[str, tuple[Volume, Grid]]
    dseg: LabelMap
    lobules: LabelMap
    truth_grid: Grid
    t1w_from_map: Affine
    t2w_from_t1w: Affine
    figures: dict[str, float]
    settings: dict[str, object]

    @property
    def t1w(self) -> Volume:
        """Voxels of the T1w."""
        return self.scans["T1w"][0]

    @property
    def t1w_grid(self) -> Grid:
        """Of the T1w."""
        return self.scans["T1w"][1]

    @property
    def t2w(self) -> Volume:
        """Voxels of the T2w."""
        return self.scans["T2w"][0]

    @property
    def t2w_grid(self) -> Grid:
        """Of the T2w."""
        return self.scans["T2w"][1]


def make_known_scan(
    lobules: Path,
    head: Path,
    *,
    seed: int,
    t1w: Protocol | None = None,
    t2w: Protocol | None = None,
    erased: bool = False,
    arm: Arm = "labels",
) -> KnownScan:
    """Simulate a T1w and a T2w of a lobule map in a head.

    Parameters
    ----------
    lobules : Path
        Lobule map in CoBrALab codes. The one read last is remembered, for growing its arbor vitae takes long.
    head : Path
        Whole-head map in FreeSurfer's and SynthSeg's codes.
    seed : int
        Decides everything that is drawn; the same seed gives the same bytes.
    t1w, t2w : Protocol, optional
        1 mm and an SNR of 30 without them.
    erased : bool
        Take out every border inside the cerebellum's outline (`scene.make_scene`); everything drawn stays the same.
    arm : {"labels", "blind", "none", "filled"}
        Which arbor vitae the image shows (`arms`); everything drawn stays the same.

    Raises
    ------
    LabelMapError
        A map is none, or lacks what it must have.
    StageError
        No similarity brings the map to overlap the head's cerebellum.
    """
    read, around = _read_lobules(lobules), _read_head_map(head)
    scene = make_scene(read, around, erased=True) if erased else arm_scene(read, around, arm)
    return scan_scene(scene, name=_label(lobules, head), seed=seed, t1w=t1w, t2w=t2w, erased=erased)


def scan_scene(
    scene: Scene, *, name: str, seed: int, t1w: Protocol | None = None, t2w: Protocol | None = None,
    erased: bool = False, sequences: dict[str, Sequence] | None = None, with_t2w: bool = True,
) -> KnownScan:  # fmt: skip
    """Scan a scene; `name` is the participant's label, `sequences` a site's own, the rest as of `make_known_scan`.

    The T1w is the same bytes with and without a T2w.
    """
    protocols = {"T1w": t1w or Protocol(), "T2w": t2w or Protocol()}
    body, place, texture_seed, *scan_seeds = np.random.SeedSequence(seed).spawn(5)
    rng = np.random.default_rng(place)
    scanner_from_head = _rigid(rng, _TURN_DEGREES, _SHIFT_MM, _centre_mm(scene))
    motion = _rigid(rng, _MOTION_DEGREES, _MOTION_MM, apply(scanner_from_head, _centre_mm(scene)[None])[0])
    oblique = Rotation.from_rotvec(np.radians(rng.uniform(-_OBLIQUE_DEGREES, _OBLIQUE_DEGREES, 3))).as_matrix()
    grids = {
        "T1w": _field_of_view(scene, scanner_from_head, protocols["T1w"], np.eye(3)),
        "T2w": _field_of_view(scene, motion @ scanner_from_head, protocols["T2w"], oblique),
    }
    rng = np.random.default_rng(body)
    materials = drawn_materials(rng)
    sequences = sequences or {"T1w": drawn_t1w(rng), "T2w": drawn_t2w(rng)}
    texture = drawn_texture(scene.head.grid, texture_seed)
    frames = {"T1w": scanner_from_head, "T2w": motion @ scanner_from_head}
    scans = {
        contrast: (scan(
            scene, grids[contrast], inverse(frames[contrast]), signals(sequences[contrast], materials),
            protocols[contrast], texture, scan_seed,
        ), grids[contrast])
        for contrast, scan_seed in zip(grids, scan_seeds, strict=True)
        if with_t2w or contrast == "T1w"
    }  # fmt: skip
    truth_grid = _truth_grid(scene, scanner_from_head)
    dseg, with_folia = (
        resample_labels(truth, scene.grid, truth_grid, inverse(scanner_from_head))
        for truth in (scene.dseg, scene.lobules)
    )
    # Where votes tie, one of the two may find background alone.
    dseg = np.where((dseg > 0) & (with_folia > 0), dseg, with_folia)
    settings: dict[str, object] = {"Seed": seed, "Erased": erased}
    settings |= {c: asdict(protocols[c]) | asdict(sequences[c]) for c in scans}
    figures = {"scale": scene.pose.scale, "dice": scene.pose.dice} | scene.figures
    return KnownScan(
        name, scans, dseg, with_folia, truth_grid,
        scanner_from_head @ scene.pose.head_from_map, motion, figures, settings,
    )  # fmt: skip


def write_known_scan(made: KnownScan, root: Path) -> Path:
    """Write scans as BIDS and the truth under `TRUTH`.

    Parameters
    ----------
    made : KnownScan
    root : Path
        Of the dataset; made where missing.

    Returns
    -------
    t1w : Path
    """
    name, root = f"sub-{made.name}", root.absolute()
    folder = root / name / "anat"
    for suffix, (image, grid) in made.scans.items():
        stored = np.clip(np.rint(_WHITE[suffix] * image), 0, np.iinfo(np.int16).max).astype(np.int16)
        write_image(folder / f"{name}_{suffix}.nii.gz", stored, grid, "native")
        write_json(folder / f"{name}_{suffix}.json", {"Description": DESCRIPTION, "SkullStripped": False})
    case = Case(made.name, None, folder / f"{name}_T1w.nii.gz")
    for entities, dseg in (({}, made.dseg), ({"desc": "withfolia"}, made.lobules)):
        path = root / TRUTH / case.folder / output_name(case, "dseg", ".nii.gz", seg="lobules", **entities)
        write_image(path, dseg, made.truth_grid, "native")
        write_label_table(path.with_name(path.name.replace(".nii.gz", ".tsv")))
    write_json(
        root / TRUTH / case.folder / output_name(case, "simulation", ".json"),
        {
            "Description": DESCRIPTION,
            "T1wFromMap": made.t1w_from_map.tolist(),
            "T2wFromT1w": made.t2w_from_t1w.tolist(),
            "Figures": {key: round(value, 4) for key, value in made.figures.items()},
            "Settings": made.settings,
        },
    )
    return case.t1w


def write_descriptions(root: Path) -> None:
    """Write what BIDS asks to know of the dataset and of the truth in it."""
    for folder, kind, name in ((root, "raw", "cerebatch test images (simulated)"),
                               (root / TRUTH, "derivative", "Truth of cerebatch test images (simulated)")):  # fmt: skip
        content: dict[str, object] = {"Name": name, "BIDSVersion": "1.10.0", "DatasetType": kind}
        if kind == "derivative":
            content["GeneratedBy"] = [{"Name": "cerebatch benchmarks/accuracy/known_scans.py"}]
        write_json(folder / "dataset_description.json", content | {"License": "CC BY-NC-SA 4.0", KEY: True})
    (root / "README").write_text(DESCRIPTION + "\n")


@lru_cache(maxsize=1)
def _read_lobules(path: Path) -> Lobules:
    return read_lobules(path)


@lru_cache(maxsize=4)
def _read_head_map(path: Path) -> HeadMap:
    return read_head_map(path)


def _label(lobules: Path, head: Path) -> str:
    """Letters and digits of both names."""
    return "".join(c for path in (lobules, head) for c in path.name.split("_")[0].split(".")[0] if c.isalnum())


def _rigid(rng: np.random.Generator, degrees: float, shift_mm: float, centre_mm: NDArray[np.float64]) -> Affine:
    """A random rotation about a point, and a shift."""
    rigid = np.eye(4)
    rigid[:3, :3] = Rotation.from_rotvec(np.radians(rng.uniform(-degrees, degrees, 3))).as_matrix()
    rigid[:3, 3] = centre_mm - rigid[:3, :3] @ centre_mm + rng.uniform(-shift_mm, shift_mm, 3)
    return rigid


def _centre_mm(scene: Scene) -> NDArray[np.float64]:
    """Middle of the head, in its frame."""
    low, high = _extent_mm(scene.head, scene.head.grid.affine)
    return (low + high) / 2


def _extent_mm(head: HeadMap, affine: Affine) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest coordinates of the head's surface after an affine of its voxel indices."""
    outer = ndimage.binary_erosion(head.material != AIR) ^ (head.material != AIR)
    points = apply(affine, np.argwhere(outer).astype(np.float64))
    return points.min(axis=0), points.max(axis=0)


def _field_of_view(
    scene: Scene, scanner_from_head: Affine, protocol: Protocol, axes: NDArray[np.float64], margin_mm: float = 8.0
) -> Grid:
    """A grid that holds the head, its axes the columns of a rotation."""
    turned = np.eye(4)
    turned[:3, :3] = axes.T
    low, high = _extent_mm(scene.head, turned @ scanner_from_head @ scene.head.grid.affine)
    size = np.array(protocol.voxel_mm)
    count = np.ceil((high - low + 2 * margin_mm) / size).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = axes * size
    affine[:3, 3] = axes @ ((low + high) / 2 - size * (count - 1) / 2)
    x, y, z = (int(n) for n in count)
    return Grid((x, y, z), affine)


def _truth_grid(scene: Scene, scanner_from_head: Affine) -> Grid:
    """Voxels of 0.5 mm along the axes of the T1w around all labels."""
    points = apply(scanner_from_head @ scene.grid.affine, np.argwhere(scene.lobules > 0)[::50].astype(np.float64))
    low = np.floor(points.min(axis=0) - _AROUND_MM)
    count = np.ceil((points.max(axis=0) + _AROUND_MM - low) / _TRUTH_MM).astype(int)
    affine = np.diag([_TRUTH_MM, _TRUTH_MM, _TRUTH_MM, 1.0])
    affine[:3, 3] = low + _TRUTH_MM / 2
    x, y, z = (int(n) for n in count)
    return Grid((x, y, z), affine)
