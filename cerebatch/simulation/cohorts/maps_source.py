"""People from published maps: a lobule map, made younger and older, in head maps, by the second simulator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.building.arbor import depth_within_mm
from cerebatch.building.build import label_maps
from cerebatch.errors import InputError
from cerebatch.io.labelmaps import map_name
from cerebatch.labels import LABELS, WHITE_MATTER, white_matter_of
from cerebatch.simulation.anatomy import control_grid
from cerebatch.simulation.anatomy.anatomy import Anatomy
from cerebatch.simulation.anatomy.change import Change
from cerebatch.simulation.anatomy.lifecourse import Constitution, body
from cerebatch.simulation.cohorts.people import Person
from cerebatch.simulation.cohorts.scanners import Scanner
from cerebatch.simulation.cohorts.source import Simulated
from cerebatch.simulation.scenes.known_scans import scan_scene
from cerebatch.simulation.scenes.pose import Pose
from cerebatch.simulation.scenes.scanner import Protocol
from cerebatch.simulation.scenes.scene import (
    DEEP,
    FLUID,
    GREY,
    STEM,
    WHITE,
    HeadMap,
    Lobules,
    Scene,
    make_scene,
    nearest,
    pose_in,
    read_head_map,
    read_lobules,
)
from cerebatch.simulation.scenes.sequences import Sequence, drawn_t1w, drawn_t2w
from cerebatch.spatial.space import Affine, Grid, LabelMap, Volume

BOTTOM_MM = 2.0
"""Borders between lobules that touch do not open closer to the white matter than this."""

_DEPTH_SMOOTHING = 0.8
"""Standard deviation in voxels."""

_SLAB = 16
_INTRACRANIAL = (FLUID, GREY, WHITE, DEEP, STEM)
_TAPERS = (0.54, 0.70)
_DIMMER = {"T1w": 1, "T2w": 3}
"""A contrast's brightness is the scanner's over this."""


@dataclass(frozen=True)
class MapsSource:
    """People made from lobule maps; it travels to the processes that make them.

    Attributes
    ----------
    maps : tuple of (Lobules, Anatomy)
        Each map and how it ages, in its own frame.
    heads : tuple of Path
        Whole-head maps.
    t2 : bool
        Make a T2w, too.
    """

    maps: tuple[tuple[Lobules, Anatomy], ...]
    heads: tuple[Path, ...]
    t2: bool
    licence: str | None = "CC BY-NC-SA 4.0"
    poses: dict[tuple[int, int], Pose] = field(default_factory=dict, repr=False)
    """Of maps in heads, as far as they were needed; each process finds its own."""

    @classmethod
    def build(cls, lobules: Path, heads: Path, source: str | None = None, *, t2: bool = False) -> MapsSource:
        """Read maps and prepare them to age; a minute or two for each.

        Parameters
        ----------
        lobules : Path
            Folder of lobule maps in CoBrALab codes.
        heads : Path
            Folder of whole-head maps.
        source : str, optional
            The one map that everybody is made from, as its file is named: "subject-3". By default all of them are used.
        t2 : bool
            Make a T2w, too.

        Raises
        ------
        InputError
            A folder without maps, or without the one asked for.
        LabelMapError
            A map cannot be used.
        """
        paths = label_maps(lobules)
        chosen = [path for path in paths if source in (None, map_name(path), path.name.split("_")[0])]
        if not chosen:
            raise InputError(
                lobules,
                expected=f"a lobule map named {source}",
                found=", ".join(map_name(path) for path in paths),
                do="Give --source one of these.",
            )
        read = [read_lobules(path) for path in chosen]
        return cls(tuple((one, map_anatomy(one)) for one in read), label_maps(heads), t2)

    @property
    def description(self) -> str:
        """What the people are made from; see `source.Source`."""
        maps, heads = ", ".join(one.name for one, _ in self.maps), ", ".join(map(map_name, self.heads))
        return (
            f"A published lobule map ({maps}) in its own shape, younger and older by rates that were chosen, in a "
            f"published head map ({heads}). {'T1w and T2w' if self.t2 else 'T1w'}."
        )

    def made_from(self, person: Person, seed: int) -> tuple[str, ...]:
        """The lobule map and the head map; see `source.Source`."""
        which, where = pairing(person.number, len(self.maps), len(self.heads), seed)
        return self.maps[which][0].name, map_name(self.heads[where])

    def make(self, person: Person, scanner: Scanner, seed: int) -> Simulated:
        """Make and scan a person; see `source.Source`."""
        own, scan = np.random.SeedSequence([seed, person.number]).spawn(2)
        which, where = pairing(person.number, len(self.maps), len(self.heads), seed)
        lobules, anatomy = self.maps[which]
        head = _read_head_map(self.heads[where])
        if (which, where) not in self.poses:
            self.poses[which, where] = pose_in(lobules, head)
        made = body(Constitution.drawn(np.random.default_rng(own)), person.age_years, person.sex, person.diagnosis)
        scene = make_scene(aged(lobules, Change.of(anatomy, made)), head, pose=self.poses[which, where])
        scene = _stretched(scene, np.diag([*(np.array(scanner.stretch) * np.cbrt(made.head)), 1.0]))
        protocol = Protocol(scanner.voxel_mm, None, scanner.snr, scanner.bias, taper=_taper(scanner))
        image = scan_scene(
            scene,
            name=person.name.removeprefix("sub-"),
            seed=int(scan.generate_state(1)[0]),
            t1w=protocol,
            t2w=protocol,
            sequences=_sequences(scanner),
            with_t2w=self.t2,
        )
        inside = np.isin(scene.head.material, _INTRACRANIAL).sum()
        return Simulated(
            {
                contrast: (_stored(voxels, scanner.brightness / _DIMMER[contrast]), grid)
                for contrast, (voxels, grid) in image.scans.items()
            },
            image.dseg,
            image.lobules,
            image.truth_grid,
            float(inside * scene.head.grid.voxel_volume_mm3 / 1000),
        )


def pairing(number: int, maps: int, heads: int, seed: int) -> tuple[int, int]:
    """Which map and which head make a person.

    Every pair comes once before any comes again. Their order is drawn, for ages follow the number (`people`): were it
    the numbers' own, all people of one head would be of one age.

    Parameters
    ----------
    number : int
        The person's, from 1.
    maps, heads : int
        How many there are.
    seed : int
        Of the cohort.

    Returns
    -------
    (map, head) : tuple of int
        From 0.
    """
    round_, place = divmod(number - 1, maps * heads)
    order = np.random.default_rng([seed, crc32(b"pairs"), round_]).permutation(maps * heads)
    which, where = divmod(int(order[place]), heads)
    return which, where


def map_anatomy(lobules: Lobules) -> Anatomy:
    """How a lobule map ages.

    Its fissures belong to the nearest lobule, with a negative depth. Inside a lobule the depth is the distance to
    everything but the lobule and the white matter, so that lobules part where they touch.
    """
    grid, dseg = lobules.grid, lobules.dseg
    half_mm = float(grid.voxel_sizes_mm.mean()) / 2
    labelled = dseg > 0
    distance_mm = ndimage.distance_transform_edt(~labelled, sampling=grid.voxel_sizes_mm)
    depth_mm = (half_mm - distance_mm).astype(np.float32)
    del distance_mm
    for core in WHITE_MATTER:
        one_side = np.where(white_matter_of(dseg) == core, dseg, np.uint8(0))
        own = (one_side > 0) & (one_side != core)
        depth_mm[own] = depth_within_mm(one_side, core, grid)[own] - half_mm
    core_mm = ndimage.distance_transform_edt(~np.isin(dseg, WHITE_MATTER), sampling=grid.voxel_sizes_mm)
    depth_mm[labelled] += np.maximum(BOTTOM_MM - core_mm[labelled], 0).astype(np.float32)
    del core_mm
    cells = np.where(lobules.outline, dseg[tuple(nearest(labelled, grid))], np.uint8(0))
    cells[~labelled & np.isin(cells, WHITE_MATTER)] = 0
    # Distances between voxel centres come in steps, and volumes would, too.
    depth_mm = ndimage.gaussian_filter(depth_mm, _DEPTH_SMOOTHING, truncate=3.0)
    own_share = np.array([1 - labelled[cells == label.index].mean() for label in LABELS])
    return Anatomy.of(cells, lobules.white, depth_mm, grid, own_share)


def aged(lobules: Lobules, change: Change) -> Lobules:
    """A lobule map after a change, on its own grid; the outline stays, and what is free in it becomes fluid."""
    step = change.anatomy.flow_step
    shape = lobules.grid.shape
    codes: list[LabelMap] = []
    whites: list[NDArray[np.bool_]] = []
    for start in range(0, shape[0], _SLAB):
        thick = min(_SLAB, shape[0] - start)
        slab = np.eye(4)
        slab[0, 3] = start
        place = control_grid.over(
            (thick, *shape[1:]), slab, lambda index: index + change.displacement(index), (step, step, step)
        )
        found, white = change.look_up(place)
        codes.append(found)
        whites.append(white)
    return replace(lobules, dseg=np.concatenate(codes), white=np.concatenate(whites))


@lru_cache(maxsize=4)
def _read_head_map(path: Path) -> HeadMap:
    return read_head_map(path)


def _stretched(scene: Scene, change: Affine) -> Scene:
    """A scene in which every millimetre of the head's frame is longer or shorter."""
    head = scene.head
    wide = Grid(head.grid.shape, change @ head.grid.affine)
    return replace(
        scene,
        head=replace(head, grid=wide, own=replace(head.own, grid=wide)),
        pose=replace(scene.pose, head_from_map=change @ scene.pose.head_from_map),
        grid=Grid(scene.grid.shape, change @ scene.grid.affine),
    )


def _taper(scanner: Scanner) -> float:
    """A scanner that smooths more tapers k-space more."""
    low, high = _TAPERS
    share = np.clip(scanner.smoothing_mm / max(scanner.voxel_mm), 0, 1)
    return float(high - (high - low) * share)


def _sequences(scanner: Scanner) -> dict[str, Sequence]:
    """The site's own settings of an MPRAGE and a fast spin echo."""
    rng = np.random.default_rng([crc32(scanner.site.encode()), round(1e6 * scanner.contrast)])
    return {"T1w": drawn_t1w(rng), "T2w": drawn_t2w(rng)}


def _stored(image: Volume, brightness: float) -> NDArray[np.int16]:
    stored = np.clip(np.rint(image * np.float32(brightness)), 0, np.iinfo(np.int16).max)
    return np.asarray(stored, dtype=np.int16)
