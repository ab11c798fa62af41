import numpy as np
from numpy.typing import NDArray

OPENMP: bool

def resample_labels(
    source: NDArray[np.uint8], matrix: NDArray[np.float64], target_shape: tuple[int, int, int], threads: int
) -> NDArray[np.uint8]: ...
