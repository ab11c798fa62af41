"""`cerebatch augment`: three arguments make a set, a name of the group is a command."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from cerebatch.cli.main import app
from cerebatch.errors import LibraryError

RUN = CliRunner()


def test_without_a_command_a_set_is_made() -> None:
    result = RUN.invoke(app, ["augment", "NOWHERE", "TARGETS", "OUT.zarr"])
    assert isinstance(result.exception, LibraryError)
    assert "NOWHERE: expected a library of labelled cases" in str(result.exception)


def test_options_may_come_first() -> None:
    result = RUN.invoke(app, ["augment", "--seed", "3", "NOWHERE", "TARGETS", "OUT.zarr"])
    assert isinstance(result.exception, LibraryError)


@pytest.mark.parametrize("command", ["verify", "export", "atlas", "make"])
def test_a_name_of_the_group_is_a_command(command: str) -> None:
    result = RUN.invoke(app, ["augment", command, "--help"])
    assert result.exit_code == 0
    assert f"augment {command}" in result.output


def test_the_help_of_the_group_tells_of_all() -> None:
    result = RUN.invoke(app, ["augment", "--help"])
    assert result.exit_code == 0
    for word in ("LIBRARY TARGETS", "atlas", "verify", "export"):
        assert word in result.output
