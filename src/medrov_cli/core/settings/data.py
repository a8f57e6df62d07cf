"""Settings of the ``medrov data`` commands ``check``, ``stats``, ``merge``, ``presence`` and ``phantom``."""

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
    """Rule of near-copies, see :mod:`medrov_cli.core.curation.duplicates`.

    Attributes
    ----------
    max_hamming
        Maximum number of different bits of the hashes of candidates.
    min_correlation
        Minimum correlation of the thumbnails.
    threads
        Number of files read in parallel.
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
        Dataset yaml, or source folders.
    data_root
        Folder of the sources, instead of ``root`` in the yaml.
    html
        Page to write; null: none.
    per_class, seed
        Number of boxes of each class on the page, and the seed of their selection.
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
        Source folders; each becomes a source with the name of its folder.
    output
        Folder of the new dataset.
    class_map
        See :mod:`medrov_cli.core.curation.class_map`.
    kinds
        Table of image kinds, see :mod:`medrov_cli.core.datasets.source_kinds`; null: none.
    name
        Name of the dataset; null: that of the folder.
    overwrite
        Whether to replace an existing dataset, including a presence table edited by hand.
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
    kinds: Path | None = option(
        "--kinds",
        default=None,
        metavar="FILE",
        help="CSV with the columns source and kind: the image kind of each source.",
        panel=CLASSES_PANEL,
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
        Table to write; null: ``presence.csv`` beside the yaml.
    reasons
        CSV with one row per cell: source, class, value, reason, text; null: none.
    overwrite
        Whether to replace an existing table.
    data_root
        Folder of the sources, instead of ``root`` in the yaml.
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
        Output folder, with one folder per modality.
    count
        Number of images (or volumes) per modality.
    seed
        Random seed.
    modalities
        Modalities; none: all that the format can store.
    format
        ``png``: source folders. ``masks``: PNG with one mask per class. ``dicom``: CT slices with a table of
        boxes. ``nifti``: CT volumes with label volumes. The latter three are input of ``data convert``.
    resume
        Whether to continue an interrupted run.
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
