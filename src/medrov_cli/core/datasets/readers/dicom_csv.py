"""Read DICOM images and a table of boxes, with the columns of the RSNA pneumonia challenge or of VinDr-CXR.

An image of which the table says nothing is left out; one with rows but without a box has no objects.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.datasets.box_forms import require_pixels
from medrov_cli.core.datasets.cases import case_in_path, hashed_case
from medrov_cli.core.datasets.readers.protocol import Reader, Reading, Unit, listed
from medrov_cli.core.datasets.readers.shared.box_csv import CsvTable, TableRow, read_table
from medrov_cli.core.datasets.readers.shared.dicom_folder import DicomHeader, read_header, scan, slices_of
from medrov_cli.core.datasets.readers.shared.raster_images import nothing_in
from medrov_cli.core.datasets.readers.shared.reader_agreement import merge_readers
from medrov_cli.core.pixels.dicom.slice_geometry import placed_slice
from medrov_cli.core.pixels.inputs import visible_files
from medrov_cli.core.pixels.names import natural_key
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.pixels.sniff import Kind, sniff
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.records.volume_slice import VolumeSlice
from medrov_cli.core.settings.data_convert import ReaderSettings
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.window import parse_window

_LAYOUT_HINT = "Give the folder of the DICOM files and --csv TABLE.csv."


def read(config: ReaderSettings) -> Reading:
    """List one unit an image of the table, found by the stem of its file, else by its SOP instance UID.

    Raises
    ------
    MedrovError
        ``usage``, ``not_found``, ``no_input`` or ``dataset_invalid``.
    """
    options = ReadSettings(window=parse_window(config.window))
    folder = config.images or config.path
    if not folder.is_dir():
        raise nothing_in(folder, "no folder of DICOM files", _LAYOUT_HINT)
    table = read_table(_csv_of(config), config.labels.binary or config.labels.names.get(1))
    if config.readers == "merge" and not table.has_readers:
        raise usage_error(
            f"--readers merge: {table.name} has no reader of a box.",
            "Add a column rad_id as in VinDr-CXR, or leave --readers out.",
        )
    files = _find(folder, table)
    if not files:
        raise nothing_in(folder, f"no DICOM file of an image in {table.name}", _LAYOUT_HINT)

    def unit(image: str, relative: str) -> Unit:
        def images_of() -> Iterator[AnnotatedImage]:
            yield _annotated(config, options, folder / relative, relative, table.rows[image])

        return Unit(relative, images_of)

    found = sorted(files.items(), key=lambda entry: natural_key(entry[1]))
    absent = [rows[0].number for image, rows in table.rows.items() if image not in files]
    return Reading(
        (
            *(unit(image, relative) for image, relative in found),
            *(_missing(table.name, row) for row in sorted(absent)),
        ),
        table.class_names,
        tuple(_left_out(folder, files.values(), table)),
    )


def _left_out(folder: Path, used: Collection[str], table: CsvTable) -> Iterator[str]:
    """Yield a sentence about the DICOM files of which the table states nothing."""
    other = visible_files(folder, lambda path: path.is_file() and sniff(str(path)) is Kind.DICOM)
    left = [relative for relative in other if relative not in set(used)]
    if left:
        yield f"{len(left)} DICOM file(s) are not in {table.name} and were left out: {listed(left)}"


def _csv_of(config: ReaderSettings) -> Path:
    """Return the table: the option, INPUT itself where images are elsewhere, or the only one in INPUT."""
    if config.csv is not None:
        return config.csv
    if config.path.is_file():
        return config.path
    tables = sorted(config.path.glob("*.csv"))
    if len(tables) != 1:
        raise usage_error(f"--csv is missing, and {config.path} holds {len(tables)} tables.", _LAYOUT_HINT)
    return tables[0]


def _find(folder: Path, table: CsvTable) -> dict[str, str]:
    """Return the relative path of each image of the table that is there."""
    files: dict[str, str] = {}
    for path in folder.rglob("*"):
        relative = path.relative_to(folder).as_posix()
        image = next((text for text in (path.name, path.stem) if text in table.rows), None)
        if image is None or not path.is_file() or any(part.startswith(".") for part in Path(relative).parts):
            continue
        if image in files:
            raise MedrovError(
                ErrorCode.DATASET_INVALID,
                f"{min(relative, files[image])} and {max(relative, files[image])} are one image of "
                f"{table.name}.",
                "Remove one of them.",
            )
        files[image] = relative
    if len(files) < len(table.rows):
        known = set(files.values())
        for header in scan(folder):
            uid = header.text("SOPInstanceUID")
            if uid in table.rows and uid not in files and header.relative not in known:
                files[uid] = header.relative
    return files


def _annotated(
    config: ReaderSettings, options: ReadSettings, path: Path, relative: str, rows: Sequence[TableRow]
) -> AnnotatedImage:
    annotations = _annotations(rows, config)
    header = _header(path, relative, options)
    slices = slices_of(header)
    frames = list(islice(read_frames(str(path), options), 2))
    if len(frames) != 1 or len(slices) != 1:
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT,
            "The file has several frames, and the table does not state the frame of a box.",
            "Give single images.",
        )
    pixels = frames[0].pixels_rgb
    return AnnotatedImage(
        name=slices[0].name,
        height=frames[0].height,
        width=frames[0].width,
        annotations=annotations,
        read=lambda: pixels,
        case=case_in_path(relative, config.case) if config.case is not None else header.case,
        volume=_volume_slice(header),
    )


def _volume_slice(header: DicomHeader) -> VolumeSlice | None:
    """Return the slice of a series that an image is; null without a place in the patient."""
    placed = placed_slice(header.dataset, 0)
    uid = header.text("SeriesInstanceUID")
    if placed.plane is None or not uid:
        return None
    return VolumeSlice(hashed_case(uid), max(int(placed.number or 0), 0), placed.plane)


def _annotations(rows: Sequence[TableRow], config: ReaderSettings) -> tuple[Annotation, ...]:
    """Return what an image's lines say; one that is wrong spoils the image."""
    is_joined = config.readers == "merge"
    drawn = []
    for row in rows:
        problem = row.problem
        if is_joined and row.drawn is not None and not row.drawn.annotator:
            problem = "has a box without a reader"
        if problem is not None:
            raise MedrovError(
                ErrorCode.BAD_METADATA,
                f"Line {row.number} of the table {problem}.",
                "Correct the table, or remove the image from it.",
            )
        if row.drawn is not None:
            drawn.append(row.drawn)
    require_pixels([own.box_xywh for own in drawn])
    return merge_readers(drawn) if is_joined else tuple(drawn)


def _header(path: Path, relative: str, options: ReadSettings) -> DicomHeader:
    header = read_header(path, relative)
    if header is None:
        next(iter(read_frames(str(path), options)))  # says what is wrong with the file
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT, "The file is not a DICOM image.", "Use --from coco or voc for PNG."
        )
    return header


def _missing(table: str, row: int) -> Unit:
    """Return the unit of an image that is not there: named by its line, for its id may be a patient's."""

    def images_of() -> tuple[AnnotatedImage, ...]:
        raise MedrovError(
            ErrorCode.NOT_FOUND,
            "The image of this line of the table is missing.",
            "Add the file whose name or SOP instance UID is the id, or correct the table.",
        )

    return Unit(f"{table}:{row}", images_of)


READER: Reader = read
