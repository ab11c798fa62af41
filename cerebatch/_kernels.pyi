from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

OPENMP: bool
SIMD: str

def resample_labels(
    source: NDArray[np.uint8], matrix: NDArray[np.float64], target_shape: tuple[int, int, int], threads: int
) -> NDArray[np.uint8]: ...
def warp_labels(source: NDArray[np.uint8], field: NDArray[np.float32], threads: int) -> NDArray[np.uint8]: ...
def fuse(
    target: NDArray[np.float32],
    images: Sequence[NDArray[np.float32]],
    labels: Sequence[NDArray[np.uint8]],
    d: float,
    threads: int,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]: ...
def warp_and_fuse(
    target: NDArray[np.float32],
    images: Sequence[NDArray[np.float32]],
    labels: Sequence[NDArray[np.uint8]],
    fields: Sequence[NDArray[np.float32]],
    factor: int,
    d: float,
    threads: int,
    through: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]: ...
def sum_words(arrays: Sequence[NDArray[np.generic]], threads: int) -> int: ...
