"""Memory of this process, kept for the next pass of a network."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt(3)


def keep_memory() -> None:
    """Have the C library keep large blocks that are freed, instead of giving them back to the system.

    The system clears each block that it hands out; with activations of hundreds of megabytes that took a third of a
    training step. Does nothing where the C library has no such switch.
    """
    if (library := _c_library()) is not None:
        library.mallopt(_MMAP_MAX, 0)
        library.mallopt(_TRIM_THRESHOLD, -1)


def release_memory() -> None:
    """Give back what `keep_memory` has kept: images of many shapes leave gaps that add up."""
    if (library := _c_library()) is not None:
        library.malloc_trim(0)


def _c_library() -> ctypes.CDLL | None:
    """The GNU C library, where this is it."""
    if sys.platform != "linux" or not hasattr(library := ctypes.CDLL(None), "mallopt"):
        return None
    return library if hasattr(library, "malloc_trim") else None
