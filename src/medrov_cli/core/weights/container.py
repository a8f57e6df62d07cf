"""Reading, checking and writing of weights files: safetensors with medrov's metadata in the header."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialise

from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import known_sha256, whole_file
from medrov_cli.core.records.image_kinds import KindClassifier, KindTensors
from medrov_cli.core.weights.metadata import WeightsMetadata
from medrov_cli.core.weights.tensor_digest import KINDS, digest_of_tensors

EMBEDDINGS = "vocabulary.embeddings"
"""Tensor with the class embeddings of the vocabulary, (classes, 512), L2 norm 1."""

METADATA_KEY = "medrov"
"""Key of the JSON in the safetensors header; one, because the order of several is not fixed."""

NORM_TOLERANCE = 1e-2
"""Tolerance of the norms of stored embeddings (half precision rounds each value to 5e-4)."""

_DTYPES = frozenset({"F16", "F32", "F64", "I64", "I32", "I16", "I8", "U8", "BOOL"})

Tensors = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of reading a weights file completely.

    Attributes
    ----------
    path
        The file.
    sha256
        SHA-256 of the file, lower-case hexadecimal.
    size_bytes
        Size of the file.
    tensors, parameters
        Number of tensors, and of values in the floating-point ones.
    metadata
        Metadata of the file.
    """

    path: Path
    sha256: str
    size_bytes: int
    tensors: int
    parameters: int
    metadata: WeightsMetadata


def sha256_of(path: Path, *, reread: bool = False) -> str:
    """Return the SHA-256 of a file, lower-case hexadecimal; an unchanged file is not read again.

    With ``reread`` it is always read, to detect damage of the disk.

    Raises
    ------
    MedrovError
        ``weights_missing`` if the file cannot be read.
    """
    try:
        return known_sha256(path, reread=reread)
    except OSError as error:
        raise _unreadable(path, error) from error


def sha256_of_tensors(path: Path) -> str:
    """Return the SHA-256 of the network and its class embeddings: names, types, shapes and values.

    Raises
    ------
    MedrovError
        ``weights_missing``, ``weights_corrupt``.
    """
    return digest_of_tensors(load_tensors(path))


def read_metadata(path: Path) -> WeightsMetadata:
    """Return the metadata of a weights file, without reading tensors.

    Raises
    ------
    MedrovError
        ``weights_missing``, ``weights_corrupt``.
    """
    with _opened(path) as handle:
        return _metadata_of(handle, path)


def load_tensors(path: Path) -> Tensors:
    """Return all tensors of a weights file by name, as stored (float16 stays float16).

    Raises
    ------
    MedrovError
        ``weights_missing``, ``weights_corrupt``.
    """
    with _opened(path) as handle:
        return {name: _tensor_of(handle, name, path) for name in handle.keys()}  # noqa: SIM118


def load_embeddings(path: Path) -> npt.NDArray[np.float32]:
    """Return the stored class embeddings, float32, (classes, 512), L2 norm 1.

    Row ``i`` belongs to ``read_metadata(path).vocabulary[i]``. No other tensor is read.

    Raises
    ------
    MedrovError
        ``weights_missing``; ``weights_corrupt``, also if rows and vocabulary do not match.
    """
    with _opened(path) as handle:
        classes = len(_metadata_of(handle, path).vocabulary)
        if EMBEDDINGS not in handle.keys():  # noqa: SIM118
            if classes:
                raise _corrupt(path, f"tensor {EMBEDDINGS!r} is missing")
            return np.zeros((0, TEXT_WIDTH), np.float32)
        stored = _tensor_of(handle, EMBEDDINGS, path)
    if stored.shape != (classes, TEXT_WIDTH) or stored.dtype.kind != "f":
        raise _corrupt(
            path,
            f"tensor {EMBEDDINGS!r} is {stored.dtype} {stored.shape}, expected floats "
            f"({classes}, {TEXT_WIDTH})",
        )
    embeddings = stored.astype(np.float32)
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not np.all(np.abs(norms - 1) <= NORM_TOLERANCE):
        raise _corrupt(path, f"rows of tensor {EMBEDDINGS!r} do not have L2 norm 1")
    embeddings /= norms
    return embeddings


def load_kinds(path: Path) -> KindClassifier | None:
    """Return the classifier of image kinds; null if the weights have none. The errors are as above."""
    with _opened(path) as handle:
        info = _metadata_of(handle, path).kinds
        if info is None:
            return None
        names = [name for name in handle.keys() if name.startswith(KINDS)]  # noqa: SIM118
        arrays = {name.removeprefix(KINDS): _tensor_of(handle, name, path) for name in names}
    try:
        return KindClassifier(info, KindTensors.from_arrays(arrays, len(info.kinds)))
    except ValueError as error:
        raise _corrupt(path, str(error)) from error


def with_kinds(tensors: Mapping[str, npt.NDArray[Any]], kinds: KindTensors) -> Tensors:
    """Return the tensors of a weights file with those of a classifier of image kinds."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(KINDS)} | {
        f"{KINDS}{name}": array for name, array in kinds.as_arrays().items()
    }


def is_of_network(name: str) -> bool:
    """Return whether a tensor belongs to the network: not to the vocabulary or the kinds."""
    return name != EMBEDDINGS and not name.startswith(KINDS)


def save(path: Path, tensors: Mapping[str, npt.NDArray[Any]], metadata: WeightsMetadata) -> None:
    """Write a weights file atomically: equal tensors and metadata give equal bytes.

    Raises
    ------
    MedrovError
        ``weights_corrupt`` if the metadata could not be read again, ``output_failed``.
    """
    text = metadata.to_json()
    _parsed(text, str(path))
    plain = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    # save_file would make a file that only its owner may read.
    data = serialise(plain, metadata={METADATA_KEY: text})
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def verify(path: Path) -> Verification:
    """Read and check a weights file completely.

    Raises
    ------
    MedrovError
        ``weights_missing``; ``weights_corrupt`` if it cannot be parsed, a value is not
        finite, or the vocabulary and its embeddings do not match.
    """
    digest = sha256_of(path, reread=True)
    metadata = read_metadata(path)
    load_embeddings(path)
    load_kinds(path)
    tensors = load_tensors(path)
    parameters = 0
    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f":
            continue
        if not np.isfinite(tensor).all():
            raise _corrupt(path, f"tensor {name!r} has values that are not finite")
        parameters += tensor.size
    return Verification(path, digest, path.stat().st_size, len(tensors), parameters, metadata)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a safetensors file; the library checks header length, JSON, offsets and file size."""
    if not path.is_file():
        raise MedrovError(
            ErrorCode.WEIGHTS_MISSING, f"no weights file {path}", "See `medrov weights list` for known names."
        )
    try:
        with safe_open(path, framework="numpy") as handle:
            yield handle
    except SafetensorError as error:
        raise _corrupt(path, f"not a complete safetensors file ({error})") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _metadata_of(handle: Any, path: Path) -> WeightsMetadata:
    """Return the parsed metadata of an open file."""
    text = (handle.metadata() or {}).get(METADATA_KEY)
    if text is None:
        raise MedrovError(
            ErrorCode.WEIGHTS_CORRUPT,
            f"{path} has no medrov metadata: it was not written by medrov",
            "Convert a YOLO-World checkpoint with `medrov weights import FILE.pt`.",
        )
    return _parsed(text, str(path))


@functools.lru_cache(maxsize=4)
def _parsed(text: str, where: str) -> WeightsMetadata:
    """Return parsed metadata, which is wanted several times in a run."""
    return WeightsMetadata.from_json(text, where=where)


def _tensor_of(handle: Any, name: str, path: Path) -> npt.NDArray[Any]:
    """Return one tensor of an open file, after a check that numpy supports its type."""
    dtype = handle.get_slice(name).get_dtype()
    if dtype not in _DTYPES:
        raise _corrupt(path, f"tensor {name!r} has the unsupported type {dtype}")
    tensor: npt.NDArray[Any] = handle.get_tensor(name)
    return tensor


def misfit(path: Path, what: object) -> MedrovError:
    """Return the error for tensors that do not fit the architecture in their file."""
    return MedrovError(
        ErrorCode.WEIGHTS_CORRUPT,
        f"{path}: the tensors do not fit the architecture in its metadata: {what}",
        "Get the file again, or import it again.",
    )


def _corrupt(path: Path, what: str) -> MedrovError:
    """Return the error for a damaged file."""
    return MedrovError(ErrorCode.WEIGHTS_CORRUPT, f"{path}: {what}", "Get or write the file again.")


def _unreadable(path: Path, error: OSError) -> MedrovError:
    """Return the error for a file that cannot be read."""
    reason = error.strerror or str(error)
    return MedrovError(
        ErrorCode.WEIGHTS_MISSING, f"cannot read {path}: {reason}", "Check the path and its permissions."
    )
