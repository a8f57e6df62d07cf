"""Parser of XML files from outside, with limits; document types, which define entities, are refused."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from medrov_cli.core.base.text_files import (
    MOST_LEVELS,
    DocumentError,
    decode_text,
    no_memory,
    read_content,
    too_deep,
)

_MOST_ELEMENTS = 5_000_000  # of an XML file; each takes about 200 bytes
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_STATED_ENCODING = re.compile(r"""^(<\?xml[^>]*?)\s+encoding\s*=\s*["'][^"']*["']""")


class _Builder(ET.TreeBuilder):
    """Builder of a tree that stops at a document type, before any entity is defined, and at the limits."""

    depth = elements = 0

    def doctype(self, *_: Any) -> None:
        raise DocumentError("declares a document type, which may hide harmful entities")

    def start(self, tag: Any, attrs: Any, /) -> Any:
        self.depth += 1
        self.elements += 1
        if self.depth > MOST_LEVELS:
            raise too_deep()
        if self.elements > _MOST_ELEMENTS:
            raise DocumentError(f"has more than {_MOST_ELEMENTS} elements")
        return super().start(tag, attrs)

    def end(self, tag: Any, /) -> Any:
        self.depth -= 1
        return super().end(tag)


def read_xml(path: Path) -> ET.Element:
    """Return the root of an XML file.

    Raises
    ------
    OSError, DocumentError
    """
    content = _as_utf8(read_content(path))
    try:
        return ET.fromstring(content, ET.XMLParser(target=_Builder()))  # noqa: S314 - no entities
    except DocumentError:
        raise
    except ET.ParseError as error:
        raise DocumentError(
            f"is not XML: {str(error).partition(':')[0]} in line {error.position[0]}"
        ) from None
    except (LookupError, ValueError):  # an encoding that there is not, or of more than one byte
        raise DocumentError("is not XML: it states an encoding that is not supported") from None
    except MemoryError:
        raise no_memory() from None


def _as_utf8(data: bytes) -> bytes:
    """Return a document of UTF-16 or UTF-32 as UTF-8, whatever encoding its declaration states."""
    if not data.startswith(_WIDE_MARKS):
        return data
    return _STATED_ENCODING.sub(r"\1", decode_text(data), count=1).encode(errors="surrogatepass")
