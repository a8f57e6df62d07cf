"""Options that several commands share, each named once.

A command gives the default: ``weights: options.Weights = DEFAULT_WEIGHTS``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from medrov_cli.core.settings.choices import OUTPUT_FORMATS_HELP

CLASSES_PANEL = "What to find"
DATA_PANEL = "Images and classes"
INPUT_PANEL = "Input"
MODEL_PANEL = "Model"
OUTPUT_PANEL = "Output"
"""Headings under which ``--help`` groups options."""

Classes = Annotated[
    str | None,
    typer.Option(
        "--classes",
        "-c",
        metavar="TEXT",
        help='What to find, comma separated: "lung nodule, polyp"; a/b are synonyms of one class.',
        rich_help_panel=CLASSES_PANEL,
    ),
]

ClassesFile = Annotated[
    Path | None,
    typer.Option(
        "--classes-file",
        metavar="FILE",
        help="The same from a text file, one class a line; - reads stdin.",
        rich_help_panel=CLASSES_PANEL,
    ),
]

Conf = Annotated[
    float | None,
    typer.Option(
        "--conf",
        min=0,
        max=1,
        help="Lowest score of a detection. Default: each class's own, stored with the weights, else 0.25.",
        rich_help_panel=CLASSES_PANEL,
    ),
]

RawScores = Annotated[
    bool,
    typer.Option(
        "--raw-scores", help="Show the network's scores, not calibrated.", rich_help_panel=CLASSES_PANEL
    ),
]

Iou = Annotated[
    float,
    typer.Option(
        "--iou",
        min=0,
        max=1,
        help="Overlap from which the weaker of two boxes of a class is dropped.",
        rich_help_panel=CLASSES_PANEL,
    ),
]

MaxDet = Annotated[
    int,
    typer.Option("--max-det", min=1, help="Most detections in one image.", rich_help_panel=CLASSES_PANEL),
]

Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        "-w",
        metavar="NAME|FILE",
        help="A name of 'medrov weights list', or a .safetensors file.",
        rich_help_panel=MODEL_PANEL,
    ),
]

WeightsOrModel = Annotated[
    str,
    typer.Option(
        "--weights",
        "-w",
        metavar="NAME|FILE",
        help="A name of 'medrov weights list', a .safetensors file, or a model of 'medrov export'.",
        rich_help_panel=MODEL_PANEL,
    ),
]

TextEncoder = Annotated[
    str | None,
    typer.Option(
        "--text-encoder",
        metavar="SPEC",
        help="minilm (offline), hf-hub:ORG/NAME or local-dir:FOLDER. Default: the one of the weights.",
        rich_help_panel=MODEL_PANEL,
    ),
]

Imgsz = Annotated[
    int | None,
    typer.Option(
        "--imgsz",
        metavar="PIXELS",
        help="Side of the square model input, a multiple of 32. Default: the one of the weights.",
        rich_help_panel=MODEL_PANEL,
    ),
]

Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=MODEL_PANEL
    ),
]

DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        metavar="DIR",
        help="Folder of the sources, in place of the yaml's 'root'.",
        rich_help_panel=DATA_PANEL,
    ),
]

Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Forbid every use of the network (also MEDROV_OFFLINE=1).",
        rich_help_panel=MODEL_PANEL,
    ),
]

Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="DIR", help="Folder for the results.", rich_help_panel=OUTPUT_PANEL
    ),
]

Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on where an interrupted run in the same folder ended.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]

Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document on stdout.", rich_help_panel=OUTPUT_PANEL),
]

Window = Annotated[
    str,
    typer.Option(
        "--window",
        metavar="WINDOW",
        help="auto, tag, tag:N, lung, bone, brain, soft, or WIDTH,CENTER (HU for CT).",
        rich_help_panel=INPUT_PANEL,
    ),
]

Axis = Annotated[
    Literal["axial", "coronal", "sagittal"],
    typer.Option("--axis", help="Slices of a NIfTI volume.", rich_help_panel=INPUT_PANEL),
]

Shard = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Take every N-th input, from the I-th: one job of an array.",
        rich_help_panel=INPUT_PANEL,
    ),
]

Strict = Annotated[
    bool,
    typer.Option("--strict", help="Stop at the first input that fails.", rich_help_panel=INPUT_PANEL),
]

Threads = Annotated[
    int,
    typer.Option("--threads", min=1, help="Files that are read at once.", rich_help_panel=INPUT_PANEL),
]

Engine = Annotated[
    Literal["auto", "openvino", "onnx", "torch"],
    typer.Option(
        "--engine",
        help="What runs the network. auto: openvino on a CPU, torch on a GPU.",
        rich_help_panel=MODEL_PANEL,
    ),
]

Precision = Annotated[
    Literal["fp32", "bf16"],
    typer.Option("--precision", help="Number format of the network.", rich_help_panel=MODEL_PANEL),
]

Batch = Annotated[
    int | None,
    typer.Option(
        "--batch",
        min=1,
        metavar="IMAGES",
        help="Images a forward pass. Default: 8 on a GPU; on a CPU as many as fill it.",
        rich_help_panel=MODEL_PANEL,
    ),
]

Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        "-f",
        metavar="LIST",
        help=f"{OUTPUT_FORMATS_HELP}; several with commas.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]

Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Replace an earlier run in the same folder.", rich_help_panel=OUTPUT_PANEL
    ),
]

Timings = Annotated[
    bool,
    typer.Option(
        "--timings",
        help="Write the milliseconds of each image; without it, equal runs give equal bytes.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]

Phi = Annotated[
    Literal["drop", "hash", "keep"],
    typer.Option(
        "--phi",
        help="Of DICOM headers, beside modality, size and spacing: the UIDs (drop), the UIDs hashed (hash), "
        "or also the patient's name and id (keep).",
        rich_help_panel=OUTPUT_PANEL,
    ),
]
