"""Files of profiles: how they are found, and how it is told what is wrong in them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cerebatch.errors import SettingsError

_Model = TypeVar("_Model", bound=BaseModel)
_OWN_WORDS = ("unknown_key", "walltime", "contradiction")
_LONGEST = 60


def profile_names() -> list[str]:
    """Names of the profiles that cerebatch brings."""
    return sorted(path.name.removesuffix(".yaml") for path in _folder().iterdir() if path.name.endswith(".yaml"))


def find_profile(name_or_path: str) -> Traversable:
    """The file of a profile; a name goes before a file of that name.

    Raises
    ------
    SettingsError
        There is none.
    """
    names = profile_names()
    if name_or_path in names:
        return _folder().joinpath(f"{name_or_path}.yaml")
    path = Path(name_or_path)
    if path.is_file():
        return path
    raise SettingsError(
        f"--profile: expected one of {', '.join(names)} or the path of a YAML file, "
        f"found {name_or_path!r}{nearest(name_or_path, names)}"
    )


def read_yaml(source: Traversable, title: str) -> Any:
    """Content of a YAML file in which no key stands twice.

    Raises
    ------
    SettingsError
        It cannot be read, or is no YAML.
    """
    try:
        return yaml.load(source.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{title}: expected YAML, found: {error}") from error
    except OSError as error:
        raise SettingsError(f"{title}: expected a file that can be read, found: {error.strerror}") from error


def validated(model: type[_Model], content: Any, title: str) -> _Model:
    """Content as a model.

    Raises
    ------
    SettingsError
        It does not fit; the message names each place, what is expected there, and what was found.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems: dict[str, list[ErrorDetails]] = {}
        for one in error.errors(include_url=False):
            problems.setdefault(_place(one, content), []).append(one)
        words = "; ".join(f"{place}{': ' * bool(place)}{_words(found)}" for place, found in problems.items())
        raise SettingsError(f"{title}: {words}") from error


def nearest(found: object, known: Iterable[str]) -> str:
    """A question to append: the known name that looks most like what was found, if one does."""
    similar = difflib.get_close_matches(str(found), list(known), n=1)
    return f": did you mean `{similar[0]}`?" if similar else ""


def _folder() -> Traversable:
    # A work tree has them where people look for them; the wheel carries them inside the package.
    in_tree = Path(__file__).resolve().parents[3] / "cluster" / "profiles"
    return in_tree if in_tree.is_dir() else resources.files("cerebatch.batch").joinpath("profiles")


def _place(error: ErrorDetails, content: Any) -> str:
    """Path of a key, without what pydantic adds to it: the name of the alternative that it tried."""
    words, here = "", content
    for part in error["loc"]:
        if isinstance(here, dict) and isinstance(part, str) and (part in here or error["type"] == "missing"):
            words, here = f"{words}.{part}" if words else part, here.get(part)
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            words, here = f"{words}[{part}]", here[part]
    return f"`{words}`" if words else ""


def _words(errors: list[ErrorDetails]) -> str:
    for error in errors:
        if error["type"] in _OWN_WORDS:
            return error["msg"]
    if errors[0]["type"] == "missing":
        return "expected a value, found none"
    expected = " or ".join(error["msg"].removeprefix("Input should be ") for error in errors)
    expected = f"a number {expected}" if expected.startswith(("greater", "less")) else expected
    found = repr(errors[0]["input"])
    return f"expected {expected}, found {found if len(found) <= _LONGEST else found[:_LONGEST] + '...'}"


class _Loader(yaml.SafeLoader):
    """YAML keeps the last of two equal keys and forgets the first: a class of jobs would be gone without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen if isinstance(key, yaml.ScalarNode) else False:
                raise yaml.constructor.ConstructorError(None, None, f"the key `{key.value}` twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)
