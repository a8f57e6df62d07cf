"""Fuzz targets of weights, checkpoints and exported models."""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import shutil
import struct
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mutation import LARGE_NUMBERS, NUMBERS, mutate, mutate_text
from target import Target
from text_targets import run_command

IMGSZ = 64
_NUMBER_PLACE = re.compile(rb'"([0-9,. -]{1,20})"')
_NUMBER_VALUES = (
    b"",
    b"0",
    b"-1",
    b"999999999",
    b"4294967295",
    b"9223372036854775807",
    b"1,1,1,1,1,1,1",
    b"9" * 20,
)
_OPERATORS = ("Reshape", "Gather", "Slice", "Resize", "Tile", "Expand", "Loop", "Conv", "Range", "TopK")


def _import(path: Path) -> str:
    """Read a checkpoint as ``weights import`` does, without the check that its tensors fit the network."""
    from medrov_cli.core.base.errors import ExitCode, MedrovError
    from medrov_cli.core.model.importing.importer import import_ultralytics_checkpoint

    try:
        import_ultralytics_checkpoint(path)
    except MedrovError as error:
        is_named = path.name in error.message and error.exit_code == ExitCode.WEIGHTS
        return error.code.value if is_named else f"internal: {error.code}: {error.message[:300]}"
    return "ok"


def _detect(path: Path) -> str:
    """Search an image with the model of a folder."""
    from PIL import Image

    model = next(own for own in sorted(path.iterdir()) if own.suffix in (".safetensors", ".onnx", ".xml"))
    image = path.parent / "image.png"
    Image.fromarray(np.zeros((IMGSZ, IMGSZ, 3), np.uint8)).save(image)
    options = ["--offline", "--imgsz", str(IMGSZ), "--json"]
    return run_command(["detect", str(image), "--weights", str(model), *options], model.name)


def _checkpoints(rng: random.Random, scratch: Path) -> Iterator[bytes]:
    """Yield checkpoints with changes of the archive, of its pickle, and of the sizes of its storages."""
    from weights_fixtures import world_checkpoint

    path = scratch / "seed.pt"
    if not path.exists():
        world_checkpoint(path, "n", classes=("liver", "kidney"))
    seed = path.read_bytes()
    while True:
        yield _changed_archive(seed, rng) if rng.random() < 0.7 else mutate(seed, rng, (), (0, 4096))


def _changed_archive(seed: bytes, rng: random.Random) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(seed)) as source,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target,
    ):
        names = source.namelist()
        chosen = {next(own for own in names if own.endswith("data.pkl"))} if rng.random() < 0.6 else set()
        chosen |= {rng.choice(names) for _ in range(rng.choice((0, 1, 3)))}
        for name in names:
            body = source.read(name)
            if name in chosen:
                body = mutate(body, rng) if rng.random() < 0.8 else body[: rng.randrange(len(body) + 1)]
            target.writestr(zipfile.ZipInfo(name), body)
    return buffer.getvalue()


def _weights(rng: random.Random, scratch: Path) -> Iterator[dict[str, bytes]]:
    """Yield a weights file, then others with changed headers, whose lengths are mostly right."""
    data = _seed_models(scratch)["m.safetensors"]
    yield {"m.safetensors": data}
    (size,) = struct.unpack_from("<Q", data)
    header, body = data[8 : 8 + size], data[8 + size :]
    while True:
        changed = mutate_text(header, rng) if rng.random() < 0.5 else mutate(header, rng)
        length = len(changed) if rng.random() < 0.9 else rng.choice((*NUMBERS, *LARGE_NUMBERS)) % 2**64
        yield {"m.safetensors": struct.pack("<Q", length) + changed + body}


def _onnx_models(rng: random.Random, scratch: Path) -> Iterator[dict[str, bytes]]:
    """Yield an ONNX file, then others with changed metadata or graphs, whose checksum is mostly right."""
    data = _seed_models(scratch)["m.onnx"]
    yield {"m.onnx": data}
    while True:
        made = mutate(data, rng, (), (max(0, len(data) - 20_000), len(data)))
        if rng.random() < 0.8:
            with contextlib.suppress(Exception):  # protobuf refuses to write some values
                made = _changed_graph(data, rng)
        yield {"m.onnx": made}


def _changed_graph(data: bytes, rng: random.Random) -> bytes:
    import onnx

    from medrov_cli.core.engines.exported.read_exported import onnx_content_sha256

    model = onnx.load_model_from_string(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change_graph(model.graph, rng)
    for prop in model.metadata_props:
        if prop.key == "medrov":
            text = prop.value.encode()
            document = json.loads(mutate_text(text, rng) if rng.random() < 0.3 else text)
            document["content_sha256"] = onnx_content_sha256(model)
            prop.value = json.dumps(document)
    return bytes(model.SerializeToString())


def _change_graph(graph: Any, rng: random.Random) -> None:
    node, tensor = rng.choice(graph.node), rng.choice(graph.initializer)
    kind = rng.randrange(6)
    if kind == 0 and node.attribute:
        attribute = rng.choice(node.attribute)
        attribute.i = rng.choice((*NUMBERS, 2**31, -1, -(2**40)))
        attribute.ints[:] = [rng.choice((0, 1, -1, 2, 65536, 2**62)) for _ in attribute.ints]
    elif kind == 1 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice((0, 1, -1, 2**31, 2**62))
    elif kind == 2:
        tensor.data_type = rng.randrange(24)
    elif kind == 3:
        node.op_type = rng.choice(_OPERATORS)
    elif kind == 4 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(rng.choice(graph.node).output)
    else:
        tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data) + 1)]


def _openvino_models(rng: random.Random, scratch: Path) -> Iterator[dict[str, bytes]]:
    """Yield OpenVINO models whose XML is changed: it is parsed before its checksum is compared."""
    seeds = _seed_models(scratch)
    text, weights = seeds["m.xml"], seeds["m.bin"]
    at = text.index(b"<rt_info>")
    while True:
        kind = rng.random()
        changed = mutate(text, rng, (), (at, len(text))) if kind < 0.4 else text
        changed = mutate_text(text, rng) if kind > 0.8 else changed
        for _ in range(rng.choice((0, 1, 2, 4))):
            place = rng.choice(list(_NUMBER_PLACE.finditer(changed, 0, at)) or [None])
            if place is not None:
                changed = changed[: place.start(1)] + rng.choice(_NUMBER_VALUES) + changed[place.end(1) :]
        yield {"m.xml": changed, "m.bin": weights}


@cache
def _seed_models(scratch: Path) -> Mapping[str, bytes]:
    """Return the default weights, and exports of them at the smallest size."""
    from medrov_cli.core.weights.resolution import resolve

    made = {"m.safetensors": resolve("medrov-n").read_bytes()}
    for to, name in (("onnx", "m.onnx"), ("openvino", "m-openvino")):
        output = scratch / name
        options = ["--imgsz", str(IMGSZ), "--classes", "liver,kidney", "--output", str(output), "--overwrite"]
        result = run_command(["export", "--to", to, *options])
        if not result.startswith("exit 0"):
            raise RuntimeError(f"export --to {to}: {result}")
    made["m.onnx"] = (scratch / "m.onnx").read_bytes()
    for path in (scratch / "m-openvino").iterdir():
        if path.suffix in (".xml", ".bin"):
            made[f"m{path.suffix}"] = path.read_bytes()
    shutil.rmtree(scratch / "m-openvino")
    return made


MODEL_TARGETS = (
    Target("import", _checkpoints, _import, ".pt", short_inputs=15),
    Target("safetensors", _weights, _detect, short_inputs=8),
    Target("onnx", _onnx_models, _detect, short_inputs=8),
    Target("openvino", _openvino_models, _detect, short_inputs=8),
)
