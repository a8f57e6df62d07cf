"""Header of NRRD: fields, axes and space (https://teem.sourceforge.net/nrrd/format.html).

It is parsed by hand: pynrrd allocates what a header states before its data are checked, reads data files
outside the folder of the header, and returns no transform; SimpleITK adds 50 MB for the same fields.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from medrov_cli.core.pixels.volumes.text_header import HEADER_BYTES, Matrix, floats, integers
from medrov_cli.core.pixels.volumes.volume import bad_header, unsupported

FORMAT = "NRRD"

_TYPES: dict[str, str] = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long"), "i8"),
    **dict.fromkeys(("signed long long int", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int"), "u8"),
    **dict.fromkeys(("uint64", "uint64_t"), "u8"),
    "float": "f4",
    "double": "f8",
}
_ORDERS: dict[str, Literal["<", ">"]] = {"little": "<", "big": ">"}
_ALIASES = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}
_SPACES: dict[str, tuple[float, float, float]] = {
    **dict.fromkeys(("right-anterior-superior", "ras"), (1.0, 1.0, 1.0)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1.0, 1.0, 1.0)),
    **dict.fromkeys(("left-posterior-superior", "lps"), (-1.0, -1.0, 1.0)),
}
"""Signs that lead from an anatomical space to RAS."""
_VECTOR = re.compile(r"none|\(([^()]*)\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NrrdHeader:
    """Fields of a header.

    Attributes
    ----------
    fields
        By name, in lower case.
    trailing
        Lines behind the field ``data file``, if it is a list.
    data_start
        Position behind the header.
    """

    fields: dict[str, str]
    trailing: list[str]
    data_start: int

    def text(self, name: str) -> str:
        """Return a required field.

        Raises
        ------
        MedrovError
            ``bad_metadata``.
        """
        if name not in self.fields:
            raise bad_header(FORMAT, f"the field '{name}' is missing")
        return self.fields[name]

    @property
    def sizes(self) -> list[int]:
        """Return the sizes of all axes, the fastest first."""
        sizes = integers(FORMAT, self.text("sizes"))
        count = integers(FORMAT, self.text("dimension"))[0]
        if len(sizes) != count or not 1 <= count <= 16 or min(sizes) < 1:
            raise bad_header(FORMAT, "its dimension and sizes are invalid")
        return sizes

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of a value."""
        code = _TYPES.get(self.text("type").lower())
        if code is None:
            raise unsupported(FORMAT, "has a type that is not supported", "Save it as integers or floats.")
        dtype = np.dtype(code)
        if dtype.itemsize == 1 or self.text("encoding").lower() in ("txt", "text", "ascii"):
            return dtype
        order = _ORDERS.get(self.text("endian").lower())
        if order is None:
            raise bad_header(FORMAT, "the byte order is neither little nor big")
        return dtype.newbyteorder(order)

    @property
    def kinds(self) -> list[str]:
        """Return the kind of each axis, in lower case; empty without kinds."""
        return self.fields.get("kinds", "").lower().split()

    @property
    def directions(self) -> list[list[float] | None]:
        """Return the vector of each axis, null for an axis outside of space; empty without vectors."""
        found = _VECTOR.finditer(self.fields.get("space directions", ""))
        vectors = [None if match[1] is None else floats(FORMAT, match[1]) for match in found]
        is_long = len(vectors) > 3  # then an axis without numbers is one outside of space, too
        return [None if v is None or (is_long and all(map(math.isnan, v))) else v for v in vectors]

    @property
    def to_ras(self) -> Matrix | None:
        """Return the map from the space of the file to RAS, 3 x 3; null if the space is not anatomical."""
        name = self.fields.get("space", "").strip().lower().removesuffix("-time")
        signs = _SPACES.get(name) or _SPACES.get(name.removesuffix("t"))
        return None if signs is None else np.diag(signs)

    def spatial_axes(self) -> list[int]:
        """Return up to three axes that are directions in space, in the order of the file."""
        count = len(self.sizes)
        if len(self.directions) == count:
            in_space = [v is not None and (any(v[:3]) or len(v) <= 3) for v in self.directions]
        elif len(self.kinds) == count:
            in_space = [kind in ("domain", "space", "???", "none") for kind in self.kinds]
        else:
            in_space = [True] * count
        return [axis for axis in range(count) if in_space[axis]][:3]

    def spacing(self, axis: int) -> float:
        """Return the field ``spacings`` of an axis, in its units; NaN without it."""
        spacings = floats(FORMAT, self.fields.get("spacings", ""))
        value = abs(spacings[axis]) if axis < len(spacings) else math.nan
        return value if value > 0 and math.isfinite(value) else math.nan

    def quoted(self, name: str) -> list[str]:
        """Return the quoted texts of a field; empty without it."""
        return re.findall(r'"([^"]*)"', self.fields.get(name, ""))


def read_header(path: str) -> NrrdHeader:
    """Read the header of a file, up to its blank line or the end of the file.

    Raises
    ------
    MedrovError
        ``bad_metadata``.
    """
    fields: dict[str, str] = {}
    trailing: list[str] = []
    with open(path, "rb") as file:  # noqa: PTH123 - the path is used unchanged
        file.readline(HEADER_BYTES)
        while line := file.readline(HEADER_BYTES):
            text = line.decode("utf-8", errors="replace").rstrip("\r\n")
            if not text.strip() or file.tell() > HEADER_BYTES:
                break
            name, separator, value = text.partition(":")
            if text.startswith("#") or not separator or value.startswith("="):
                continue
            name = " ".join(name.lower().split())
            fields[_ALIASES.get(name, name)] = value.strip()
            if _ALIASES.get(name, name) == "data file" and value.split()[:1] == ["LIST"]:
                trailing = file.read(HEADER_BYTES).decode("utf-8", errors="replace").splitlines()
                break
        return NrrdHeader(fields, trailing, file.tell())
