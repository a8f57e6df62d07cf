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
        metavar="FILE", help="Checkpoint of YOLO-World v2, or of a closed-set YOLOv8 as a start for training."
    )
    output: Path | None = option(
        "--output",
        "-o",
        default=None,
        metavar="FILE",
        help="The .safetensors file to write; FILE.safetensors here.",
    )
    name: str | None = option(
        "--name", default=None, metavar="NAME", help="Name of the model; the file's by default."
    )
    text_encoder: str | None = option(
        "--text-encoder",
        default=None,
        metavar="SPEC",
        help="Text encoder it was trained with, e.g. hf-hub:ORG/MODEL. By default BiomedCLIP for "
        "MedROV's own checkpoint, OpenAI's CLIP ViT-B/32 for others.",
    )
    imgsz: int | None = option(
        "--imgsz",
        default=None,
        metavar="PIXELS",
        help="Side of the model input; that of its training by default.",
    )
    overwrite: bool = option("--overwrite", default=False, help="Replace the output file.")
    as_json: bool = option_of(OutputSettings, "as_json")


@dataclass(frozen=True, slots=True)
class WeightsPullSettings:
    """Settings of ``weights pull``."""

    name: str = argument(metavar="NAME", help="Name in the manifest.")
    offline: bool = option_of(RuntimeSettings, "offline")
    as_json: bool = option_of(OutputSettings, "as_json")
