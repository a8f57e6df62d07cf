"""Import directions between packages, places that print or exit, sizes, names, declared dependencies."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer

from medrov_cli.core.base.plugins import Entry, load

SOURCE = Path(__file__).parents[1] / "src"
PACKAGE = "medrov_cli"

CORE = f"{PACKAGE}.core"
TESTS = Path(__file__).parent
SIGNATURE = f"{PACKAGE}.commands.signature"
"""What the commands share."""
COMPLETION = f"{PACKAGE}.commands.completion"
"""Completion of option values by a shell, below the signature."""
VIEWS = f"{PACKAGE}.commands.detection_views"
"""Views of ``commands/detect.py``, without a command."""
ERRORS = f"{CORE}.base.errors"

RANKS = (
    ("base",),
    ("settings",),
    ("records",),
    ("pixels", "weights", "text", "metrics", "runs", "findings", "cluster"),
    ("model", "engines", "datasets", "phantoms"),
    ("prediction", "reports"),
    ("writers",),
    (
        "detection",
        "evaluation",
        "pseudolabeling",
        "training",
        "exporting",
        "benchmarking",
        "curation",
        "doctor",
        "learning",
        "provisioning",
        "preparation",
        "sending",
    ),
)
"""Packages below ``core``, from the lowest rank: a module imports its own package and lower ranks."""

PLUG_INS = {
    "engines": "OPENER",
    "pixels": "READER",
    "writers": "WRITER",
    "datasets.readers": "READER",
    "datasets.writers": "WRITER",
}
"""Folders of plug-ins, and the name of the instance that each implementation ends with."""

SHARED_FILE_NAMES = {"__init__.py", "run.py", "registry.py", "protocol.py"}
"""Names of files that several packages may have: entry of a procedure, and the parts of a plug-in folder."""

MAX_FILE_LINES = 275
"""250, and a tenth more."""
MAX_FUNCTION_LINES = 70
LONGER_FILES: dict[str, str] = {}
"""Files that may be longer, and why."""
LONGER_FUNCTIONS: dict[str, str] = {}
"""Functions that may be longer, and why."""
MAX_COMMAND_LINES = 30


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
    """Return the rank of a module and the package that it belongs to."""
    parts = name.split(".")[1:]
    if name == CORE or (name.startswith(CORE) and parts[-1] == "registry"):
        return 0, "base"
    if name.startswith(CORE):
        return next(number for number, packages in enumerate(RANKS) if parts[1] in packages), parts[1]
    if parts and (parts[0] == "console" or name == COMPLETION):
        return len(RANKS), "completion" if name == COMPLETION else "terminal"
    if name in (SIGNATURE, VIEWS):
        return len(RANKS) + 1, name
    if parts and parts[0] == "commands":
        return len(RANKS) + 2, name
    return len(RANKS) + 3, "command line"


def may_import(importer: str, imported: str) -> bool:
    (above, package), (below, other) = rank(importer), rank(imported)
    return package == other if above == below else above > below


def targets(module: Module) -> Iterator[Import]:
    """Yield the imports of a module within the project, with the implementations that it loads by text."""
    own = [found for found in module.imports if found.target in modules()]
    yield from own
    if not any(found.target == f"{CORE}.base.plugins" for found in own):
        return
    for found in own:
        if found.target.endswith(".registry") and not module.name.endswith(".registry"):
            for entry in entries(found.target):
                yield Import(entry.module, found.line, at_module_level=False, for_types_only=False)


def entries(registry: str) -> list[Entry]:
    """Return the rows of a registry."""
    rows = [value for value in vars(importlib.import_module(registry)).values() if isinstance(value, tuple)]
    return [entry for row in rows for entry in row if isinstance(entry, Entry)]


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("medrov_cli.cli", "medrov_cli.commands.detect", True),
        ("medrov_cli.commands.detect", "medrov_cli.core.detection.run", True),
        ("medrov_cli.commands.detect", "medrov_cli.commands.train", False),
        ("medrov_cli.commands.detect", "medrov_cli.commands.signature", True),
        ("medrov_cli.commands.signature", "medrov_cli.commands.detect", False),
        ("medrov_cli.commands.detect", "medrov_cli.commands.detection_views", True),
        ("medrov_cli.commands.signature", "medrov_cli.core.settings.field", True),
        ("medrov_cli.commands.detect", "medrov_cli.cli", False),
        ("medrov_cli.core.base.errors", "medrov_cli", False),
        ("medrov_cli.core.detection.run", "medrov_cli.console", False),
        ("medrov_cli.core.detection.run", "medrov_cli.core.pixels.read", True),
        ("medrov_cli.core.detection.run", "medrov_cli.core.evaluation.run", False),
        ("medrov_cli.core.prediction.predictor", "medrov_cli.core.writers.sink", False),
        ("medrov_cli.core.datasets.sources", "medrov_cli.core.pixels.read", True),
        ("medrov_cli.core.pixels.read", "medrov_cli.core.datasets.sources", False),
        ("medrov_cli.core.model.network", "medrov_cli.core.engines.interface", False),
        ("medrov_cli.core.settings.detect", "medrov_cli.core.engines.registry", True),
        ("medrov_cli.core.settings.detect", "medrov_cli.core.records.frame", False),
        ("medrov_cli.core.engines.registry", "medrov_cli.core.base.plugins", True),
        ("medrov_cli.core.engines.registry", "medrov_cli.core.settings.choices", False),
    ],
)
def test_the_rule_is_the_one_of_the_architecture(importer: str, imported: str, allowed: bool) -> None:
    assert may_import(importer, imported) is allowed


def test_every_package_has_a_rank() -> None:
    packages = {name.split(".")[2] for name in modules() if name.startswith(f"{CORE}.")}
    assert packages == {package for packages in RANKS for package in packages}


def test_imports_go_down_only() -> None:
    assert len(modules()) > 20
    wrong = [
        f"{module.place}:{found.line} imports {found.target}"
        for module in modules().values()
        for found in targets(module)
        if not may_import(module.name, found.target)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_goes_round_in_a_circle() -> None:
    """Lazy imports and the rows of registries count; imports for types alone do not."""
    edges = {
        name: {i.target for i in targets(module) if not i.for_types_only and i.target != name}
        for name, module in modules().items()
    }
    while leaves := {name for name, imported in edges.items() if not imported}:
        edges = {name: imported - leaves for name, imported in edges.items() if name not in leaves}
    assert not edges


def test_every_row_of_a_registry_loads() -> None:
    rows = [(name, entry) for name in modules() if name.endswith(".registry") for entry in entries(name)]
    assert rows
    for registry, entry in rows:
        assert entry.module.startswith(registry.removesuffix(".registry"))
        load(entry)


@pytest.mark.parametrize(("folder", "instance"), PLUG_INS.items())
def test_every_implementation_of_a_plug_in_folder_has_one_row(folder: str, instance: str) -> None:
    """An implementation is a module that assigns the instance which the rows name."""
    package = f"{CORE}.{folder}"
    written = [
        name
        for name, module in modules().items()
        if name.startswith(f"{package}.") and instance in assigned(tree(module.path))
    ]
    rows = entries(f"{package}.registry")
    assert [entry.attribute for entry in rows] == [instance] * len(rows)
    assert sorted(entry.module for entry in rows) == sorted(written)
    assert len({entry.name for entry in rows}) == len(rows)


def assigned(module: ast.Module) -> set[str]:
    """Return the names that a module assigns at its top level."""
    plain = [target for node in module.body if isinstance(node, ast.Assign) for target in node.targets]
    typed = [node.target for node in module.body if isinstance(node, ast.AnnAssign)]
    return {target.id for target in plain + typed if isinstance(target, ast.Name)}


def test_fields_of_coco_are_named_in_its_codec_alone() -> None:
    codec = {f"{CORE}.datasets.coco{part}" for part in ("", "_records", "_result")}
    wrong = [
        f"{module.place}:{node.lineno} names {node.value!r}"
        for name, module in modules().items()
        for node in ast.walk(tree(module.path))
        if isinstance(node, ast.Constant) and node.value in ("iscrowd", "category_id")
        if name not in codec
    ]
    assert not wrong, "\n".join(wrong)


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
                exits
                and module.name
                not in (f"{PACKAGE}.cli", f"{PACKAGE}.__main__", f"{PACKAGE}.core.base.termination")
            ):
                wrong.append(f"{module.place}:{node.lineno} calls {called}")
    assert not wrong, "\n".join(wrong)


def test_only_prediction_maps_boxes_to_source_pixels() -> None:
    wrong = [
        f"{module.place}:{node.lineno}"
        for module in modules().values()
        for node in ast.walk(tree(module.path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "to_source"
        and not module.name.startswith(f"{CORE}.prediction.")
    ]
    assert not wrong


def test_what_is_imported_before_a_command_runs_is_light() -> None:
    """``cli``, ``console`` and ``commands`` import at once base, settings, typer, rich and one another."""
    light = {"typer", "rich"} | sys.stdlib_module_names
    base = {
        f"{CORE}.base.{name}"
        for name in (
            "constants",
            "environment",
            "errors",
            "fast_imports",
            "progress",
            "termination",
            "versions",
        )
    }
    front = {name: module for name, module in modules().items() if rank(name)[0] >= len(RANKS)}
    assert front
    wrong = [
        f"{module.place}:{found.line} imports {found.target}"
        for module in front.values()
        for found in module.imports
        if found.at_module_level and not found.for_types_only
        if found.target.split(".")[0] not in light
        and found.target not in base | front.keys()
        and not found.target.startswith(f"{CORE}.settings.")
    ]
    assert not wrong, "\n".join(wrong)


def test_settings_import_the_standard_library_alone() -> None:
    """Besides base, settings and registries; so a command's options cost no start-up time."""
    wrong = [
        f"{module.place}:{found.line} imports {found.target}"
        for name, module in modules().items()
        if name.startswith((f"{CORE}.settings.", f"{CORE}.base."))
        for found in module.imports
        if found.target.split(".")[0] not in sys.stdlib_module_names
        and not found.target.startswith((f"{CORE}.base.", f"{CORE}.settings."))
        and not found.target.endswith(".registry")
    ]
    assert not wrong, "\n".join(wrong)


def commands() -> dict[str, Any]:
    """Return the public functions of ``commands/*.py`` that are commands, by their full name."""
    found = {}
    for name, module in modules().items():
        if name.startswith(f"{PACKAGE}.commands.") and name not in (SIGNATURE, COMPLETION):
            for node in tree(module.path).body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                    found[f"{name}.{node.name}"] = getattr(importlib.import_module(name), node.name)
    return found


def test_a_command_takes_one_settings_object() -> None:
    """A public function of ``commands`` has no parameter for an option, and no default of one."""
    assert len(commands()) >= 20
    for name, function in commands().items():
        hints = get_type_hints(function)
        assert hints.pop("return") is type(None), name
        kinds = [kind for kind in hints.values() if kind is not typer.Context]
        assert len(kinds) == 1, f"{name} takes {hints}"
        assert kinds[0].__module__.startswith(f"{CORE}.settings."), name
        assert function.__defaults__ is None, name
        assert function.__kwdefaults__ is None, name
        body = [line for line in inspect.getsource(function).splitlines() if line.strip()]
        documented = len((function.__doc__ or "").strip().splitlines())
        assert len(body) - documented <= MAX_COMMAND_LINES, f"{name} has {len(body)} lines"


def test_options_are_refused_in_one_place() -> None:
    """The code of a usage error, and the sentence of a contradiction, stand in base/errors.py alone."""
    wrong = []
    for name, module in modules().items():
        if name == ERRORS:
            continue
        for node in ast.walk(tree(module.path)):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called == "MedrovError" and node.args and ast.unparse(node.args[0]) == "ErrorCode.USAGE":
                wrong.append(f"{module.place}:{node.lineno} makes a usage error")
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text and "contradict each other" in node.value:
                wrong.append(f"{module.place}:{node.lineno} writes the sentence of a contradiction")
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


def test_no_file_is_named_after_nothing() -> None:
    unspecific = {"utils", "util", "helpers", "misc", "common"}
    assert not [name for name in modules() if name.rsplit(".", 1)[-1] in unspecific]


def is_plug_in(module: Module) -> bool:
    """Return whether a module is an implementation in a folder of plug-ins."""
    folder, _, _ = module.name.removeprefix(f"{CORE}.").rpartition(".")
    return PLUG_INS.get(folder) in assigned(tree(module.path))


def package_of(module: Module) -> str:
    """Return the package of a module: ``commands`` or a folder directly below ``core``."""
    parts = module.name.removeprefix(f"{CORE}.").removeprefix(f"{PACKAGE}.").split(".")
    return parts[0] if len(parts) > 1 else ""


def test_no_two_public_classes_have_one_name() -> None:
    """Implementations in folders of plug-ins are exempt."""
    places: dict[str, list[str]] = {}
    for module in modules().values():
        if is_plug_in(module):
            continue
        for node in tree(module.path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module.place)
    assert len(places) > 100
    assert not {name: files for name, files in places.items() if len(files) > 1}


def test_no_file_name_is_in_several_packages() -> None:
    """Exempt are plug-ins, and a command's file beside the file of its settings."""
    places: dict[str, set[str]] = {}
    for module in modules().values():
        if module.path.name not in SHARED_FILE_NAMES and not is_plug_in(module):
            places.setdefault(module.path.name, set()).add(package_of(module))
    several = {name: packages for name, packages in places.items() if len(packages) > 1}
    assert not {name: packages for name, packages in several.items() if packages != {"commands", "settings"}}


def test_no_public_name_is_a_bare_word() -> None:
    """A name of a function, method, property, class or field says what it stands for."""
    bare = {"of", "look", "take", "passed", "finished", "above", "own", "found", "known", "such"}
    wrong = [
        f"{module.place}:{node.lineno} defines {name}"
        for module in modules().values()
        for node in ast.walk(tree(module.path))
        for name in defined(node)
        if name in bare
    ]
    assert not wrong, "\n".join(wrong)


def defined(node: ast.AST) -> list[str]:
    """Return the names that a definition gives to itself and, for a class, to its fields."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.ClassDef):
        fields = [child.target for child in node.body if isinstance(child, ast.AnnAssign)]
        return [node.name, *(field.id for field in fields if isinstance(field, ast.Name))]
    return []


def test_the_init_of_a_package_is_a_docstring_alone() -> None:
    packages = {
        name: module
        for name, module in modules().items()
        if module.path.name == "__init__.py" and name != PACKAGE
    }
    assert len(packages) > 20
    for name, module in packages.items():
        body = tree(module.path).body
        assert len(body) == 1, name
        assert ast.get_docstring(tree(module.path)), name


def test_unit_tests_have_the_folders_of_the_core() -> None:
    core = SOURCE / PACKAGE / "core"
    unit = TESTS / "unit"
    folders = {path.parent.relative_to(unit) for path in unit.rglob("test_*.py")}
    assert folders
    assert not [folder for folder in folders if not (core / folder).is_dir() or folder == Path()]


def test_every_imported_package_is_a_declared_dependency() -> None:
    """``pip install medrov`` installs every package that is imported."""
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
