"""The typer signature of a settings class: parameters, their order, and settings from given values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from medrov_cli.commands.signature import make_settings, parameters, with_options
from medrov_cli.core.base.errors import MedrovError, usage_error
from medrov_cli.core.settings.field import argument, group, option


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def parse_pair(text: str) -> tuple[int, int]:
    try:
        low, high = map(int, text.split("-"))
    except ValueError as error:
        raise usage_error(f"--pair {text!r}", "Write 1-2.") from error
    return low, high


@dataclass(frozen=True)
class Paint:
    colour: Colour = option("--colour", "-c", default=Colour.RED, help="Colour of the paint.")
    coats: int | None = option("--coats", default=None, low=1, high=9, help="Number of coats.")
    glossy: bool = option("--glossy/--matt", default=False, help="Finish.")
    thinner: float = 0.1


@dataclass(frozen=True)
class Wall:
    path: Path = argument(metavar="WALL", help="The wall.")
    paint: Paint = group(Paint(coats=2), omit=("glossy",), help={"colour": "Colour of the wall."})
    pair: tuple[int, int] = option("--pair", given_default="1-2", parse=parse_pair, help="Two numbers.")
    names: tuple[str, ...] = option("--name", default=(), before="--coats", help="Names.")
    mode: str = option("--from", default="top", choices=("top", "bottom"), help="Where to begin.")
    side: Literal["left", "right"] = option("--side", default="left", help="Side.")
    note: str | None = option("--note", default=None, help="Text.")
    tools: tuple[str, ...] = option("--tool", default=("brush",), shows_default=False, help="Tools.")


def run(*arguments: str) -> tuple[int, Any, str]:
    """Run a command that takes the settings; return exit code, settings and output."""
    seen: list[Wall] = []

    def paint(context: typer.Context, settings: Wall) -> None:
        """Paint a wall."""
        assert context.command.name == "paint"
        seen.append(settings)

    app = typer.Typer()
    app.command("paint")(with_options(paint))
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, seen[0] if seen else None, done.output


def test_parameters_are_flat_and_in_the_order_of_help() -> None:
    found = parameters(Wall)
    names = ["path", "colour", "name", "coats", "pair", "from_", "side", "note", "tool"]
    assert [item.name for item in found] == names
    assert [item.field_name for item in found][2:6] == ["names", "coats", "pair", "mode"]
    assert found[1].spec.help == "Colour of the wall."
    given = {item.name: item.given_default for item in found[1:]}
    assert given["colour"] == "red"
    assert (given["coats"], given["pair"], given["name"], given["tool"]) == (2, "1-2", None, None)


def test_without_options_the_settings_have_the_defaults_of_their_fields() -> None:
    code, settings, output = run("wall.txt")
    assert code == 0, output
    assert settings == Wall(Path("wall.txt"))
    assert settings.paint == Paint(coats=2)


def test_options_reach_fields_and_groups() -> None:
    options = (
        "-c",
        "blue",
        "--coats",
        "3",
        "--pair",
        "4-7",
        "--name",
        "a",
        "--name",
        "b",
        "--from",
        "bottom",
    )
    code, settings, output = run("w", *options, "--side", "right", "--tool", "roller")
    assert code == 0, output
    assert settings == Wall(
        Path("w"), Paint(Colour.BLUE, 3), (4, 7), ("a", "b"), "bottom", "right", None, ("roller",)
    )
    assert settings.paint.colour is Colour.BLUE


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "WALL"),
        (("w", "--coats", "10"), "--coats"),
        (("w", "--colour", "green"), "--colour"),
        (("w", "--from", "left"), "--from"),
        (("w", "--glossy"), "--glossy"),
    ],
)
def test_what_the_fields_do_not_allow_is_a_usage_error(arguments: tuple[str, ...], named: str) -> None:
    code, settings, output = run(*arguments)
    assert (code, settings) == (2, None)
    assert named in output


def test_an_error_of_a_parser_passes_through() -> None:
    with pytest.raises(MedrovError, match="--pair 'x'"):
        make_settings(
            Wall, {item.name: item.given_default for item in parameters(Wall)} | {"path": "w", "pair": "x"}
        )


def test_help_comes_from_the_fields() -> None:
    code, _, output = run("--help")
    assert code == 0
    for words in (
        "Paint a wall.",
        "The wall.",
        "Colour of the wall.",
        "1<=x<=9",
        "default: 1-2",
        "default: 2",
    ):
        assert words in output, words
    assert "--glossy" not in output


def test_two_options_of_one_name_are_refused() -> None:
    @dataclass(frozen=True)
    class Twice:
        first: int = option("--size", default=1)
        second: int = option("--size", default=2)

    with pytest.raises(TypeError, match="two options with one name"):
        parameters(Twice)
