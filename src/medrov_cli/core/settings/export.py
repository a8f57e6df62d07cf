"""Settings of ``medrov export``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import excludes, requires, usage_error
from medrov_cli.core.settings.choices import ExportFormat, ExportPrecision, Split
from medrov_cli.core.settings.field import check_ranges, given_flags, group, option, option_of
from medrov_cli.core.settings.groups import (
    CLASSES_PANEL,
    ClassSettings,
    ModelSettings,
    RuntimeSettings,
    SelectionSettings,
)
from medrov_cli.core.settings.io_groups import DatasetSettings, OutputSettings
from medrov_cli.core.settings.values import check_imgsz

CHECK_PANEL = "Images to check with"
FORM_PANEL = "What to write"
NMS_PANEL = "With --nms"

FEWEST_IMAGES = 64
"""Images that an export is checked on, at least."""

DEFAULT_IMAGES = 72
"""Eight phantoms of each modality."""

_P = ExportPrecision
PRECISIONS: dict[ExportFormat, tuple[ExportPrecision, ...]] = {
    ExportFormat.ONNX: (_P.FP32, _P.FP16, _P.INT8),
    ExportFormat.OPENVINO: (_P.FP32, _P.FP16, _P.BF16, _P.INT8),
    ExportFormat.TORCHSCRIPT: (_P.FP32,),
    ExportFormat.TENSORRT: (_P.FP32, _P.FP16, _P.BF16),
    ExportFormat.COREML: (_P.FP32, _P.FP16),
}
"""What each format can hold."""

TRACED = (ExportFormat.TORCHSCRIPT, ExportFormat.COREML)
"""Formats that come from a traced torch network: one size of image, and no suppression inside."""

SUFFIXES = {
    ExportFormat.ONNX: ".onnx",
    ExportFormat.OPENVINO: "",  # a folder
    ExportFormat.TORCHSCRIPT: ".torchscript",
    ExportFormat.TENSORRT: ".engine",
    ExportFormat.COREML: "",  # a folder with a .mlpackage, itself a folder
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """Settings of ``export``.

    Attributes
    ----------
    to, precision
        Kind of file, and its number format.
    classes
        What the model finds; the vocabulary of the weights where none are given.
    is_open
        Class embeddings stay an input.
    weights
        Name in the manifest, or a ``.safetensors`` file.
    text_encoder
        Spec of the text encoder of ``classes``; that of the weights where null.
    imgsz
        Side of the square model input, in pixels; that of the weights where null.
    dynamic
        Any size that is a multiple of 32; it is checked at ``imgsz`` and at a smaller one.
    nms
        Whether the suppression is inside.
    selection
        Settings of that suppression, as in ``detect``.
    data, data_root, split
        A dataset whose images check (and calibrate) the model, and show the change of mAP50; without one,
        phantoms do.
    images
        Number of those images.
    offline
        Forbid every use of the network.
    output
        The file; for OpenVINO and Core ML the folder. Null: named after the weights, in this folder.
    overwrite
        Replace what is there.
    """

    to: ExportFormat = option("--to", help="Format of the model file.", panel=FORM_PANEL)
    classes: ClassSettings = group(ClassSettings())
    is_open: bool = option(
        "--open",
        default=False,
        help="Make class embeddings an input, for any classes. Default: fixed classes.",
        panel=CLASSES_PANEL,
    )
    weights: str = option_of(ModelSettings, "weights")
    text_encoder: str | None = option_of(ModelSettings, "text_encoder")
    precision: ExportPrecision = option(
        "--precision",
        default=ExportPrecision.FP32,
        help="Number format; docs/export.md lists those of each file format.",
        panel=FORM_PANEL,
    )
    imgsz: int | None = option_of(RuntimeSettings, "imgsz")
    dynamic: bool = option(
        "--dynamic",
        default=False,
        help="Allow any input size that is a multiple of 32 (onnx, openvino, tensorrt).",
        panel=FORM_PANEL,
    )
    nms: bool = option(
        "--nms",
        default=False,
        help="Include thresholds and suppression in the model (onnx, openvino, tensorrt).",
        panel=FORM_PANEL,
    )
    selection: SelectionSettings = group(
        SelectionSettings(),
        omit=("raw_scores",),
        help={
            "conf": "Minimum score, 0 to 1. Default: the threshold of each class in the weights, else 0.25."
        },
        panel=NMS_PANEL,
    )
    data: Path | None = option(
        "--data",
        default=None,
        metavar="YAML",
        help="Dataset yaml for comparison, int8 calibration and change of mAP50. Default: phantoms.",
        panel=CHECK_PANEL,
    )
    data_root: Path | None = option_of(DatasetSettings, "data_root", panel=CHECK_PANEL)
    split: Split = option_of(
        DatasetSettings, "split", default="val", help="Split of --data.", panel=CHECK_PANEL
    )
    images: int = option(
        "--images",
        default=DEFAULT_IMAGES,
        help=f"Number of images of the comparison, at least {FEWEST_IMAGES}.",
        panel=CHECK_PANEL,
    )
    offline: bool = option_of(RuntimeSettings, "offline")
    output: Path | None = option_of(
        OutputSettings,
        "folder",
        metavar="PATH",
        help="Output file (openvino, coreml: folder). Default: name of the weights in this folder.",
    )
    overwrite: bool = option_of(OutputSettings, "overwrite", help="Replace existing output.")
    as_json: bool = option_of(OutputSettings, "as_json")

    def check(self) -> None:
        """Refuse bad values and contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        check_ranges(self)
        if self.precision not in PRECISIONS[self.to]:
            known = ", ".join(PRECISIONS[self.to])
            raise usage_error(
                f"--precision {self.precision} is not possible with --to {self.to}", f"Give {known}."
            )
        if self.imgsz is not None:
            check_imgsz(self.imgsz)
        if self.images < FEWEST_IMAGES:
            raise usage_error(
                f"--images {self.images} is below the minimum of {FEWEST_IMAGES}",
                f"The default is {DEFAULT_IMAGES}.",
            )
        self._check_classes()
        self._check_inside()
        if self.data is None and self.data_root is not None:
            raise requires("--data-root", "--data", "Add --data with the dataset yaml.")

    def _check_classes(self) -> None:
        self.classes.check()
        if self.is_open and not self.classes.is_empty:
            raise excludes("--open", "--classes", "Give --classes when the open model is run.")
        if self.text_encoder is not None and self.classes.is_empty:
            raise requires("--text-encoder", "--classes", "Add --classes.")

    def _check_inside(self) -> None:
        if self.to in TRACED and self.dynamic:
            raise usage_error(f"--dynamic is not possible with --to {self.to}", "Give one size by --imgsz.")
        if self.to in TRACED and self.nms:
            raise usage_error(f"--nms is not possible with --to {self.to}", "Leave --nms out.")
        if not self.nms:
            for flag in given_flags(self.selection):
                raise requires(flag, "--nms", "Add --nms.")
