"""Reader of the zip archive of a torch checkpoint: its pickle as plain data, its tensors as numpy arrays."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.model.importing.unpickler import read_pickle

if TYPE_CHECKING:
    from medrov_cli.core.base.constants import InputLimits
    from medrov_cli.core.model.importing.stubs import TensorRef

_LEGACY_MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""First bytes of a file of torch before 1.6: a pickle of torch.serialization.MAGIC_NUMBER."""

_ENCRYPTED = 0x1  # bit of a zip member's flags
_MAX_READS = 2  # times the file's size; tensors share storages only where parameters are tied
_DAMAGE = (
    zipfile.BadZipFile,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
)
"""Exceptions of zipfile for a damaged archive."""

_DTYPES = {
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "CharStorage": "i1",
    "ShortStorage": "i2",
    "IntStorage": "i4",
    "LongStorage": "i8",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class TorchArchive:
    """Open checkpoint of ``torch.save`` of torch 1.6 or later, as a context manager.

    Parameters
    ----------
    path
        Path of the ``.pt`` file.
    limits
        Limits of the archive, checked before anything is read.

    Raises
    ------
    MedrovError
        ``weights_missing``; ``weights_untrusted`` for another format, a compressed member or an
        archive over the limits; ``weights_corrupt``.
    """

    def __init__(self, path: Path, limits: InputLimits) -> None:
        self._path = path
        if not path.is_file():
            raise MedrovError(
                ErrorCode.WEIGHTS_MISSING, f"no checkpoint file {path}", "Check the path and its permissions."
            )
        with _damage_reported(path):
            with path.open("rb") as stream:
                head = stream.read(len(_LEGACY_MAGIC))
            if not head.startswith(b"PK\x03\x04"):
                raise _foreign(path, head)
            self._archive = zipfile.ZipFile(path)
        try:
            self._root = _root_folder(set(self._archive.namelist()), path)
            self._members = _checked_members(self._archive, path, limits)
            order = self._read("byteorder") if f"{self._root}byteorder" in self._members else b"little"
        except MedrovError:
            self._archive.close()
            raise
        self._is_big_endian = order == b"big"
        self._bytes_left = _MAX_READS * path.stat().st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def content(self) -> Any:
        """Return the content of the pickle; its tensors are references.

        Raises
        ------
        MedrovError
            ``weights_untrusted``, ``weights_corrupt``.
        """
        return read_pickle(self._read("data.pkl"), where=str(self._path))

    def tensor(self, reference: TensorRef) -> npt.NDArray[Any]:
        """Return a tensor, C-contiguous, in its stored type (bfloat16 as float32).

        Raises
        ------
        MedrovError
            ``weights_corrupt`` if it is empty or exceeds its storage.
        """
        storage, shape = reference.storage, reference.shape
        native = np.dtype(_DTYPES[storage.type_name])
        data = self._read(f"data/{storage.key}")
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise _refused(self._path, "reads the same bytes repeatedly")
        available, rest = divmod(len(data), native.itemsize)
        if rest:
            raise _corrupt(self._path, f"storage {storage.key!r} has a part of a value at its end")
        # The stride of a dimension of one element is not used, and may be any number.
        steps = [step if size > 1 else 0 for size, step in zip(shape, reference.strides, strict=True)]
        last = reference.offset + sum((size - 1) * step for size, step in zip(shape, steps, strict=True))
        # At most as many values as the storage has: a view that repeats values could exhaust the memory.
        if not 0 < math.prod(shape) <= available or last >= available:
            raise _corrupt(self._path, f"a tensor exceeds its storage {storage.key!r}")
        flat = np.frombuffer(data, native.newbyteorder(">" if self._is_big_endian else "<"))
        try:
            view = np.lib.stride_tricks.as_strided(
                flat[reference.offset :], shape, [step * native.itemsize for step in steps]
            )
        except (ValueError, OverflowError) as error:  # more dimensions than numpy has
            raise _corrupt(self._path, f"a tensor of storage {storage.key!r} has no valid shape") from error
        values: npt.NDArray[Any] = view.astype(native, order="C")
        if storage.type_name == "BFloat16Storage":
            # A bfloat16 is the upper half of a float32.
            values = np.left_shift(values, 16, dtype=np.uint32).view(np.float32)
        return values

    def _read(self, name: str) -> bytes:
        """Return the bytes of a member below the archive's root folder."""
        member = self._members.get(self._root + name)
        if member is None:
            raise _corrupt(self._path, f"archive member {name!r} is missing")
        with _damage_reported(self._path):
            return self._archive.read(member)


@contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    """Convert the errors of reading an archive to errors with a code."""
    try:
        yield
    except _DAMAGE as error:
        raise _corrupt(path, f"a damaged archive ({error})") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise MedrovError(
            ErrorCode.WEIGHTS_MISSING, f"cannot read {path}: {reason}", "Check the path and its permissions."
        ) from error


def _checked_members(archive: zipfile.ZipFile, path: Path, limits: InputLimits) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name, after a check that torch could have written them; reads no member."""
    members = archive.infolist()
    by_name = {member.filename: member for member in members}
    refused = ""
    if len(members) > limits.archive_members:
        refused = f"has {len(members)} archive members"
    elif len(by_name) != len(members):
        refused = "has two archive members of one name"
    elif any(m.compress_type != zipfile.ZIP_STORED or m.flag_bits & _ENCRYPTED for m in members):
        refused = "has compressed or encrypted archive members"
    elif sum(member.file_size for member in members) > min(path.stat().st_size, limits.inflated_bytes):
        refused = "unpacks to more than its stated size or the limit"
    if refused:
        raise _refused(path, refused)
    return by_name


def _root_folder(names: set[str], path: Path) -> str:
    """Return the folder, with its slash, of the pickle and the storages."""
    pickles = [name for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise MedrovError(
            ErrorCode.WEIGHTS_UNTRUSTED,
            f"{path} is a zip archive, but not a torch checkpoint",
            "Import a .pt file that ultralytics wrote.",
        )
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in names:
        raise MedrovError(
            ErrorCode.WEIGHTS_UNTRUSTED,
            f"{path} is a TorchScript program, not a checkpoint",
            "Import the .pt file that it was exported from.",
        )
    return root


def _foreign(path: Path, head: bytes) -> MedrovError:
    """Return the error for a file that is not a zip archive."""
    if head == _LEGACY_MAGIC:
        return MedrovError(
            ErrorCode.WEIGHTS_UNTRUSTED,
            f"{path} has torch's format from before version 1.6, which is one bare pickle",
            "Ask its authors for a file saved by torch 1.6 or later.",
        )
    return MedrovError(
        ErrorCode.WEIGHTS_UNTRUSTED,
        f"{path} is not a checkpoint of torch 1.6 or later (no zip archive)",
        "Import a .pt file that ultralytics wrote.",
    )


def _refused(path: Path, what: str) -> MedrovError:
    """Return the error for an archive that torch cannot have written."""
    return MedrovError(
        ErrorCode.WEIGHTS_UNTRUSTED,
        f"{path} {what}, unlike any checkpoint of torch",
        "Get the checkpoint from its authors again.",
    )


def _corrupt(path: Path, what: str) -> MedrovError:
    """Return the error for a damaged file."""
    return MedrovError(ErrorCode.WEIGHTS_CORRUPT, f"{path}: {what}", "Get the file again.")
