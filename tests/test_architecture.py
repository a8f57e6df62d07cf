"""The rooms of the house: who may import whom, who may print, and how big a file gets."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
PACKAGE = "medrov_cli"

FOUNDATION = ("config", "errors")
RECORDS = ("files", "plugins", "records", "boxes", "weights")
ROOMS = ("model", "runtime", "text", "data", "io", "metrics")
ROOM_TO_ROOM = {("data", "io")}
TERMINAL = ("console", "options")

MAX_FILE_LINES = 275
"""About 250: a tenth more is a file that wants to be two."""
MAX_FUNCTION_LINES = 70
LONGER_FILES: dict[str, str] = {}
"""Files that may be longer, and why."""
LONGER_FUNCTIONS = {
    "medrov_cli.commands.train.train": "one parameter an option",
    "medrov_cli.commands.detect.detect": "one parameter an option",
    "medrov_cli.commands.evaluate.evaluate": "one parameter an option",
    "medrov_cli.commands.pseudolabel.pseudolabel": "one parameter an option",
}


@dataclass(frozen=True)
class Import:
    """One import statement's target, as a full module name."""

    target: str
    line: int
    at_module_level: bool
    for_types_only: bool


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str
    path: Path
    imports: tuple[Import, ...]

    @property
    def place(self) -> str:
        return str(self.path.relative_to(SOURCE))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def modules() -> dict[str, Module]:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ())
    return {
        name: Module(name, module.path, tuple(imports_of(module.path, found)))
        for name, module in found.items()
    }


def imports_of(path: Path, known: dict[str, Module]) -> Iterator[Import]:
    def walk(node: ast.AST, at_module_level: bool, for_types_only: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_module_level, for_types_only)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                target = whole if whole in known else str(node.module)
                yield Import(target, node.lineno, at_module_level, for_types_only)
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for field, value in ast.iter_fields(node):
            types_only = for_types_only or (is_type_checking(node) and field == "body")
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from walk(child, at_module_level and not is_function, types_only)

    yield from walk(tree(path), at_module_level=True, for_types_only=False)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def rank(name: str) -> tuple[int, str]:
    """Return how high a module stands, and the room it belongs to."""
    parts = name.split(".")[1:]
    if not parts:
        return 0, "package"
    if parts[0] == "core":
        room = parts[1] if len(parts) > 1 else "core"
        if room in (*FOUNDATION, "core"):
            return 0, "foundation"
        if room in RECORDS:
            return 1, "records"
        if room in ROOMS:
            return 2, room
        return 3, "procedures"
    if parts[0] in TERMINAL:
        return 4, "terminal"
    if parts[0] == "commands":
        return 5, name
    return 6, "command line"


def may_import(importer: str, imported: str) -> bool:
    (above, room), (below, other) = rank(importer), rank(imported)
    if above == below:
        return room == other or (room, other) in ROOM_TO_ROOM
    if room == "terminal":
        return other in ("foundation", "package")
    return above > below


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("medrov_cli.cli", "medrov_cli.commands.detect", True),
        ("medrov_cli.commands.detect", "medrov_cli.core.inference", True),
        ("medrov_cli.commands.detect", "medrov_cli.commands.train", False),
        ("medrov_cli.commands.detect", "medrov_cli.cli", False),
        ("medrov_cli.console", "medrov_cli.core.io.reader", False),
        ("medrov_cli.core.inference", "medrov_cli.core.io.reader", True),
        ("medrov_cli.core.inference", "medrov_cli.console", False),
        ("medrov_cli.core.data.store", "medrov_cli.core.io.reader", True),
        ("medrov_cli.core.io.reader", "medrov_cli.core.data.store", False),
        ("medrov_cli.core.model.network", "medrov_cli.core.text.encoders", False),
        ("medrov_cli.core.model.network", "medrov_cli.core.inference", False),
        ("medrov_cli.core.records", "medrov_cli.core.model.network", False),
        ("medrov_cli.core.errors", "medrov_cli.core.records", False),
    ],
)
def test_the_rule_is_the_one_of_the_architecture(importer: str, imported: str, allowed: bool) -> None:
    assert may_import(importer, imported) is allowed


def test_imports_go_down_only() -> None:
    assert len(modules()) > 20
    wrong = [
        f"{module.place}:{found.line} imports {found.target}"
        for module in modules().values()
        for found in module.imports
        if found.target.split(".")[0] == PACKAGE and not may_import(module.name, found.target)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_goes_round_in_a_circle() -> None:
    edges = {
        name: {
            i.target
            for i in module.imports
            if i.at_module_level and not i.for_types_only and i.target in modules() and i.target != name
        }
        for name, module in modules().items()
    }
    # A package's door may name its own files; that is no circle.
    edges = {
        name: {target for target in targets if not target.startswith(f"{name}.")}
        for name, targets in edges.items()
    }
    while leaves := {name for name, targets in edges.items() if not targets}:
        edges = {name: targets - leaves for name, targets in edges.items() if name not in leaves}
    assert not edges


def test_core_knows_no_terminal() -> None:
    wrong = [
        f"{module.place}:{found.line} imports {found.target}"
        for name, module in modules().items()
        for found in module.imports
        if name.startswith(f"{PACKAGE}.core") and found.target.split(".")[0] in ("typer", "rich", "click")
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_console_prints_and_only_the_command_line_exits() -> None:
    wrong = []
    for module in modules().values():
        for node in ast.walk(tree(module.path)):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            prints = called in ("print", "sys.stdout.write", "sys.stderr.write")
            exits = called in ("sys.exit", "exit", "quit", "os._exit")
            if (prints and module.name != f"{PACKAGE}.console") or (
                exits and module.name != f"{PACKAGE}.cli"
            ):
                wrong.append(f"{module.place}:{node.lineno} calls {called}")
    assert not wrong, "\n".join(wrong)


def test_what_is_imported_before_a_command_runs_is_light() -> None:
    light = {"typer", "rich", "medrov_cli"} | sys.stdlib_module_names
    ours = {f"{PACKAGE}{name}" for name in ("", ".console", ".core.errors", ".core.config")}
    ours |= {name for name in modules() if name.startswith((f"{PACKAGE}.commands", f"{PACKAGE}.options"))}
    front = [m for name, m in modules().items() if rank(name)[0] >= 4]
    assert front
    wrong = [
        f"{module.place}:{found.line} imports {found.target}"
        for module in front
        for found in module.imports
        if found.at_module_level and not found.for_types_only
        if found.target.split(".")[0] not in light
        or (found.target.startswith(PACKAGE) and found.target not in ours | {f"{PACKAGE}.cli"})
    ]
    assert not wrong, "\n".join(wrong)


def test_files_are_short() -> None:
    long = {
        module.place: lines
        for module in modules().values()
        if (lines := len(module.path.read_text(encoding="utf-8").splitlines())) > MAX_FILE_LINES
    }
    assert long.keys() == LONGER_FILES.keys(), f"longer than {MAX_FILE_LINES} lines: {long}"


def test_functions_are_short() -> None:
    long = {}
    for module in modules().values():
        for node in ast.walk(tree(module.path)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            documented = ast.get_docstring(node) is not None
            docstring = node.body[0] if documented else None
            lines = 1 + (node.end_lineno or 0) - node.lineno
            if docstring is not None:
                lines -= 1 + (docstring.end_lineno or 0) - docstring.lineno
            if lines > MAX_FUNCTION_LINES:
                long[f"{module.name}.{node.name}"] = lines
    assert long.keys() <= LONGER_FUNCTIONS.keys(), f"longer than {MAX_FUNCTION_LINES} lines: {long}"


def test_no_file_is_a_junk_room() -> None:
    junk = {"utils", "util", "helpers", "misc", "common"}
    assert not [name for name in modules() if name.rsplit(".", 1)[-1] in junk]


def test_every_imported_package_is_a_declared_dependency() -> None:
    """``pip install medrov`` must bring everything: nothing may rest on a dependency's dependency."""
    project = tomllib.loads((SOURCE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {canonical(re.match(r"[\w.-]+", line)[0]) for line in project["dependencies"]}
    providers = importlib.metadata.packages_distributions()
    undeclared = {
        f"{module.place}:{found.line} imports {found.target}"
        for module in modules().values()
        for found in module.imports
        if (root := found.target.split(".")[0]) not in sys.stdlib_module_names | {PACKAGE}
        and not {canonical(name) for name in providers.get(root, ())} & declared
    }
    assert not undeclared, "\n".join(sorted(undeclared))


def canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
