"""Groups of options on input files, datasets and output folders."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import excludes, requires, usage_error
from medrov_cli.core.base.store_addresses import address_of
from medrov_cli.core.settings.choices import Axis, Split
from medrov_cli.core.settings.field import argument, option
from medrov_cli.core.settings.groups import DATA_PANEL, INPUT_PANEL, OUTPUT_PANEL
from medrov_cli.core.settings.window import AUTO, WindowSpec, parse_window


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSettings:
    """Settings of reading files as frames.

    Attributes
    ----------
    window
        Grey-level window.
    axis
        Plane of the slices of volumes. Other formats are read as stored.
    threads
        Number of files read in parallel.
    limits
        Limits that are checked before decoding.
    patient
        Whether frames of DICOM files contain the patient's id and name.
    by_region
        Whether slides and images beyond the limits become frames that are read by regions. Otherwise a
        slide is decoded whole, within the limits.
    """

    window: WindowSpec = option(
        "--window",
        given_default=str(AUTO),
        parse=parse_window,
        metavar="WINDOW",
        help="Grey levels: auto, tag, tag:N, lung, bone, brain, soft, or WIDTH,CENTER (CT: in HU).",
        panel=INPUT_PANEL,
        affects_result=True,
    )
    axis: Axis = option(
        "--axis",
        default="axial",
        help="Orientation of the slices of a volume (NIfTI, NRRD, MetaImage, Analyze).",
        panel=INPUT_PANEL,
        affects_result=True,
    )
    threads: int = option(
        "--threads", default=4, low=1, help="Number of files read in parallel.", panel=INPUT_PANEL
    )
    limits: InputLimits = field(default_factory=InputLimits)
    patient: bool = False
    by_region: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSettings:
    """Settings of a dataset yaml and a split.

    Attributes
    ----------
    dataset
        Dataset yaml.
    data_root
        Folder of the sources, instead of ``root`` in the yaml.
    split
        Split of the images.
    """

    dataset: Path = argument(help="Dataset yaml, which lists source folders with COCO annotations.")
    split: Split = option("--split", default="test", help="Split to evaluate.", panel=DATA_PANEL)
    data_root: Path | None = option(
        "--data-root",
        default=None,
        metavar="DIR",
        help="Folder of the sources, instead of 'root' in the yaml.",
        panel=DATA_PANEL,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSettings:
    """Output folder, and treatment of an earlier run in it.

    Attributes
    ----------
    folder
        Output folder, or the address of one on an object store; null: nothing is written.
    resume, overwrite
        Whether to continue the run in the folder, or to replace it.
    as_json
        Whether the result is printed as one JSON document.
    address
        Address that the folder is a copy of, during a run; empty: none.
    """

    folder: Path | None = option(
        "--output",
        "-o",
        default=None,
        metavar="DIR|URL",
        help="Folder for the results, also on an object store: s3://, gs://.",
        panel=OUTPUT_PANEL,
    )
    resume: bool = option(
        "--resume",
        default=False,
        help="Continue an interrupted run in the same folder.",
        panel=OUTPUT_PANEL,
    )
    overwrite: bool = option(
        "--overwrite", default=False, help="Replace an earlier run in the same folder.", panel=OUTPUT_PANEL
    )
    as_json: bool = option(
        "--json", default=False, help="Print one JSON document on stdout.", panel=OUTPUT_PANEL
    )
    address: str = ""

    @property
    def place(self) -> str | None:
        """Return the address or the path of the output, for messages; null: nothing is written."""
        return None if self.folder is None else self.address or address_of(self.folder) or str(self.folder)

    def check(self) -> None:
        """Refuse contradictions, and a file instead of a folder.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        if self.resume and self.overwrite:
            raise excludes("--resume", "--overwrite")
        for flag, is_given in (("--resume", self.resume), ("--overwrite", self.overwrite)):
            if is_given and self.folder is None:
                raise requires(flag, "--output", "Add --output.")
        if self.folder is not None and self.folder.exists() and not self.folder.is_dir():
            raise usage_error(f"--output {self.folder} is a file", "Give a folder.")
