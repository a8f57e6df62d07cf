"""Text from outside has one way in: no module parses or decodes it but those that limit it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "medrov_cli"

PARSERS = {
    "core/datasets/yaml_files.py",
    *(f"core/base/{name}.py" for name in ("csv_files", "documents", "text_files", "xml_documents")),
}
"""The modules that limit what they read."""

EXCEPTIONS = {
    "core/runs/identity.py": "json.loads of json.dumps: a record as it will be read again",
    "core/sending/ledger.py": "json.loads of our own lines",
    "core/writers/dicom/source_studies.py": "json.loads of our own lines, in a temporary file",
    "core/runs/journal.py": "json.loads of our own lines, whose texts may have any character",
    "core/training/run.py": "json.loads of json.dumps: a record as it will be read again",
    "core/engines/compiled_cache.py": "read_text of /proc/cpuinfo",
    "core/base/processor.py": "read_text of /proc/cpuinfo",
    "core/base/child_processes.py": "open of /proc/self",
    "core/base/memory_limits.py": "read_text of /proc and /sys",
    "core/engines/exported/trial.py": "json.loads of the answer of our own process",
    "core/engines/exported/trial_process.py": "json.load of the request of our own process",
    "core/pixels/decoder_process.py": "json.loads of the requests of our own process",
    "core/pixels/decoder_client.py": "json.loads of the answers of our own process",
    "commands/detection_views.py": "json.loads of our own lines",
    "core/benchmarking/meters.py": "read_text of /proc and /sys",
    "core/pixels/archives.py": "tarfile.open, which has a mode of its own",
}
"""Modules that parse text of our own or of the system, and which."""

MODULES = frozenset(
    {"configparser", "defusedxml", "lxml", "plistlib", "tomllib", "xml.dom", "xml.sax", "xml.parsers"}
)
NAMES = {
    "json": {"load", "loads", "JSONDecoder"},
    "csv": {"reader", "DictReader"},
    "xml.etree.ElementTree": {
        *("parse", "iterparse", "XML", "XMLID", "fromstring", "fromstringlist", "XMLParser", "XMLPullParser")
    },
    "yaml": {
        *("load", "safe_load", "load_all", "safe_load_all", "full_load", "unsafe_load", "parse", "scan"),
        *("compose", "SafeLoader", "CSafeLoader", "Loader"),
    },
}
"""What is not used elsewhere, by module."""


def uses(tree: ast.Module) -> Iterator[str]:
    """Yield the parsers and text readers that a module uses."""
    alias = dict(_imported(tree))
    for full in alias.values():
        module, _, name = full.rpartition(".")
        if full.startswith(tuple(MODULES)) or name in NAMES.get(module, ()):
            yield full
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = alias.get(node.value.id, "")
            if node.attr in NAMES.get(module, ()):
                yield f"{module}.{node.attr}"
        elif isinstance(node, ast.Call):
            yield from _text_reading(node)


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each imported name, and the full name of what it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.asname or name.name, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((name.asname or name.name, f"{node.module}.{name.name}") for name in node.names)


def _text_reading(call: ast.Call) -> Iterator[str]:
    """Yield a call that decodes a file: ``path.read_text()``, or ``open`` to read text."""
    function = call.func
    if isinstance(function, ast.Attribute) and function.attr == "read_text":
        yield "read_text"
    if isinstance(function, ast.Name) and function.id == "open":
        mode = call.args[1] if len(call.args) > 1 else None
    elif isinstance(function, ast.Attribute) and function.attr == "open":
        mode = call.args[0] if call.args else None
    else:
        return
    mode = next((keyword.value for keyword in call.keywords if keyword.arg == "mode"), mode)
    keywords = {keyword.arg for keyword in call.keywords}
    text = (
        mode.value if isinstance(mode, ast.Constant) else "r" if keywords & {"encoding", "newline"} else "b"
    )
    if isinstance(text, str) and "r" in text and "b" not in text:
        yield "open to read text"


def found(source: str) -> set[str]:
    return set(uses(ast.parse(source)))


def test_only_the_parsers_parse_text() -> None:
    using = {
        path.relative_to(SOURCE).as_posix(): found(path.read_text(encoding="utf-8"))
        for path in sorted(SOURCE.rglob("*.py"))
    }
    using = {place: names for place, names in using.items() if names and place not in PARSERS}
    assert {place: using[place] for place in using if place not in EXCEPTIONS} == {}
    assert set(EXCEPTIONS) == set(using), "an exception that is no longer needed"


def test_the_rule_finds_each_way() -> None:
    assert found("import json\njson.loads('1')") == {"json.loads"}
    assert found("from json import loads as read") == {"json.loads"}
    assert found("from xml.etree import ElementTree as ET\nET.fromstring(x)") == {
        "xml.etree.ElementTree.fromstring"
    }
    assert found("import csv\ncsv.DictReader(s)\ncsv.writer(s)") == {"csv.DictReader"}
    assert found("import yaml\nyaml.safe_load(s)\nyaml.safe_dump(s)") == {"yaml.safe_load"}
    assert found("import tomllib") == {"tomllib"}
    assert found("path.read_text(encoding='utf-8')") == {"read_text"}
    assert found("path.open(encoding='utf-8')") == {"open to read text"}
    assert found("open(path, 'r')") == {"open to read text"}
    assert (
        found("path.open('rb')\nopen(path, 'wb')\npath.open('w', encoding='utf-8')\njson.dumps(x)") == set()
    )
