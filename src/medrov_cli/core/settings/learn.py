"""Settings of ``medrov learn``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import excludes, usage_error
from medrov_cli.core.datasets.readers.registry import READERS
from medrov_cli.core.settings.choices import Split
from medrov_cli.core.settings.class_groups import ClassSettings
from medrov_cli.core.settings.field import argument, check_ranges, group, option, option_of
from medrov_cli.core.settings.groups import (
    CLASSES_PANEL,
    DATA_PANEL,
    OUTPUT_PANEL,
    ModelSettings,
    RuntimeSettings,
)
from medrov_cli.core.settings.io_groups import DatasetSettings, OutputSettings
from medrov_cli.core.settings.values import Prompt

UNSTATED_LICENCE = "unstated"
"""Licence of classes for which none is stated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnSettings:
    """Settings of ``learn``.

    Attributes
    ----------
    examples
        Dataset yaml, or annotations with images; with ``show`` a file of learned classes.
    show
        Whether a file of learned classes is shown, and nothing is learned.
    format
        Format of the annotations; null: by names and content.
    images, data_root, split
        Folder of the images of annotations; folder of the sources, and split of a dataset.
    classes
        Classes that are learned; empty: all with an example.
    folds
        Number of parts of the images, each held out once; 0: no validation.
    adapt
        Whether neck and head of the network are adapted, too.
    weights, text_encoder, runtime
        Network.
    licence
        Licence of the learned classes, as text.
    output, overwrite, as_json
        File of the learned classes, and whether an existing one is replaced.
    """

    examples: Path = argument(
        metavar="EXAMPLES", help="Dataset yaml, or annotations with images (COCO, CVAT, VOC, YOLO, ...)."
    )
    show: bool = option(
        "--show", default=False, help="Show a file of learned classes, given as EXAMPLES.", panel=OUTPUT_PANEL
    )
    format: str | None = option(
        "--from",
        default=None,
        choices=tuple(entry.name for entry in READERS),
        help="Format of annotations that are no dataset yaml. Default: by names and content.",
        panel=DATA_PANEL,
    )
    images: Path | None = option(
        "--images",
        default=None,
        metavar="DIR",
        help="Folder of the images of annotations. Default: inside EXAMPLES or beside it.",
        panel=DATA_PANEL,
    )
    data_root: Path | None = option_of(DatasetSettings, "data_root")
    split: Split = option_of(
        DatasetSettings, "split", default="train", help="Split of a dataset yaml that has the examples."
    )
    classes: tuple[Prompt, ...] = option_of(
        ClassSettings, "classes", help="Classes to learn, comma separated. Default: all with a box."
    )
    folds: int = option(
        "--folds",
        default=5,
        low=0,
        high=100,
        help="Parts of the images, each held out once for validation; 0: no validation.",
        panel=CLASSES_PANEL,
    )
    adapt: bool = option(
        "--adapt",
        default=False,
        help="Fit an adapter of neck and head, too: it mostly finds more (minutes; needs torch).",
        panel=CLASSES_PANEL,
    )
    weights: str = option_of(ModelSettings, "weights")
    text_encoder: str | None = option_of(ModelSettings, "text_encoder")
    runtime: RuntimeSettings = group(
        RuntimeSettings(),
        omit=("rectangles",),
        help={
            "imgsz": "Side of the square model input in pixels, a multiple of 32. Default: from the weights."
        },
    )
    licence: str = option(
        "--licence",
        default=UNSTATED_LICENCE,
        metavar="TEXT",
        help="Licence of the learned classes, written into the file.",
        panel=OUTPUT_PANEL,
    )
    output: Path | None = option_of(
        OutputSettings, "folder", metavar="FILE", help="File of the learned classes (.safetensors)."
    )
    overwrite: bool = option_of(OutputSettings, "overwrite", help="Replace an existing file.")
    as_json: bool = option_of(OutputSettings, "as_json")

    def check(self) -> None:
        """Refuse invalid values and contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        check_ranges(self)
        if self.show:
            if self.output is not None:
                raise excludes("--show", "--output", "Leave --output out.")
            return
        if self.output is None:
            raise usage_error("--output is missing", "Name the file: --output NAME.classes.safetensors.")
        if self.output.suffix.lower() != ".safetensors":
            raise usage_error(f"--output {self.output} does not end in .safetensors", "Give such a name.")
        if self.folds == 1:
            raise usage_error("--folds 1 leaves nothing to learn from", "Give 0, or a number from 2.")
        self.runtime.check()
