"""Fuzz targets of the readers of annotations, datasets and lists."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import annotation_seeds as seeds
from annotation_seeds import Folder
from mutation import fix_png_checksums, mutate, mutate_gzip, mutate_text
from target import Target

_BINARY = (".png", ".dcm", ".nii")
_VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 2, 0.5, -0.0, 33, 2**31, 2**63, 10**40, 10**120, 1e308, -1e308, math.nan, math.inf),
    *(None, True, False, "", "1", "0.5", "NaN", "liver", "a.png", "../a.png", "/etc/passwd", "=1+1", "a\0b"),
    *("\ud800", "x" * 5000, "x/" * 3000, "http://[", "C:\\a.png", "con", ".", "\x1b[31m", "\u202e", "%00"),
    *([], {}, [[]], [None], {"a": 1}, [1, 2, 3], [1, 2, 3, 4], [0, 0, 0, 0], ["1", "2", "3", "4"], [[1, 2]]),
    *({"size": [32, 32], "counts": "0"}, {"size": [2**40, 2**40], "counts": [1]}, [[[[[[[[1]]]]]]]]),
)


def run_command(arguments: list[str], *names: str) -> str:
    """Run the command line in this process; return its exit code and the codes of its errors.

    The result begins with ``internal`` if the exit code is 1, an error is ``internal``, or the message of a
    failure names none of the files ``names``.
    """
    from medrov_cli import cli

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run(arguments)
    codes = ",".join(_codes(out.getvalue()))
    result = f"exit {code} {codes}".strip()
    if code == 1 or "internal" in codes:
        return f"internal: {result}: {err.getvalue()[:300]}"
    if code not in (0, 3) and not any(name in err.getvalue() for name in names):
        return f"internal: {result} names no file: {err.getvalue()[:300]}"
    return result


def _codes(text: str) -> list[str]:
    try:
        document = json.loads(text)
    except ValueError:
        return []
    errors = [document.get("error"), *(own.get("error") for own in document.get("failures", []))]
    return sorted({error["code"] for error in errors if error})


def _inputs(make: Callable[[Path], Folder]) -> Callable[[random.Random, Path], Iterator[dict[str, bytes]]]:
    """Return a source of folders in which one file is changed."""

    def inputs(rng: random.Random, scratch: Path) -> Iterator[dict[str, bytes]]:
        folder = make(scratch)
        while True:
            name = rng.choice(folder.changed)
            yield {**folder.files, name: _changed(name, folder.files[name], rng)}

    return inputs


def mutate_json(data: bytes, rng: random.Random) -> bytes:
    """Return a JSON text with other values, keys or lengths of lists, which is well formed."""
    document = json.loads(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        places = list(_places(document))
        if not places:
            break
        item, key = rng.choice(places)
        kind = rng.random()
        if kind < 0.8:
            item[key] = copy.deepcopy(rng.choice(_VALUES))  # which later changes must not share
        elif kind < 0.9:
            del item[key]
        elif isinstance(item, list):
            item[key:key] = copy.deepcopy([item[key]] * rng.choice((1, 2, 100)))
        else:
            item[rng.choice(("id", "x", "", "a\0", "type", "width", "segmentation"))] = copy.deepcopy(
                item[key]
            )
    return json.dumps(document).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each object or list below a value, with each of its keys or positions."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        for key in item if isinstance(item, dict) else range(len(item)):
            yield item, key
            if isinstance(item[key], dict | list):
                waiting.append(item[key])


def _changed(name: str, data: bytes, rng: random.Random) -> bytes:
    if name.endswith((".json", ".geojson")) and rng.random() < 0.7:
        return mutate_json(data, rng)
    if name.endswith(".gz"):
        return mutate_gzip(data, rng, (0, 352)) if rng.random() < 0.7 else mutate(data, rng)
    if name.endswith(_BINARY):
        made = mutate(data, rng, (), (0, 352) if name.endswith(".nii") else None)
        return fix_png_checksums(made) if made.startswith(b"\x89PNG") and rng.random() < 0.8 else made
    return mutate_text(data, rng) if rng.random() < 0.7 else mutate(data, rng)


def _convert(name: str, *options: str) -> Callable[[Path], str]:
    def read(path: Path) -> str:
        output = path.with_name("converted")
        shutil.rmtree(output, ignore_errors=True)
        given = [str(path / own) if own.endswith(".csv") else own for own in options]
        command = ["data", "convert", str(path), "--from", name, "--output", str(output)]
        about = ["--modality", "CT", "--licence", "x", "--workers", "1", "--json"]
        return run_command([*command, *about, *given], str(path), *_names(path), *_listed(path))

    return read


def _listed(path: Path) -> list[str]:
    """Return what the lists of images name, with any suffix, as messages show it: it may not exist."""
    names = []
    for own in path.glob("*.txt"):
        for line in own.read_text("utf-8", "ignore").replace("\0", "").split("\n"):
            shown = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in line.strip())
            names += [shown, shown.rpartition(".")[0]]
    return [name for name in names if name]


def _names(path: Path) -> list[str]:
    return [own.name for own in path.rglob("*") if own.is_file()]


def _load_dataset(path: Path) -> str:
    """Load a dataset, and read a class map for it."""
    from medrov_cli.core.base.errors import MedrovError
    from medrov_cli.core.curation.class_map import read_class_map
    from medrov_cli.core.datasets.dataset import load_dataset
    from medrov_cli.core.datasets.source_set import open_inputs

    try:
        load_dataset(path / "data.yaml")
        read_class_map(path / "map.yaml", open_inputs([path / "data.yaml"]).sources)
    except MedrovError as error:
        if not any(name in error.message for name in (str(path), *_names(path))):
            return f"internal: names no file: {error.message[:300]}"
        return error.code.value
    return "ok"


def _parse(path: Path) -> str:
    """Read a file with each parser, and as a list of classes and a preset."""
    from medrov_cli.core.base import csv_files, documents, text_files, xml_documents
    from medrov_cli.core.base.errors import MedrovError
    from medrov_cli.core.datasets.yaml_files import read_yaml
    from medrov_cli.core.settings.presets import read_preset
    from medrov_cli.core.text.prompts import read_classes_file

    done = 0
    for read in (
        documents.read_json,
        read_yaml,
        documents.read_toml,
        xml_documents.read_xml,
        csv_files.read_table,
    ):
        with contextlib.suppress(text_files.DocumentError):
            read(path)
            done += 1
    for read_setting in (read_classes_file, lambda own: read_preset(str(own), ("a", "b"))):
        with contextlib.suppress(MedrovError):
            read_setting(path)
            done += 1
    return f"{done} of 7"


def _texts(rng: random.Random, _: Path) -> Iterator[bytes]:
    """Yield texts of all kinds, changed and nested."""
    own = (
        b'{"a": [1, 2.5, "x", {"b": null}], "c": "\\u00e4"}',
        b"a: &x [1, 2]\nb: {c: *x, d: 'e'}\nf: |\n  text\n",
        b"a = 1\nb = [1.5, 'x']\n[c.d]\ne = 2020-01-01\n",
        b"<?xml version='1.0' encoding='utf-8'?><a b='1'><c>text</c><d/></a>",
        b'a,b,c\n1,2,3\n4,"5,6",7\n',
        b"lung nodule/nodule # comment\nliver\n",
    )
    marks = (b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
    while True:
        data = rng.choice(own)
        for _ in range(rng.choice((1, 1, 2))):
            data = mutate_text(data, rng) if rng.random() < 0.5 else mutate(data, rng, own)
        if rng.random() < 0.1:
            unit = rng.choice((b"[", b'{"a":', b"<a>", b"- ", b"a.", b"{a: ", b"&a ", b"? ", b"!!map "))
            data = unit * rng.choice((10, 60, 70, 1000, 50_000)) + data
        yield rng.choice(marks) + data if rng.random() < 0.1 else data


CONVERT_OPTIONS = {
    "masks": ("--labels", "1=liver"),
    "dicom-csv": ("--csv", "boxes.csv"),
    "geojson": ("--tile", "64"),
}
CONVERTED: tuple[tuple[str, str, Callable[[Path], Folder]], ...] = (
    ("coco", "coco", seeds.coco),
    ("yolo", "yolo", seeds.yolo),
    ("darknet", "yolo", seeds.darknet),
    ("voc", "voc", seeds.voc),
    ("cvat", "cvat", seeds.cvat),
    ("label-studio", "label-studio", seeds.label_studio),
    ("labelme", "labelme", seeds.labelme),
    ("geojson", "geojson", seeds.geojson),
    ("masks", "masks", seeds.masks),
    ("nifti-pairs", "nifti", seeds.nifti),
    ("dicom-seg", "dicom-seg", seeds.dicom_seg),
    ("rtstruct", "rtstruct", seeds.rtstruct),
    ("dicom-csv", "dicom-csv", seeds.dicom_csv),
    ("vindr-csv", "dicom-csv", seeds.vindr_csv),
)
"""Name of a target, format of ``data convert``, and its seed."""

TEXT_TARGETS = (
    Target("text", _texts, _parse),
    Target("dataset", _inputs(seeds.dataset), _load_dataset),
    *(
        Target(name, _inputs(make), _convert(kind, *CONVERT_OPTIONS.get(kind, ())), short_inputs=20)
        for name, kind, make in CONVERTED
    ),
)
