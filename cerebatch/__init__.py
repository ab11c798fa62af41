"""Cerebellar lobule segmentation and volumetry for whole cohorts.

>>> import cerebatch
>>> found = cerebatch.segment("sub-01_T1w.nii.gz")  # doctest: +SKIP
>>> found.volumes, found.rating  # doctest: +SKIP
>>> len(cerebatch.LABELS)
26

What is heavy is imported when a name is first used; `__init__.pyi` tells type checkers of the names.
"""

_ROOM = {
    "CerebatchError": "errors",
    "LABELS": "labels",
    "Segmentation": "api",
    "open_library": "library.store",
    "read_scan": "io.scan",
    "segment": "api",
    "volumes_of": "api",
}
"""Name -> module that it comes from; in words, for else the rooms below would seem to import the ones above."""

__all__ = ["__version__", *_ROOM]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "__version__":
        found = import_module("importlib.metadata").version("cerebatch")
    elif name in _ROOM:
        found = getattr(import_module(f"cerebatch.{_ROOM[name]}"), name)
    else:
        raise AttributeError(f"module 'cerebatch' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
