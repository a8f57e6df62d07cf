"""Weights files and the manifest, through the door of ``core.weights``."""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.weights import catalogue, container, resolution
from medrov_cli.core.weights.container import EMBEDDINGS, METADATA_KEY
from medrov_cli.core.weights.metadata import ClassEntry, DatasetEntry, TrainingInfo
from weights_fixtures import CLASSES, metadata, unit_rows


def tensors() -> dict[str, np.ndarray]:
    return {
        "model.0.conv.weight": np.arange(24, dtype=np.float16).reshape(2, 3, 4).transpose(2, 0, 1),
        "scalar": np.array(1.5, np.float32),
        EMBEDDINGS: unit_rows(len(CLASSES)).astype(np.float16),
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    container.save(tmp_path / "tiny.safetensors", tensors(), metadata())
    return tmp_path / "tiny.safetensors"


def corrupt(action: Callable[[], object], message: str | None = None) -> None:
    with pytest.raises(MedrovError, match=message) as caught:
        action()
    assert caught.value.code == ErrorCode.WEIGHTS_CORRUPT
    assert caught.value.exit_code == ExitCode.WEIGHTS
    assert caught.value.hint


def raw(path: Path, document: object, values: dict[str, np.ndarray] | None = None) -> Path:
    """Write a safetensors file with any JSON in the place of the metadata."""
    text = document if isinstance(document, str) else json.dumps(document)
    save_file(values or {"x": np.zeros(1, np.float32)}, path, metadata={METADATA_KEY: text})
    return path


# -- the file


def test_a_file_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    unreadable = dataclasses.replace(metadata(), vocabulary=(ClassEntry("mass", ("mass", "")),))
    corrupt(lambda: container.save(tmp_path / "w.safetensors", tensors(), unreadable), "synonyms")
    assert list(tmp_path.iterdir()) == []


def test_what_is_saved_is_read(path: Path) -> None:
    assert container.read_metadata(path) == metadata()
    found = container.load_tensors(path)
    assert found.keys() == tensors().keys()
    for name, expected in tensors().items():
        assert found[name].dtype == expected.dtype
        assert found[name].shape == expected.shape
        assert np.array_equal(found[name], expected)


def test_every_field_survives(tmp_path: Path) -> None:
    full = metadata(
        vocabulary=(
            ClassEntry("left lung/lung, left", ("left lung", "lung, left"), (Modality.CT, Modality.XRAY)),
        ),
        training=TrainingInfo(
            (DatasetEntry("a", "CC-BY-4.0", Modality.ENDOSCOPY), DatasetEntry("b", "MIT")), "ü"
        ),
        results={"per class": {"polyp": [0.5, None]}},
        source="trained",
    )
    container.save(tmp_path / "a.safetensors", {EMBEDDINGS: unit_rows(1)}, full)
    assert container.read_metadata(tmp_path / "a.safetensors") == full


def test_texts_of_the_vocabulary_have_their_classes() -> None:
    liver, organ = ClassEntry("Liver", ("hepar", "organ")), ClassEntry("organ", ("Organ", "organs"))
    found = dataclasses.replace(metadata(), vocabulary=(liver, organ)).entries_by_text()
    assert found == {"liver": [liver], "hepar": [liver], "organ": [organ, liver], "organs": [organ]}


def test_equal_content_gives_equal_bytes(path: Path, tmp_path: Path) -> None:
    backwards = dict(reversed(tensors().items()))
    container.save(tmp_path / "again.safetensors", backwards, metadata())
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["again.safetensors", "tiny.safetensors"]


def test_failed_write_leaves_the_old_file(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        container.save(path, tensors(), metadata(results={"loss": math.nan}))
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == ["tiny.safetensors"]


def test_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MedrovError) as caught:
        container.save(tmp_path / "file" / "x.safetensors", tensors(), metadata())
    assert caught.value.code == ErrorCode.OUTPUT_FAILED


def test_embeddings_are_read_alone_and_normalised(path: Path) -> None:
    found = container.load_embeddings(path)
    assert found.dtype == np.float32
    assert found == pytest.approx(unit_rows(3), abs=1e-3)
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1, 1], abs=1e-6)


def test_without_vocabulary_there_are_no_embeddings(tmp_path: Path) -> None:
    container.save(tmp_path / "a.safetensors", {"x": np.zeros(1)}, metadata(vocabulary=()))
    assert container.load_embeddings(tmp_path / "a.safetensors").shape == (0, 512)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "is missing"),
        (unit_rows(2), r"expected floats \(3, 512\)"),
        (unit_rows(3)[:, :384], r"expected floats \(3, 512\)"),
        (np.ones((3, 512), np.int32), "expected floats"),
        (unit_rows(3) * 2, "do not have L2 norm 1"),
        (unit_rows(3) * np.float32(np.nan), "do not have L2 norm 1"),
    ],
)
def test_embeddings_that_do_not_match_are_corrupt(
    rows: np.ndarray | None, message: str, tmp_path: Path
) -> None:
    values = {"x": np.zeros(1)} if rows is None else {EMBEDDINGS: rows}
    container.save(tmp_path / "a.safetensors", values, metadata())
    corrupt(lambda: container.load_embeddings(tmp_path / "a.safetensors"), message)


def test_verify_counts_what_it_read(path: Path) -> None:
    found = container.verify(path)
    assert found.tensors == 3
    assert found.parameters == 24 + 1 + 3 * 512
    assert found.size_bytes == path.stat().st_size
    assert found.sha256 == container.sha256_of(path)
    assert len(found.sha256) == 64


def test_verify_finds_values_that_are_not_finite(tmp_path: Path) -> None:
    broken = tensors() | {"scalar": np.array(np.inf, np.float32)}
    container.save(tmp_path / "a.safetensors", broken, metadata())
    corrupt(lambda: container.verify(tmp_path / "a.safetensors"), "'scalar' has values that are not finite")


def header(text: bytes, length: int | None = None, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text + body


@pytest.mark.parametrize(
    "content",
    {
        "empty": b"",
        "short": b"\x01\x02",
        "no header": header(b""),
        "header of 2**63 bytes": header(b"{}", 2**63),
        "header longer than the file": header(b"{}", 90_000_000),
        "not JSON": header(b"{oh no}"),
        "a list": header(b"[]"),
        "deeply nested": header(b"[" * 100_000),
        "offsets beyond the end": header(b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'),
        "overlap": header(
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
            body=bytes(4),
        ),
        "shape too large": header(
            b'{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}', body=bytes(4)
        ),
        "no metadata": header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', body=bytes(4)),
        "a zip": b"PK\x03\x04" + bytes(100),
    }.values(),
)
def test_malformed_files_are_corrupt(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    corrupt(lambda: container.read_metadata(tmp_path / "a.safetensors"))
    corrupt(lambda: container.verify(tmp_path / "a.safetensors"))


def test_types_without_a_numpy_form_are_corrupt(path: Path) -> None:
    content = path.read_bytes()
    altered = content.replace(b'"F16","shape":[4,2,3]', b'"BF16","shape":[4,2,3]')
    size = struct.unpack("<Q", content[:8])[0]
    altered = struct.pack("<Q", size + 1) + altered[8:]
    assert altered != content
    path.write_bytes(altered)
    corrupt(lambda: container.load_tensors(path), "unsupported type BF16")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_raise_our_error_only(data: st.DataObject, path: Path) -> None:
    content = bytearray(path.read_bytes())
    damaged = path.with_name("damaged.safetensors")
    if data.draw(st.booleans(), label="truncate"):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for place in data.draw(st.lists(st.integers(0, 1400), min_size=1, max_size=5)):
            content[place] = data.draw(st.integers(0, 255))
    damaged.write_bytes(content)
    with np.errstate(all="ignore"):
        try:
            container.verify(damaged)
        except MedrovError as error:
            assert error.code == ErrorCode.WEIGHTS_CORRUPT  # noqa: PT017


# -- the metadata


def changed(key: str, value: object) -> dict[str, Any]:
    """Return a document with one field changed, or without it if ``value`` is ``...``."""
    document = json.loads(metadata().to_json())
    *parents, last = key.split(".")
    target = document
    for parent in parents:
        target = target[int(parent)] if isinstance(target, list) else target[parent]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return document


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schema", "medrov.weights/2", "unknown metadata schema 'medrov.weights/2'"),
        ("schema", ..., "field 'schema' is missing"),
        ("name", ..., "field 'name' is missing"),
        ("name", "", "'name' must be a non-empty text"),
        ("imgsz", "320", "'imgsz' must be a whole number"),
        ("imgsz", True, "'imgsz' must be a whole number"),
        ("imgsz", 330, "'imgsz' must be a multiple of 32"),
        ("architecture", [], "'architecture' must be an object"),
        ("architecture.scale", "xl", "'architecture.scale' must be one of n, s, m, l, x"),
        ("architecture.scale", ["n"], "'architecture.scale' must be one of"),
        ("architecture.text_adapter", 1, "'architecture.text_adapter' must be true or false"),
        ("text_encoder.spec", None, "'text_encoder.spec' must be a non-empty text"),
        ("text_encoder.width", 1024, "'text_encoder.width' must be a whole number from 1 to 512"),
        ("text_encoder.context_length", 0, "'text_encoder.context_length' must be"),
        ("vocabulary", {}, "'vocabulary' must be a list"),
        ("vocabulary.1.name", 7, r"'vocabulary\[1\].name' must be a non-empty text"),
        ("vocabulary.1.synonyms", "a", r"'vocabulary\[1\].synonyms' must be a list of texts"),
        ("vocabulary.2.modalities", ["PET"], r"'vocabulary\[2\].modalities' must be a list of CT, MRI"),
        ("training.datasets.0.licence", ..., r"'training.datasets\[0\].licence' is missing"),
        ("training.datasets.0.modality", "PET", r"'training.datasets\[0\].modality' must be one of"),
        ("results", None, "'results' must be an object"),
    ],
)
def test_wrong_fields_are_named(key: str, value: object, message: str, tmp_path: Path) -> None:
    file = raw(tmp_path / "a.safetensors", changed(key, value))
    corrupt(lambda: container.read_metadata(file), message)


@pytest.mark.parametrize("document", ["{", "[]", '"x"', "[" * 50_000])
def test_metadata_that_is_not_an_object_is_corrupt(document: str, tmp_path: Path) -> None:
    file = raw(tmp_path / "a.safetensors", document)
    corrupt(lambda: container.read_metadata(file))


def test_fields_of_later_versions_are_ignored(tmp_path: Path) -> None:
    file = raw(tmp_path / "a.safetensors", changed("colour", "blue"))
    assert container.read_metadata(file) == metadata()


# -- the manifest

MANIFEST = 'schema = "medrov.manifest/1"\n'
ENTRY = """
[[weights]]
name = "medrov-n"
file = "medrov-n.safetensors"
sha256 = "{sha256}"
bytes = 10
source = "a test"
licence = "AGPL-3.0"
imgsz = 320
text_encoder = "minilm"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a weights folder of its own, and an empty cache beside it."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "manifest.toml").write_text("# kept\n" + MANIFEST)
    monkeypatch.setattr("medrov_cli.core.weights.catalogue.weights_dir", lambda: folder)
    monkeypatch.setenv("MEDROV_CACHE", str(tmp_path / "cache"))
    return folder


def test_the_manifest_of_the_package_is_valid() -> None:
    assert (catalogue.weights_dir() / "manifest.toml").is_file()
    for entry in (item for item in catalogue.manifest().values() if item.url is None):
        assert resolution.resolve(entry.name).stat().st_size == entry.size_bytes


def test_an_entry_is_written_read_and_resolved(home: Path) -> None:
    container.save(home / "tiny.safetensors", tensors(), metadata())
    entry = catalogue.write_manifest_entry(home / "tiny.safetensors", source='made by "a test"')
    assert catalogue.manifest() == {"tiny": entry}
    assert entry.imgsz == 320
    assert entry.text_encoder == "minilm"
    assert (home / "manifest.toml").read_text().startswith("# kept\n")
    assert resolution.resolve("tiny") == home / "tiny.safetensors"
    again = catalogue.write_manifest_entry(
        home / "tiny.safetensors", source="again", url="https://example.org/t"
    )
    assert list(catalogue.manifest().values()) == [again]


def test_a_changed_file_is_corrupt(home: Path) -> None:
    container.save(home / "tiny.safetensors", tensors(), metadata())
    catalogue.write_manifest_entry(home / "tiny.safetensors", source="a test")
    container.save(home / "tiny.safetensors", tensors(), metadata(licence="MIT"))
    corrupt(lambda: resolution.resolve("tiny"), "does not have the SHA-256")


def test_pulled_weights_are_found_in_the_cache(home: Path, tmp_path: Path) -> None:
    container.save(home / "tiny.safetensors", tensors(), metadata())
    catalogue.write_manifest_entry(home / "tiny.safetensors", source="a test", url="https://example.org/t")
    resolution.pulled_dir().mkdir(parents=True)
    (home / "tiny.safetensors").rename(resolution.pulled_dir() / "tiny.safetensors")
    assert resolution.resolve("tiny") == tmp_path / "cache" / "weights" / "tiny.safetensors"
    (resolution.pulled_dir() / "tiny.safetensors").unlink()
    with pytest.raises(MedrovError, match="not installed") as caught:
        resolution.resolve("tiny")
    assert caught.value.hint == "Download them with `medrov weights pull tiny`."


@pytest.mark.usefixtures("home")
def test_paths_are_taken_by_their_kind(path: Path, tmp_path: Path) -> None:
    assert resolution.resolve(str(path)) == path
    cases = {
        "a.pt": ErrorCode.WEIGHTS_UNTRUSTED,
        "a.PTH": ErrorCode.WEIGHTS_UNTRUSTED,
        "a.onnx": ErrorCode.WEIGHTS_CORRUPT,
    }
    for name, code in cases.items():
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(MedrovError) as caught:
            resolution.resolve(str(tmp_path / name))
        assert caught.value.code == code
    with pytest.raises(MedrovError, match="pickled checkpoint") as caught:
        resolution.resolve(str(tmp_path / "a.pt"))
    assert f"medrov weights import {tmp_path / 'a.pt'}" in caught.value.hint
    for missing in (str(tmp_path), str(tmp_path / "no.safetensors"), "no.pt", ""):
        with pytest.raises(MedrovError) as caught:
            resolution.resolve(missing)
        assert caught.value.code == ErrorCode.WEIGHTS_MISSING


def test_a_near_name_is_suggested(home: Path) -> None:
    (home / "manifest.toml").write_text(MANIFEST + ENTRY.format(sha256="0" * 64))
    with pytest.raises(MedrovError) as caught:
        resolution.resolve("medrov-m")
    assert caught.value.code == ErrorCode.WEIGHTS_MISSING
    assert "Did you mean 'medrov-n'?" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = ", "is not TOML"),
        ("", "field 'schema' is missing"),
        ('schema = "medrov.manifest/9"', "must be one of medrov.manifest/1"),
        (MANIFEST + "weights = 3", "'weights' must be a list"),
        (MANIFEST + ENTRY.format(sha256="zz"), r"'weights\[0\].sha256' must be 64"),
        (
            MANIFEST + ENTRY.format(sha256="0" * 64).replace("medrov-n.safe", "../medrov-n.safe"),
            "without folders",
        ),
        (
            MANIFEST + ENTRY.format(sha256="0" * 64).replace('"medrov-n"', '"a b"'),
            "'weights.0..name' must be letters",
        ),
        (MANIFEST + 2 * ENTRY.format(sha256="0" * 64), "entries with different names"),
        (MANIFEST + ENTRY.format(sha256="0" * 64).replace("bytes = 10", "bytes = 1.5"), "whole number"),
    ],
)
def test_malformed_manifests_are_corrupt(text: str, message: str, home: Path) -> None:
    (home / "manifest.toml").write_text(text)
    corrupt(catalogue.manifest, message)


def test_without_manifest_weights_are_missing(home: Path) -> None:
    (home / "manifest.toml").unlink()
    with pytest.raises(MedrovError) as caught:
        catalogue.manifest()
    assert caught.value.code == ErrorCode.WEIGHTS_MISSING


def test_metadata_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        metadata().name = "other"  # type: ignore[misc]
