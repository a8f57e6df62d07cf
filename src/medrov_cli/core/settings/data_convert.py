"""Settings of ``medrov data convert``, and values that they parse from text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.datasets.readers.registry import READERS
from medrov_cli.core.settings.choices import Annotators, Axis, Modality, Split
from medrov_cli.core.settings.field import argument, group, option, option_of
from medrov_cli.core.settings.groups import INPUT_PANEL, OUTPUT_PANEL, RuntimeSettings
from medrov_cli.core.settings.io_groups import DatasetSettings, OutputSettings, ReadSettings
from medrov_cli.core.settings.label_map import LabelMap, parse_labels
from medrov_cli.core.settings.lists import parse_modality
from medrov_cli.core.settings.window import AUTO

SOURCE_PANEL = "What the source says of itself"

UNSTATED = "unstated"
"""Source of data without a stated origin."""


def parse_case_pattern(text: str | None) -> re.Pattern[str] | None:
    """Compile a regular expression of the user.

    Raises
    ------
    MedrovError
        ``usage`` if it is invalid.
    """
    if text is None:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        raise usage_error(
            f"--case {text!r} is not a regular expression: {error}",
            "Give an expression such as '^(patient[0-9]+)_' for the path below the folder of images.",
        ) from error


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """Settings of a reader; each reader uses those of its format.

    Attributes
    ----------
    path
        Input file or folder.
    case
        Expression for the case in an image's path below its folder; null: the case of the format.
    images
        Folder of the images, if they are not beside the input.
    labels
        Class names of mask values.
    components
        Whether each connected part of a mask is an object; else all pixels of a class are one.
    min_area
        Minimum number of mask pixels of an object.
    axis
        Plane of the slices of volumes.
    every
        Step between used slices of a volume or a series, from the first.
    window
        Grey-level window for volumes and DICOM, as for ``--window``.
    csv
        Table of boxes.
    readers
        Whether boxes of one object by several annotators are kept, or merged into one.
    tile
        Side of the tiles of slides, in pixels.
    skip_empty
        Whether images without objects are omitted. The conversion omits them; a reader may omit them, too, to
        save time.
    source
        Name of the source, in which case names of the source are unique.
    """

    path: Path = argument(metavar="INPUT", help="Folder or file with masks or boxes; see docs/data.md.")
    case: re.Pattern[str] | None = option(
        "--case",
        default=None,
        parse=parse_case_pattern,
        metavar="REGEX",
        help="Regular expression for the patient in an image's path (first group or match); hashed.",
        panel=SOURCE_PANEL,
    )
    images: Path | None = option(
        "--images",
        default=None,
        metavar="DIR",
        help="Folder of the images. Default: inside INPUT or beside it.",
        panel=INPUT_PANEL,
    )
    labels: LabelMap = option(
        "--labels",
        default=LabelMap(),
        parse=parse_labels,
        metavar="MAP",
        help='Classes of mask values: "1=liver,2=kidney"; "255=" omits 255; one name: binary mask.',
        panel=INPUT_PANEL,
    )
    components: bool = option(
        "--components/--no-components",
        default=True,
        help="Make one box per connected part of a mask, or one per class.",
        panel=INPUT_PANEL,
    )
    min_area: int = option(
        "--min-area",
        default=1,
        low=1,
        metavar="PIXELS",
        help="Minimum number of mask pixels of an object.",
        panel=INPUT_PANEL,
    )
    axis: Axis = option_of(ReadSettings, "axis")
    every: int = option(
        "--every",
        default=1,
        low=1,
        metavar="N",
        help="Use every N-th slice of a volume or series, starting with the first.",
        panel=INPUT_PANEL,
    )
    max_memory: int | None = option_of(RuntimeSettings, "max_memory")
    window: str = option_of(ReadSettings, "window", default=str(AUTO), parse=None, given_default=None)
    csv: Path | None = option(
        "--csv",
        default=None,
        metavar="FILE",
        help="CSV of boxes for DICOM images (columns of RSNA pneumonia or VinDr-CXR).",
        panel=INPUT_PANEL,
    )
    readers: Annotators = option(
        "--readers",
        default="keep",
        help="Boxes of one object by several readers (column rad_id): keep all, or merge to the mean.",
        panel=INPUT_PANEL,
    )
    tile: int = option(
        "--tile",
        default=512,
        low=32,
        metavar="PIXELS",
        help="Side of the tiles that are cut out of slides, in pixels of the slide.",
        panel=INPUT_PANEL,
    )
    skip_empty: bool = option(
        "--skip-empty", default=False, help="Leave out images without objects.", panel=INPUT_PANEL
    )
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertSettings:
    """Settings of ``data convert``.

    Attributes
    ----------
    format
        Name in `readers.registry.READERS`.
    output
        Folder of the new source.
    modality
        One of the nine modalities.
    licence
        Licence of the data, as text.
    source
        Origin of the data, as text; with `UNSTATED` the folder's name identifies the source.
    split
        Split of images without a split in the input.
    reader
        Settings of the reader.
    drop_repeats
        Whether only the first of equal boxes of a class on an image is kept.
    keep_metadata
        Whether EXIF, comments, text chunks and colour profiles are copied with PNG and JPEG files.
    workers
        Number of units read in parallel.
    resume
        Whether existing images in ``output`` are kept.
    """

    format: str = option(
        "--from", choices=tuple(entry.name for entry in READERS), help="Format of INPUT.", panel=INPUT_PANEL
    )
    output: Path = option(
        "--output",
        "-o",
        metavar="DIR",
        help="New folder for images/ and annotations.json.",
        panel=OUTPUT_PANEL,
    )
    modality: Modality = option(
        "--modality",
        parse=parse_modality,
        metavar="NAME",
        help=f"Modality of the images: {', '.join(Modality)}.",
        panel=SOURCE_PANEL,
    )
    licence: str = option(
        "--licence", metavar="TEXT", help='Licence of the data, for example "CC BY 4.0".', panel=SOURCE_PANEL
    )
    source: str = option(
        "--source",
        default=UNSTATED,
        metavar="TEXT",
        help="Origin of the data: a name or an address.",
        panel=SOURCE_PANEL,
    )
    split: Split = option_of(
        DatasetSettings,
        "split",
        default="train",
        help="Split of images for which INPUT states none.",
        panel=SOURCE_PANEL,
    )
    reader: ReaderSettings = group(ReaderSettings)
    drop_repeats: bool = option(
        "--drop-repeats",
        default=False,
        help="Keep one of several equal boxes of a class on an image.",
        panel=INPUT_PANEL,
    )
    keep_metadata: bool = option(
        "--keep-metadata",
        default=False,
        help="Copy PNG and JPEG files with EXIF, comments and other texts, which may contain names.",
        panel=OUTPUT_PANEL,
    )
    workers: int = option(
        "--workers", default=2, low=1, help="Number of inputs read in parallel.", panel=INPUT_PANEL
    )
    resume: bool = option_of(OutputSettings, "resume")
    as_json: bool = option_of(OutputSettings, "as_json")

    def check(self) -> None:
        """Refuse a merge of annotators for a format without them.

        Raises
        ------
        MedrovError
            ``USAGE``.
        """
        if self.reader.readers == "merge" and self.format != "dicom-csv":
            raise usage_error(
                f"--readers merge is for --from dicom-csv, not for {self.format}.",
                "Leave --readers out.",
            )
