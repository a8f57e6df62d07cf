"""XML in and out: whatever text there is survives, and nothing is read that could do harm."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.datasets.sources import invalid

# XML 1.0, 2.2: what is not a Char. A carriage return is one, but parsers turn it into a line feed.
_FORBIDDEN = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _HasDoctypeError(Exception):
    """A document type: it can define entities that fill the memory, or name other files."""


class _Builder(ET.TreeBuilder):
    """Builds the tree, and stops at a document type, before any entity is defined."""

    def doctype(self, *_: Any) -> None:
        raise _HasDoctypeError


def read_xml(path: Path) -> ET.Element:
    """Return the root of an XML file.

    Raises
    ------
    MedrovError
        ``NOT_FOUND``; ``DATASET_INVALID``: it is not XML, or declares a document type.
    """
    hint = "Export the annotations again."
    try:
        return ET.fromstring(path.read_bytes(), ET.XMLParser(target=_Builder()))  # noqa: S314 - no entities
    except _HasDoctypeError:
        raise invalid(f"{path} declares a document type, which may hide harmful entities", hint) from None
    except (ET.ParseError, LookupError, ValueError):
        raise invalid(f"{path} is not XML", hint) from None
    except OSError as error:
        raise MedrovError(ErrorCode.NOT_FOUND, f"{path}: {error.strerror or error}", hint) from error


def child(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    """Add an element with checked text and attributes, and return it.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: a text has control characters, which XML cannot hold.
    """
    for value in (text or "", *attributes.values()):
        if _FORBIDDEN.search(value):
            raise invalid(f"{value!r} has a control character, which XML cannot hold", "Rename it.")
    made = ET.SubElement(parent, tag, attributes)
    made.text = text
    return made


def write_xml(path: Path, root: ET.Element) -> None:
    """Write an indented XML file whole.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    ET.indent(root)
    with whole_file(path) as temporary:
        temporary.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")
