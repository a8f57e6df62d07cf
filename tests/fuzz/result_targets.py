"""Fuzz targets of files that medrov wrote and reads again: decisions, reports, predictions, classes."""

from __future__ import annotations

import json
import random
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

from mutation import LARGE_NUMBERS, NUMBERS, mutate, mutate_text
from target import Target
from text_targets import mutate_json, run_command

_QUICK = ("--device", "cpu", "--imgsz", "64")
_FEW = ("--bootstrap", "2")


def _changed_json(data: bytes, rng: random.Random) -> bytes:
    kind = rng.random()
    return mutate_json(data, rng) if kind < 0.7 else (mutate_text if kind < 0.9 else mutate)(data, rng)


def _require(result: str, what: str) -> None:
    if not result.startswith("exit 0"):
        raise RuntimeError(f"{what}: {result}")


def decisions_for(rng: random.Random, scratch: Path) -> Iterator[dict[str, bytes]]:
    """Yield decisions on labels of a tiny detector, which are in ``scratch/reviewed``."""
    from detect_fixtures import write_eager_detector
    from medrov_cli.core.datasets.labelled_folder import LabelledFolder
    from medrov_cli.core.pseudolabeling.decisions import DECISIONS_SCHEMA
    from training_data import make_source

    shutil.rmtree(scratch / "reviewed", ignore_errors=True)
    work = scratch / "to review"
    shutil.rmtree(work, ignore_errors=True)
    for name, kind, classes in (
        ("smear", "microscopy", ["red blood cell"]),
        ("section", "histopathology", ["lung nodule"]),
    ):
        make_source(work, name, kind, classes)
    (work / "open.yaml").write_text("sources: [smear, section]\npresence: presence.csv\n")
    (work / "presence.csv").write_text("dataset,red blood cell,lung nodule\nsmear,1,0\nsection,0,1\n")
    weights = write_eager_detector(work / "eager.safetensors")
    command = ["pseudolabel", str(work / "open.yaml"), "-w", str(weights), *_QUICK, "--score", "0.3"]
    _require(run_command([*command, "-o", str(scratch / "reviewed")]), "pseudolabel")
    folder = LabelledFolder.open(scratch / "reviewed")
    entries = []
    for source in folder.dataset.sources:
        labels = [
            own.fields.get("id") for own in folder.document(source).annotations if own.fields.get("score")
        ]
        kinds = ("accept", "reject", "relabel")
        entries += [
            {"source": source.name, "id": own, "decision": kind}
            | (
                {"class": "lung nodule" if source.name == "smear" else "red blood cell"}
                if kind == "relabel"
                else {}
            )
            for own, kind in zip(labels[:3], kinds, strict=False)
        ]
    document = {"schema": DECISIONS_SCHEMA, "labels": folder.sha256, "decisions": entries}
    data = json.dumps(document).encode()
    yield {"decisions.json": data}
    while True:
        yield {"decisions.json": _changed_json(data, rng)}


def _apply(path: Path) -> str:
    output = path.with_name("applied")
    shutil.rmtree(output, ignore_errors=True)
    command = ["pseudolabel", "apply", str(path / "decisions.json"), "--labels"]
    return run_command(
        [*command, str(path.with_name("reviewed")), "-o", str(output), "--json"], "decisions.json"
    )


def _reports(rng: random.Random, scratch: Path) -> Iterator[dict[str, bytes]]:
    """Yield reports and predictions for ``--compare`` and ``--predictions``."""
    from source_folders import Picture, write_source

    work = scratch / "evaluated"
    shutil.rmtree(work, ignore_errors=True)
    classes = ["polyp", "lung nodule"]
    boxes = [[(classes[n % 2], 5.0 + n, 4.0, 20.0, 30.0)] for n in range(4)]
    write_source(work / "noise", [Picture("val", own, case=f"c{n}") for n, own in enumerate(boxes)], classes)
    data = work / "data.yaml"
    data.write_text("sources: [noise]\n")
    options = ["eval", str(data), "--split", "val"]
    _require(run_command([*options, "--export-truth", str(work / "truth.json")]), "eval --export-truth")
    document = json.loads((work / "truth.json").read_bytes())
    for annotation in document["annotations"]:
        annotation["score"] = 0.9
    (work / "found.json").write_text(json.dumps(document))
    found = ["--predictions", str(work / "found.json")]
    _require(run_command([*options, *found, *_FEW, "-o", str(work / "out")]), "eval --predictions")
    names = ("report.json", "predictions.json")
    files = {name: (work / "out" / name).read_bytes() for name in names}
    yield files
    while True:
        name = rng.choice(names)
        yield {**files, name: _changed_json(files[name], rng)}


def _compare(path: Path) -> str:
    work = path.with_name("evaluated")
    options = ["eval", str(work / "data.yaml"), "--split", "val", *_FEW, "--json"]
    options += ["--predictions", str(path / "predictions.json"), "--compare", str(path / "report.json")]
    return run_command(options, "report.json", "predictions.json")


def _learned_files(rng: random.Random, scratch: Path) -> Iterator[dict[str, bytes]]:
    """Yield files of learned classes with changed headers, whose lengths are mostly right."""
    from detect_fixtures import write_eager_detector
    from learned_fixtures import write_random_classes

    weights = write_eager_detector(scratch / "eager.safetensors")
    write_random_classes(scratch / "seed.safetensors", weights, ["cyst", "stone"])
    data = (scratch / "seed.safetensors").read_bytes()
    yield {"m.safetensors": data}
    (size,) = struct.unpack_from("<Q", data)
    header, body = data[8 : 8 + size], data[8 + size :]
    while True:
        changed = mutate_text(header, rng) if rng.random() < 0.6 else mutate(header, rng)
        changed = _changed_record(header, rng) if rng.random() < 0.5 else changed
        length = len(changed) if rng.random() < 0.9 else rng.choice((*NUMBERS, *LARGE_NUMBERS)) % 2**64
        rest = mutate(body, rng) if rng.random() < 0.2 else body
        yield {"m.safetensors": struct.pack("<Q", length) + changed + rest}


def _changed_record(header: bytes, rng: random.Random) -> bytes:
    """Return a header whose record of the classes has other values."""
    document = json.loads(header)
    about = document["__metadata__"]
    name = rng.choice(sorted(about))
    about[name] = mutate_json(about[name].encode(), rng).decode("utf-8", "replace")
    return json.dumps(document).encode()


def _show_learned(path: Path) -> str:
    """Read learned classes as ``--learned`` does, and show them."""
    from medrov_cli.core.base.errors import MedrovError
    from medrov_cli.core.weights.learned_file import read_learned

    file = path / "m.safetensors"
    result = run_command(["learn", str(file), "--show", "--json"], file.name)
    try:
        read_learned(file)
    except MedrovError as error:
        if file.name not in error.message:
            return f"internal: names no file: {error.message[:300]}"
    return result


RESULT_TARGETS = (
    Target("decisions", decisions_for, _apply, short_inputs=20),
    Target("compare", _reports, _compare, short_inputs=15),
    Target("learned", _learned_files, _show_learned, short_inputs=30),
)
