"""People from what is always at hand: the phantom's cerebellum in the head of the MNI152 template."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cerebatch.building.arbor import white_apart
from cerebatch.simulation.anatomy import control_grid, supersampling
from cerebatch.simulation.anatomy.anatomy import Anatomy
from cerebatch.simulation.anatomy.change import Change
from cerebatch.simulation.anatomy.formula import formula_anatomy
from cerebatch.simulation.anatomy.lifecourse import Constitution, body
from cerebatch.simulation.cohorts.acquisition import acquired, drawn_gain, field_of_view
from cerebatch.simulation.cohorts.people import Person
from cerebatch.simulation.cohorts.scanners import Scanner
from cerebatch.simulation.cohorts.source import Simulated
from cerebatch.simulation.phantom import cerebellum
from cerebatch.simulation.phantom.head import FOSSA_MM, T1_LEVELS, T2_LEVELS, fossa, peduncles, template_head
from cerebatch.simulation.phantom.people import Waves
from cerebatch.spatial import space
from cerebatch.spatial.space import Affine, Grid, Volume

_SMOOTH_MM = 6.0
"""Fields that vary over ten centimetres are computed so far apart."""

_AROUND_BRAIN_MM = {True: 16.0, False: 5.0}
_SHAPE_SD_MM = 0.9
_TURN_DEGREES, _SHIFT_MM, _STRETCH = 8.0, 15.0, 0.015
_FULL = {"T1w": T1_LEVELS["wm"], "T2w": T2_LEVELS["csf"]}
_ICV_STEP = 4

Points = NDArray[np.float64]


@dataclass(frozen=True)
class TemplateSource:
    """People from the template; built once, it travels to the processes that make them.

    Attributes
    ----------
    anatomy : Anatomy
        In the MNI frame.
    heads : dict
        "T1w", "T2w" -> (X, Y, Z) float32, the head without a cerebellum, blurred to the voxels of the scans.
    intracranial : (X, Y, Z) float32
        1 inside the skull.
    grid : Grid
        Of the heads.
    brain_mm, cerebellum_mm : (N, 3) float
        Points all over the inside of the skull and the cerebellum, MNI millimetres.
    skull : bool
        Whole heads, or brain-extracted ones.
    """

    anatomy: Anatomy
    heads: dict[str, Volume]
    intracranial: Volume
    grid: Grid
    brain_mm: Points
    cerebellum_mm: Points
    skull: bool
    licence: str | None = None

    @property
    def description(self) -> str:
        """What the people are made from; see `source.Source`."""
        return (
            "The MNI152 template with a cerebellum made by formula, younger and older by rates that were chosen. "
            f"{' and '.join(self.heads)}, {'with' if self.skull else 'without'} skull."
        )

    @classmethod
    def build(cls, voxel_mm: float, *, skull: bool = True, t2: bool = False) -> TemplateSource:
        """Prepare for scans of a size of voxels in millimetres, with or without skull and T2w."""
        head = template_head()
        # What a voxel averages over, less what the template's own voxels do.
        sigma = np.sqrt(max(voxel_mm**2 - 1, 0) / 12)
        emptied = _emptied(head.t1w, head.t2w, head.intracranial, head.grid)
        heads = {name: ndimage.gaussian_filter(image, sigma) for name, image in emptied.items() if t2 or name == "T1w"}
        anatomy = formula_anatomy()
        return cls(
            anatomy,
            heads,
            head.intracranial.astype(np.float32),
            head.grid,
            _every(head.intracranial, head.grid),
            _every(anatomy.cells > 0, anatomy.grid),
            skull,
        )

    def made_from(self, person: Person, seed: int) -> tuple[str, ...]:
        """Nobody; see `source.Source`."""
        return ()

    def make(self, person: Person, scanner: Scanner, seed: int) -> Simulated:
        """Make and scan a person; see `source.Source`."""
        own, scan = (np.random.default_rng(part) for part in np.random.SeedSequence([seed, person.number]).spawn(2))
        made = body(Constitution.drawn(own), person.age_years, person.sex, person.diagnosis)
        change = Change.of(self.anatomy, made)
        native_from_mni = np.diag([*scanner.stretch, 1.0]) @ _drawn_pose(own, float(np.cbrt(made.head)))
        mni_from_native = space.inverse(native_from_mni)
        shape = Waves.drawn(own, count=8, length_mm=(110, 200), sd=[_SHAPE_SD_MM] * 3)

        brain_mm = space.apply(native_from_mni, self.brain_mm)
        grid = field_of_view(brain_mm, _AROUND_BRAIN_MM[self.skull], scanner)
        slices = grid.cropped_around(space.apply(native_from_mni, self.cerebellum_mm), margin_mm=8.0)
        cut = supersampling.sampled(change, grid.block(slices), mni_from_native, shape)
        where = _over(grid, mni_from_native, lambda mni: mni + shape.at(mni), self.grid)
        outside = None if self.skull else _sampled(self.intracranial, where) < 0.5
        gain = drawn_gain(scan, scanner, grid)
        scans = {}
        for suffix, head in self.heads.items():
            levels = T1_LEVELS if suffix == "T1w" else T2_LEVELS
            ideal = _sampled(head, where)
            ideal[slices] *= 1 - cut.grey - cut.white
            ideal[slices] += levels["gm"] * cut.grey + levels["wm"] * cut.white
            scans[suffix] = (acquired(ideal / np.float32(_FULL[suffix]), outside, gain, scanner, scan, grid), grid)
        return Simulated(
            scans, white_apart(cut.lobules, cut.is_white), cut.lobules, cut.grid, self._icv_cm3(native_from_mni, shape)
        )

    def _icv_cm3(self, native_from_mni: Affine, shape: Waves) -> float:
        """Volume inside the skull with a person's shape, counted on every fourth voxel."""
        x, y, z = (-(-n // _ICV_STEP) for n in self.grid.shape)
        grid = Grid((x, y, z), self.grid.affine @ np.diag([_ICV_STEP, _ICV_STEP, _ICV_STEP, 1.0]))
        where = _over(grid, np.eye(4), lambda mni: mni + shape.at(mni), self.grid)
        share = float(_sampled(self.intracranial, where).sum(dtype=np.float64))
        return share * grid.voxel_volume_mm3 * float(np.linalg.det(native_from_mni[:3, :3])) / 1000


def _emptied(t1w: Volume, t2w: Volume, intracranial: NDArray[np.bool_], grid: Grid) -> dict[str, Volume]:
    """The head with fluid and peduncles in the place of its cerebellum."""
    left, _ = FOSSA_MM[0]
    limits = ((left, 1 - left), *FOSSA_MM[1:])
    x, y, z = (slice(round(a - o), round(b - o)) for (a, b), o in zip(limits, grid.affine[:3, 3], strict=True))
    block = (x, y, z)
    here = cerebellum.centres_mm(grid.block(block))
    near = ndimage.binary_dilation(cerebellum.labels_at(*here) > 0)
    place = (fossa(*here) | near) & intracranial[block]
    emptied = {}
    for name, image, levels in (("T1w", t1w, T1_LEVELS), ("T2w", t2w, T2_LEVELS)):
        bare = np.where(peduncles(*here), np.float32(levels["wm"]), np.float32(levels["csf"]))
        emptied[name] = image.copy()
        emptied[name][block] = np.where(place, bare, image[block])
    return emptied


def _drawn_pose(rng: np.random.Generator, scale: float) -> Affine:
    """Affine from MNI to native: scaled, stretched without a change of volume, turned, shifted."""
    stretch = np.exp(rng.normal(0, _STRETCH, 3))
    stretch *= scale / np.cbrt(stretch.prod())
    affine = np.eye(4)
    turned = Rotation.from_euler("xyz", rng.uniform(-_TURN_DEGREES, _TURN_DEGREES, 3), degrees=True).as_matrix()
    affine[:3, :3] = turned * stretch
    affine[:3, 3] = rng.uniform(-_SHIFT_MM, _SHIFT_MM, 3)
    return affine


def _every(mask: NDArray[np.bool_], grid: Grid, step_mm: float = 3.0) -> Points:
    """Points of a mask's voxels about so far apart, in the grid's frame."""
    step = max(1, round(step_mm / float(grid.voxel_sizes_mm.min())))
    return space.apply(grid.affine, step * np.argwhere(mask[::step, ::step, ::step]).astype(np.float64))


def _over(grid: Grid, mni_from_grid: Affine, function: control_grid.Function, head: Grid) -> NDArray[np.float32]:
    """Voxel indices (3, X, Y, Z) of the head at the voxels of a grid, through a smooth map of MNI points."""
    index_from_mni = space.inverse(head.affine)
    x, y, z = (max(1, round(_SMOOTH_MM / float(size))) for size in grid.voxel_sizes_mm)
    return control_grid.over(
        grid.shape, mni_from_grid @ grid.affine, lambda mni: space.apply(index_from_mni, function(mni)), (x, y, z)
    )


def _sampled(image: Volume, where: NDArray[np.float32]) -> Volume:
    sampled: Volume = ndimage.map_coordinates(image, where, np.float32, order=1)
    return sampled
