"""Options of ``medrov export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from medrov_cli import options

FORM_PANEL = "What to write"
CHECK_PANEL = "Images to check with"
NMS_PANEL = "With --nms"

To = Annotated[
    Literal["onnx", "openvino", "torchscript", "tensorrt", "coreml"],
    typer.Option("--to", help="Kind of model file.", rich_help_panel=FORM_PANEL),
]

Precision = Annotated[
    Literal["fp32", "fp16", "bf16", "int8"],
    typer.Option(
        "--precision",
        help="Number format. Not every kind of file has all: onnx fp32, fp16, int8; openvino all; "
        "torchscript fp32; tensorrt fp32, fp16, bf16; coreml fp32, fp16.",
        rich_help_panel=FORM_PANEL,
    ),
]

Open = Annotated[
    bool,
    typer.Option(
        "--open",
        help="Keep class embeddings an input: any classes, when it runs. Else classes are worked in.",
        rich_help_panel=options.CLASSES_PANEL,
    ),
]

Dynamic = Annotated[
    bool,
    typer.Option(
        "--dynamic",
        help="Any image size that is a multiple of 32 (onnx, openvino).",
        rich_help_panel=FORM_PANEL,
    ),
]

Nms = Annotated[
    bool,
    typer.Option(
        "--nms",
        help="Put thresholds and suppression inside (onnx, openvino): detections come out.",
        rich_help_panel=FORM_PANEL,
    ),
]

Conf = Annotated[
    float | None,
    typer.Option(
        "--conf",
        min=0,
        max=1,
        help="Lowest score of a detection, as detect shows it. Default: each class's own, else 0.25.",
        rich_help_panel=NMS_PANEL,
    ),
]

Iou = Annotated[
    float,
    typer.Option(
        "--iou",
        min=0,
        max=1,
        help="Overlap from which the weaker of two boxes of a class is dropped.",
        rich_help_panel=NMS_PANEL,
    ),
]

MaxDet = Annotated[
    int,
    typer.Option("--max-det", min=1, help="Most detections in one image.", rich_help_panel=NMS_PANEL),
]

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="YAML",
        help="Dataset whose images check (and calibrate) the model, and show the change of mAP50. "
        "Default: phantoms.",
        rich_help_panel=CHECK_PANEL,
    ),
]

DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        metavar="DIR",
        help="Folder of the sources, in place of the yaml's 'root'.",
        rich_help_panel=CHECK_PANEL,
    ),
]

Split = Annotated[
    Literal["train", "val", "test"],
    typer.Option("--split", help="Split of --data.", rich_help_panel=CHECK_PANEL),
]

Images = Annotated[
    int,
    typer.Option("--images", help="How many images, at least 64.", rich_help_panel=CHECK_PANEL),
]

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="File to write; for openvino and coreml a folder. Default: the weights' name, in this folder.",
        rich_help_panel=options.OUTPUT_PANEL,
    ),
]

Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace what is there.", rich_help_panel=options.OUTPUT_PANEL),
]
