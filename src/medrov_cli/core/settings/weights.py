"""Settings of the ``medrov weights`` commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.settings.choices import Precision
from medrov_cli.core.settings.class_groups import ClassSettings
from medrov_cli.core.settings.field import argument, group, option, option_of
from medrov_cli.core.settings.groups import MODEL_PANEL, ModelSettings, RuntimeSettings
from medrov_cli.core.settings.io_groups import OutputSettings
from medrov_cli.core.settings.lists import parse_cores


@dataclass(frozen=True, slots=True)
class WeightsListSettings:
    """Settings of ``weights list``."""

    as_json: bool = option_of(OutputSettings, "as_json")


@dataclass(frozen=True, slots=True)
class WeightsFileSettings:
    """Settings of ``weights show`` and ``weights verify``: name in the manifest, or a file."""

    weights: str = argument(metavar="NAME|FILE", help="Name in the manifest, or a .safetensors file.")
    as_json: bool = option_of(OutputSettings, "as_json")


@dataclass(frozen=True, slots=True)
class WeightsImportSettings:
    """Settings of ``weights import``.

    Attributes
    ----------
    checkpoint
        ``.pt`` file, or a ``.safetensors`` file of a YOLOv8.
    output
        ``.safetensors`` file to write; null: named after the checkpoint, in this folder.
    name, text_encoder, imgsz
        Values that replace those of the checkpoint; null: as in the checkpoint. The encoder is a
        specification: ``minilm``, ``hf-hub:ORG/NAME``, ``local-dir:PATH``.
    overwrite
        Whether to replace an existing ``output``.
    """

    checkpoint: Path = argument(
        metavar="FILE", help="YOLO-World v2 checkpoint, or closed-set YOLOv8 as a start for training."
    )
    output: Path | None = option(
        "--output",
        "-o",
        default=None,
        metavar="FILE",
        help=".safetensors file to write. Default: name of the checkpoint in this folder.",
    )
    name: str | None = option(
        "--name", default=None, metavar="NAME", help="Name of the model. Default: name of the file."
    )
    text_encoder: str | None = option(
        "--text-encoder",
        default=None,
        metavar="SPEC",
        help="Text encoder of its training. Default: BiomedCLIP for MedROV, else CLIP ViT-B/32.",
    )
    imgsz: int | None = option(
        "--imgsz",
        default=None,
        metavar="PIXELS",
        help="Side of the model input in pixels. Default: that of its training.",
    )
    overwrite: bool = option("--overwrite", default=False, help="Replace the output file.")
    as_json: bool = option_of(OutputSettings, "as_json")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsPrepareSettings:
    """Settings of ``weights prepare``.

    Attributes
    ----------
    cache
        Folder to fill, for ``MEDROV_CACHE``.
    weights
        Name in the manifest, a ``.safetensors`` file, or a model of ``medrov export``.
    classes
        Further classes whose embeddings are stored.
    cores
        Numbers of cores for which the network is compiled; empty: those of this process.
    imgsz, precision
        As in ``detect``.
    offline
        Whether the network is forbidden.
    """

    cache: Path = option(
        "--cache", metavar="DIR", help="Folder to fill; later runs read it with MEDROV_CACHE=DIR."
    )
    weights: str = option_of(
        ModelSettings,
        "weights",
        help="Name from 'medrov weights list', .safetensors file, or model of 'medrov export'.",
    )
    classes: ClassSettings = group(ClassSettings())
    imgsz: int | None = option_of(RuntimeSettings, "imgsz")
    precision: Precision = option_of(RuntimeSettings, "precision")
    cores: tuple[int, ...] = option(
        "--cores",
        default=(),
        parse=parse_cores,
        metavar="LIST",
        help="Numbers of cores (OMP_NUM_THREADS) of later runs, comma separated. Default: of this run.",
        panel=MODEL_PANEL,
    )
    offline: bool = option_of(RuntimeSettings, "offline")
    as_json: bool = option_of(OutputSettings, "as_json")

    def check(self) -> None:
        """Refuse invalid values and contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        self.classes.check()
        self.runtime.check()

    @property
    def runtime(self) -> RuntimeSettings:
        """Return the settings of the network; the CPU engines alone compile a graph."""
        return RuntimeSettings("cpu", precision=self.precision, imgsz=self.imgsz, offline=self.offline)


@dataclass(frozen=True, slots=True)
class WeightsPullSettings:
    """Settings of ``weights pull``."""

    name: str = argument(metavar="NAME", help="Name in the manifest.")
    offline: bool = option_of(RuntimeSettings, "offline")
    as_json: bool = option_of(OutputSettings, "as_json")
