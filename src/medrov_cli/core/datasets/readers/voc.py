"""Read Pascal VOC: an XML file an image.

VOC's boxes are 1-based and hold their last pixel: ``xmin`` 1 and ``xmax`` 10 are the first ten columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import case_in_path
from medrov_cli.core.datasets.readers.protocol import Reader, Reading, Unit
from medrov_cli.core.datasets.readers.shared.raster_files import file_stems, raster_files
from medrov_cli.core.datasets.readers.shared.raster_images import annotated_file, expect_size, nothing_in
from medrov_cli.core.datasets.xml_files import read_xml
from medrov_cli.core.pixels.inputs import natural_key
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.settings.choices import SPLITS, Split
from medrov_cli.core.settings.data_convert import ReaderSettings

_LAYOUT_HINT = "Give a folder with Annotations/ and JPEGImages/, or a folder of XML files, and --images."


def read(config: ReaderSettings) -> Reading:
    """List one unit an XML file; ``ImageSets/Main`` says the splits, where it is there.

    Raises
    ------
    MedrovError
        ``not_found`` or ``no_input``.
    """
    inside = config.path / "Annotations"
    folder = inside if inside.is_dir() else config.path
    beside = config.path / "JPEGImages"
    images = config.images or (beside if beside.is_dir() else config.path)
    files = sorted((path.relative_to(folder).as_posix() for path in folder.rglob("*.xml")), key=natural_key)
    if not files:
        raise nothing_in(folder, "no XML file", _LAYOUT_HINT)
    by_name, by_stem = _index(images)
    splits = _splits(config.path / "ImageSets" / "Main")
    names = file_stems(files)

    def unit(file: str) -> Unit:
        def images_of() -> Iterator[AnnotatedImage]:
            root = _parsed(folder / file)
            stem = Path(file).stem
            image = by_name.get(_text(root, "filename", "")) or by_stem.get(stem)
            if image is None:
                raise MedrovError(
                    ErrorCode.NOT_FOUND, "The image of the annotations is missing.", _LAYOUT_HINT
                )
            yield annotated_file(
                images / image,
                names[file],
                lambda height, width: _boxes(root, height, width),
                case=case_in_path(image, config.case),
                split=splits.get(stem),
            )

        return Unit(file, images_of)

    return Reading(tuple(unit(file) for file in files))


def _index(images: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the images by file name and by stem; a name that several share is not among them."""
    by_name: dict[str, str] = {}
    by_stem: dict[str, str] = {}
    shared: set[tuple[int, str]] = set()
    for path in raster_files(images):
        for number, (table, key) in enumerate(((by_name, Path(path).name), (by_stem, Path(path).stem))):
            if key in table:
                shared.add((number, key))
            table[key] = path
    for number, key in shared:
        del (by_name, by_stem)[number][key]
    return by_name, by_stem


def _splits(folder: Path) -> dict[str, Split]:
    """Return the split of each stem; what two lists name is in the first of train, val, test."""
    found: dict[str, Split] = {}
    for split in SPLITS:
        file = folder / f"{split}.txt"
        if file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                if line.strip():
                    found.setdefault(line.split()[0], split)
    return found


def _parsed(path: Path) -> ET.Element:
    try:
        return read_xml(path)
    except MedrovError as error:
        if error.is_input_error:
            raise
        raise _bad("is not XML, or declares a document type") from None


def _boxes(root: ET.Element, height: int, width: int) -> tuple[Annotation, ...]:
    size = root.find("size")
    if size is not None:
        said = (round(_number(size, "height")), round(_number(size, "width")))
        if all(said):  # some tools write zeros
            expect_size(height, width, said, "its XML file")
    return tuple(_annotation(item) for item in root.findall("object"))


def _annotation(item: ET.Element) -> Annotation:
    name, box = _text(item, "name", "").strip(), item.find("bndbox")
    if not name or box is None:
        raise _bad("has an object without a name or a box")
    x1, y1, x2, y2 = (_number(box, key) for key in ("xmin", "ymin", "xmax", "ymax"))
    return Annotation(name, (x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1))


def _text(element: ET.Element, key: str, default: str) -> str:
    return (element.findtext(key) or default).strip()


def _number(element: ET.Element, key: str) -> float:
    try:
        value = float(_text(element, key, ""))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _bad(f"has no number in {key}")
    return value


def _bad(what: str) -> MedrovError:
    return MedrovError(ErrorCode.BAD_METADATA, f"The XML file {what}.", "Export the annotations again.")


READER: Reader = read
