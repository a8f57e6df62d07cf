"""Start of a decoder process while the model is loaded, if the first inputs will need one."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from medrov_cli.core.pixels.isolation import start_decoder
from medrov_cli.core.pixels.sniff import Kind, sniff_head

LOOKED_AT = 4
"""Number of inputs whose first bytes are read; later ones start the process when they need it."""

_HEAD_BYTES = 4096

_SYNTAX_TAG = b"\x02\x00\x10\x00UI"
"""Transfer Syntax UID in the meta information, which is Explicit VR Little Endian (PS3.10, 7.1)."""

_ISOLATED_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.{end}" for end in ("57", "70", "8", "9", "20"))
"""Beginnings of the UIDs of lossless JPEG, JPEG-LS, JPEG 2000 and HTJ2K."""

_MODULES = {
    Kind.DICOM: ("pydicom.pixels.decoders.base", "openjpeg"),
    Kind.JPEG2000: ("imagecodecs", "imagecodecs._jpeg2k"),
    **dict.fromkeys((Kind.WEBP, Kind.AVIF, Kind.HEIC), ("medrov_cli.core.pixels.pillow_images",)),
    Kind.VIDEO: ("medrov_cli.core.pixels.video_frames",),
}


def start_needed_decoder(paths: Sequence[str]) -> None:
    """Start a decoder process if one of the first files is of a kind that is decoded there.

    TIFF and JPEG files show by later bytes whether they are; they start the process themselves.
    """
    for path in paths[:LOOKED_AT]:
        modules = _needed_modules(path)
        if modules:
            start_decoder(modules)
            return


def _needed_modules(path: str) -> tuple[str, ...]:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - the path is used unchanged
            return ()  # opening a named pipe waits for a writer
        with open(path, "rb") as file:  # noqa: PTH123 - the path is used unchanged
            head = file.read(_HEAD_BYTES)
    except (OSError, ValueError):
        return ()
    kind = sniff_head(head)
    if kind is None or (kind is Kind.DICOM and not _is_isolated(head)):
        return ()
    return _MODULES.get(kind, ())


def _is_isolated(head: bytes) -> bool:
    at = head.find(_SYNTAX_TAG)
    start = at + len(_SYNTAX_TAG) + 2
    return at >= 0 and head[start : start + 64].startswith(tuple(own.encode() for own in _ISOLATED_SYNTAXES))
