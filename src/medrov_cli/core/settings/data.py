"""Settings of the ``medrov data`` commands that have no file of their own here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.settings.choices import Modality, PhantomFormat
from medrov_cli.core.settings.field import argument, group, option, option_of
from medrov_cli.core.settings.groups import CLASSES_PANEL, OUTPUT_PANEL
from medrov_cli.core.settings.io_groups import DatasetSettings, OutputSettings, ReadSettings
from medrov_cli.core.settings.lists import parse_modalities

COPIES_PANEL = "Near-copies"
DRAWING_PANEL = "What to draw"
PAGE_PANEL = "Page"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySettings:
    """What counts as nearly the same image: see :mod:`medrov_cli.core.curation.duplicates`.

    Attributes
    ----------
    max_hamming
        Bits in which the hashes of candidates may differ.
    min_correlation
        Least correlation of the thumbnails.
    threads
        Files that are read at once.
    """

    max_hamming: int = option(
        "--hamming",
        default=10,
        low=0,
        high=64,
        help="Maximum number of different bits (of 64) of the hashes of near-copies.",
        panel=COPIES_PANEL,
        source="measured: scaling, contrast and strong JPEG change 4",
    )
    min_correlation: float = option(
        "--correlation",
        default=0.95,
        low=0,
        high=1,
        help="Minimum correlation of two images after subtraction of their source's mean image.",
        panel=COPIES_PANEL,
        source="measured on 7,228 images of nine modalities: no false pair (41 pairs of different cases, "
        "inspected one by one); scaling, other contrast and strong JPEG leave at least 0.976",
    )
    threads: int = option_of(ReadSettings, "threads")


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """Settings of ``data check``: a dataset yaml, or source folders, and the rule of near-copies."""

    inputs: tuple[Path, ...] = argument(
        metavar="DATASET.yaml|SOURCE_DIR...", help="Dataset yaml, or source folders."
    )
    data_root: Path | None = option_of(DatasetSettings, "data_root")
    copies: CopySettings = group(CopySettings())
    as_json: bool = option_of(OutputSettings, "as_json")


@dataclass(frozen=True, slots=True)
class StatsSettings:
    """Settings of ``data stats``.

    Attributes
    ----------
    inputs
        A dataset yaml, or source folders.
    data_root
        In place of the yaml's own ``root``.
    html
        Page to write; null: none.
    per_class, seed
        Boxes of each class on the page, and the seed of their choice.
    """

    inputs: tuple[Path, ...] = option_of(CheckSettings, "inputs")
    data_root: Path | None = option_of(DatasetSettings, "data_root")
    html: Path | None = option(
        "--html",
        default=None,
        metavar="FILE",
        help="HTML page to write with example boxes of each class; it contains parts of the images.",
        panel=PAGE_PANEL,
    )
    per_class: int = option(
        "--per-class", default=8, low=1, help="Number of pictures per class.", panel=PAGE_PANEL
    )
    seed: int = option(
        "--seed", default=0, low=0, help="Random seed of the selection of boxes.", panel=PAGE_PANEL
    )
    as_json: bool = option_of(OutputSettings, "as_json")


@dataclass(frozen=True, slots=True)
class MergeSettings:
    """Settings of ``data merge``.

    Attributes
    ----------
    sources
        Folders; each becomes a source with the name of its folder.
    output
        Folder of the new dataset.
    class_map
        See :mod:`medrov_cli.core.curation.class_map`.
    name
        Of the dataset; null: that of the folder.
    overwrite
        Replace a dataset that is there already, and with it a presence table edited by hand.
    """

    sources: tuple[Path, ...] = argument(
        metavar="SOURCE_DIR...", help="Source folders (annotations.json and images/)."
    )
    output: Path = option(
        "--output",
        "-o",
        metavar="DIR",
        help="Folder for dataset.yaml, presence.csv and merge.json.",
        panel=OUTPUT_PANEL,
    )
    class_map: Path | None = option(
        "--map",
        default=None,
        metavar="FILE",
        help="Class map, a yaml with rename, drop, synonyms, and sources (rules of one source).",
        panel=CLASSES_PANEL,
    )
    name: str | None = option(
        "--name",
        default=None,
        metavar="TEXT",
        help="Name of the dataset. Default: name of the folder.",
        panel=OUTPUT_PANEL,
    )
    overwrite: bool = option_of(
        OutputSettings, "overwrite", help="Replace a dataset in the same folder, with its presence.csv."
    )
    as_json: bool = option_of(OutputSettings, "as_json")


@dataclass(frozen=True, slots=True)
class PresenceSettings:
    """Settings of ``data presence``.

    Attributes
    ----------
    dataset
        Dataset yaml.
    output
        The table; null: ``presence.csv`` beside the yaml.
    reasons
        CSV with a row a cell: source, class, value, reason, text; null: none.
    overwrite
        Replace a table that is there already.
    data_root
        In place of the yaml's own ``root``.
    """

    dataset: Path = argument(metavar="DATASET.yaml", help="Dataset yaml.")
    output: Path | None = option(
        "--output",
        "-o",
        default=None,
        metavar="FILE",
        help="Table to write. Default: presence.csv beside the yaml.",
        panel=OUTPUT_PANEL,
    )
    reasons: Path | None = option(
        "--reasons",
        default=None,
        metavar="FILE",
        help="CSV to write with the reason of each cell.",
        panel=OUTPUT_PANEL,
    )
    overwrite: bool = option_of(OutputSettings, "overwrite", help="Replace an existing table.")
    data_root: Path | None = option_of(DatasetSettings, "data_root")
    as_json: bool = option_of(OutputSettings, "as_json")


@dataclass(frozen=True, slots=True)
class PhantomSettings:
    """Settings of ``data phantom``.

    Attributes
    ----------
    output
        Folder for one folder a modality.
    count
        Images (or volumes) a modality.
    seed
        Other seeds give other images.
    modalities
        Which; none: all that the format can hold.
    format
        ``png``: source folders. ``masks``: PNG with a mask a class. ``dicom``: CT slices with a table of
        boxes. ``nifti``: CT volumes with label volumes. The latter three are for ``data convert``.
    resume
        Continue an interrupted run.
    """

    output: Path = option(
        "--output",
        "-o",
        metavar="DIR",
        help="Output folder; each modality gets a folder below it.",
        panel=OUTPUT_PANEL,
    )
    count: int = option(
        "--count", default=100, low=1, metavar="N", help="Number of images per modality.", panel=DRAWING_PANEL
    )
    seed: int = option(
        "--seed",
        default=0,
        low=0,
        metavar="N",
        help="Random seed; equal seeds give equal bytes.",
        panel=DRAWING_PANEL,
    )
    modalities: tuple[Modality, ...] = option(
        "--modality",
        default=(),
        given=list[str],
        parse=parse_modalities,
        metavar="LIST",
        help=f"Comma separated: {', '.join(Modality)}. Default: all that the format can store.",
        panel=DRAWING_PANEL,
    )
    format: PhantomFormat = option(
        "--format",
        "-f",
        default="png",
        help="png: source folders; masks, dicom (CT, CSV of boxes), nifti (CT): input of 'data convert'.",
        panel=OUTPUT_PANEL,
    )
    resume: bool = option_of(OutputSettings, "resume")
    as_json: bool = option_of(OutputSettings, "as_json")
