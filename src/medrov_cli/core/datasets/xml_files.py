"""XML files of annotations."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from medrov_cli.core.base import xml_documents
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.text_files import DocumentError
from medrov_cli.core.datasets.sources import invalid

# XML 1.0, 2.2: what is not a Char. A carriage return is one, but parsers turn it into a line feed.
_FORBIDDEN = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_xml(path: Path) -> ET.Element:
    """Return the root of an XML file.

    Raises
    ------
    MedrovError
        ``NOT_FOUND``; ``DATASET_INVALID``: it is not XML within the limits of
        `medrov_cli.core.base.xml_documents`.
    """
    hint = "Export the annotations again."
    try:
        return xml_documents.read_xml(path)
    except DocumentError as error:
        raise invalid(f"{path} {error}", hint) from None
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
