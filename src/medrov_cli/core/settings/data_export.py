"""Settings of ``medrov data export``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.datasets.writers.registry import WRITERS
from medrov_cli.core.settings.choices import SplitName
from medrov_cli.core.settings.field import argument, option, option_of
from medrov_cli.core.settings.groups import DATA_PANEL, OUTPUT_PANEL
from medrov_cli.core.settings.io_groups import DatasetSettings, OutputSettings

FORM_PANEL = "What to write"


@dataclass(frozen=True, slots=True)
class DataExportSettings:
    """Settings of ``data export``.

    Attributes
    ----------
    dataset
        Dataset yaml or source folder.
    to
        Format of the other tool.
    output
        Folder to write to.
    data_root
        Folder of the sources, instead of ``root`` in the yaml.
    sources
        Exported sources of the yaml; none: all.
    splits
        Exported splits; none: all.
    image_url
        Text before ``images/...`` in the addresses of Label Studio's tasks; null: its local files.
    link_images
        Whether to make hard links instead of copies, where the file system supports them.
    resume
        Whether to continue an interrupted export.
    """

    dataset: Path = argument(metavar="DATASET", help="Dataset yaml, or one source folder.")
    to: str = option(
        "--to",
        choices=tuple(entry.name for entry in WRITERS),
        help="Output format.",
        panel=FORM_PANEL,
    )
    output: Path = option(
        "--output", "-o", metavar="DIR", help="New or empty folder to write to.", panel=OUTPUT_PANEL
    )
    data_root: Path | None = option_of(DatasetSettings, "data_root")
    sources: tuple[str, ...] = option(
        "--source",
        default=(),
        metavar="NAME",
        help="Source of the yaml to export; may be repeated. Default: all.",
        panel=DATA_PANEL,
    )
    splits: tuple[SplitName, ...] = option(
        "--split", default=(), help="Split to export; may be repeated. Default: all.", panel=DATA_PANEL
    )
    image_url: str | None = option(
        "--image-url",
        default=None,
        metavar="PREFIX",
        help="URL before images/NAME in Label Studio's tasks. Default: its local files.",
        panel=FORM_PANEL,
    )
    link_images: bool = option(
        "--link-images/--copy-images",
        default=False,
        help="Make hard links instead of copies where possible.",
        panel=OUTPUT_PANEL,
    )
    resume: bool = option_of(OutputSettings, "resume")
    as_json: bool = option_of(OutputSettings, "as_json")

    def check(self) -> None:
        """Refuse an image address for a format without addresses.

        Raises
        ------
        MedrovError
            ``USAGE``.
        """
        if self.image_url is not None and self.to != "label-studio":
            raise usage_error("--image-url is for --to label-studio.", "Leave it out.")
