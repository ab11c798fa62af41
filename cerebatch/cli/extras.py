"""What a plain installation leaves out, and the command that brings it."""

from __future__ import annotations

from importlib.util import find_spec

from cerebatch.errors import InstallationError

EXTRAS = {
    "cluster": ("bokeh", "cryptography", "dask", "dask_jobqueue", "distributed", "ray"),
    "pdf": ("weasyprint",),
    "train": ("tensorboard", "torchio"),
}
"""Extra of pyproject.toml -> modules that it brings."""


def require(extra: str, asked_by: str, instead: str = "") -> None:
    """Refuse what cannot run without an extra.

    Parameters
    ----------
    extra : str
    asked_by : str
        Command or option that needs it.
    instead : str
        What works without it, as a sentence.

    Raises
    ------
    InstallationError
        One of its modules is not installed.
    """
    absent = [module for module in EXTRAS[extra] if find_spec(module) is None]
    if absent:
        raise InstallationError(_words(asked_by, absent[0], extra) + (f" {instead}" if instead else ""))


def explained(error: ModuleNotFoundError) -> InstallationError | None:
    """The message about a module that an extra brings; None where none does."""
    module = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
    return None if extra is None else InstallationError(_words("this command", module, extra))


def _words(asked_by: str, module: str, extra: str) -> str:
    return (
        f"{asked_by}: expected {module}, which a plain installation leaves out. Install it with "
        f"`pip install 'cerebatch[{extra}]'`."
    )
