"""Settings of the ``medrov weights`` commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.settings.field import argument, option, option_of
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.settings.io_groups import OutputSettings


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
        The ``.pt`` file, or a ``.safetensors`` file of a YOLOv8.
    output
        The ``.safetensors`` file to write; null: named after the checkpoint, in this folder.
    name, text_encoder, imgsz
        What the checkpoint does not say about itself, or says wrongly; null: as found. The encoder is
        a spec: ``minilm``, ``hf-hub:ORG/NAME``, ``local-dir:PATH``.
    overwrite
        Replace ``output`` where it is there.
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


@dataclass(frozen=True, slots=True)
class WeightsPullSettings:
    """Settings of ``weights pull``."""

    name: str = argument(metavar="NAME", help="Name in the manifest.")
    offline: bool = option_of(RuntimeSettings, "offline")
    as_json: bool = option_of(OutputSettings, "as_json")
