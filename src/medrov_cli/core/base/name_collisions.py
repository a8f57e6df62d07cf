"""Comparison of file names as file systems compare them."""

from __future__ import annotations

import unicodedata


def collision_key(name: str) -> str:
    """Return a text that is equal for names which some file system takes for one.

    macOS and Windows ignore the case of letters; macOS also takes composed and decomposed letters for equal.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
