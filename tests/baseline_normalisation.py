"""What may differ between two equal runs, and what is written in its place; all else is compared.

1. Absolute paths of the working folder, the recording and the checkout.
2. Times: ``elapsed_ms`` of ``detect --timings``, ``seconds`` of ``train``.
3. Lines of progress: their rate is left out; lines that appear every ten seconds are dropped.
4. Versions of the program and of its packages: ``medrov 1.2.3``, the strings in ``"versions": {...}``.
   The keys stay.
5. A safetensors file becomes its header, normalised as above, and its tensors. The length of the header
   and the blanks behind it follow from the times in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_QUOTE = r'\\*"'  # JSON inside of a JSON string has backslashes before its quotes
_ELAPSED = re.compile(rf"({_QUOTE}elapsed_ms{_QUOTE}: )[\d.]+")
_SECONDS = re.compile(rf"({_QUOTE}seconds{_QUOTE}: )(\{{[^{{}}]*\}}|[\d.]+)")
_PROGRESS = re.compile(
    r"^(?P<what>.*: (?P<done>\d+)(/(?P<total>\d+))? \w+), [\d.]+/s(, \d+ s left)?\n", re.MULTILINE
)
_PROGRAM = re.compile(r"\bmedrov \d+\.\d+[\w.+]*")
_VERSIONS = re.compile(rf"{_QUOTE}versions{_QUOTE}: \{{[^{{}}]*\}}")
_VERSION = re.compile(rf": ({_QUOTE})[^\"\\]*({_QUOTE})")


class Normaliser:
    """Replace what may differ.

    Parameters
    ----------
    paths
        Absolute paths, the longest first, and what is written in their places.
    """

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = paths

    def text(self, content: bytes) -> bytes:
        """Return a text in which nothing is left that may differ."""
        text = content.decode("utf-8", errors="surrogateescape")
        for path, name in self._paths.items():
            text = text.replace(path, name)
        text = _ELAPSED.sub(r"\1<time>", text)
        text = _SECONDS.sub(r"\1<time>", text)
        text = _PROGRESS.sub(_without_rate, text)
        text = _PROGRAM.sub("medrov <version>", text)
        text = _VERSIONS.sub(lambda found: _VERSION.sub(r": \1<version>\2", found[0]), text)
        return text.encode("utf-8", errors="surrogateescape")

    def file(self, name: str, content: bytes) -> bytes:
        """Return a file in which nothing is left that may differ; most binary files stay as they are."""
        if name.endswith(".safetensors"):
            end = 8 + int.from_bytes(content[:8], "little")
            return self.text(content[8:end].rstrip()) + b"\n" + content[end:]
        try:
            content.decode()
        except UnicodeDecodeError:
            return content
        return self.text(content)


def _without_rate(found: re.Match[str]) -> str:
    return f"{found['what']}\n" if found["done"] == found["total"] else ""


def shape_of(document: bytes) -> bytes:
    """Return the keys of a JSON document with the types of their values; what is no JSON stays."""
    try:
        return json.dumps(_shape(json.loads(document)), indent=2).encode()
    except ValueError:
        return document


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value]
    return type(value).__name__
