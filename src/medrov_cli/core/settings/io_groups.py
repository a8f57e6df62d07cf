"""Groups of options on input files, datasets and output folders."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import excludes, requires, usage_error
from medrov_cli.core.settings.choices import Axis, Split
from medrov_cli.core.settings.field import argument, option
from medrov_cli.core.settings.groups import DATA_PANEL, INPUT_PANEL, OUTPUT_PANEL
from medrov_cli.core.settings.window import AUTO, WindowSpec, parse_window


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSettings:
    """How files become frames.

    Attributes
    ----------
    window
        Grey-level window.
    axis
        Plane in which NIfTI volumes are cut. Other formats are read as they are stored.
    threads
        Files that are read at once.
    limits
        What is refused before decoding.
    patient
        Whether frames of DICOM files carry the patient's id and name.
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
        help="Orientation of the slices of a NIfTI volume.",
        panel=INPUT_PANEL,
        affects_result=True,
    )
    threads: int = option(
        "--threads", default=4, low=1, help="Number of files read in parallel.", panel=INPUT_PANEL
    )
    limits: InputLimits = field(default_factory=InputLimits)
    patient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSettings:
    """The images of a dataset yaml.

    Attributes
    ----------
    dataset
        The yaml.
    data_root
        Folder of the sources, in place of the yaml's own ``root``.
    split
        Which images.
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
    """Where results go, and what becomes of an earlier run there.

    Attributes
    ----------
    folder
        Output folder; null: nothing is written.
    resume, overwrite
        Continue the run that is in the folder, or replace it.
    as_json
        Print the result as one JSON document.
    """

    folder: Path | None = option(
        "--output", "-o", default=None, metavar="DIR", help="Folder for the results.", panel=OUTPUT_PANEL
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

    def check(self) -> None:
        """Refuse contradictions, and a file in place of a folder.

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
