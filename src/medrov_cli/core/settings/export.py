"""Settings of ``medrov export``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.constants import OPSET
from medrov_cli.core.base.errors import excludes, requires, usage_error
from medrov_cli.core.settings.choices import ExportFormat, ExportPrecision, Split
from medrov_cli.core.settings.class_groups import ClassSettings
from medrov_cli.core.settings.field import check_ranges, given_flags, group, option, option_of
from medrov_cli.core.settings.groups import (
    CLASSES_PANEL,
    CONF_HELP,
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
"""Minimum number of images of the comparison."""

DEFAULT_IMAGES = 72
"""Eight phantoms of each modality."""

_P = ExportPrecision
PRECISIONS: dict[ExportFormat, tuple[ExportPrecision, ...]] = {
    ExportFormat.ONNX: (_P.FP32, _P.FP16, _P.INT8),
    ExportFormat.OPENVINO: (_P.FP32, _P.FP16, _P.BF16, _P.INT8),
    ExportFormat.TORCH_EXPORT: (_P.FP32,),
    ExportFormat.TORCHSCRIPT: (_P.FP32,),
    ExportFormat.TENSORRT: (_P.FP32, _P.FP16, _P.BF16),
    ExportFormat.COREML: (_P.FP32, _P.FP16),
}
"""Precisions of each format."""

OPSETS = range(13, 22)
"""ONNX operator sets in which the operators of the detector have equal results: 12 has no variable Split."""

TRACED = (ExportFormat.TORCH_EXPORT, ExportFormat.TORCHSCRIPT, ExportFormat.COREML)
"""Formats of a traced torch network, with one image size and without suppression."""

SUFFIXES = {
    ExportFormat.ONNX: ".onnx",
    ExportFormat.OPENVINO: "",  # a folder
    ExportFormat.TORCH_EXPORT: ".pt2",
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
        File format and number format.
    classes
        Classes of the model; empty: the vocabulary of the weights.
    is_open
        Whether class embeddings are an input.
    weights
        Name in the manifest, or a ``.safetensors`` file.
    text_encoder
        Specification of the text encoder of ``classes``; null: that of the weights.
    opset
        ONNX operator set; null: `OPSET`.
    imgsz
        Side of the square model input, in pixels; null: that of the weights.
    dynamic
        Whether any multiple of 32 is allowed as size; the model is compared at ``imgsz`` and a smaller size.
    nms
        Whether the model contains the suppression.
    selection
        Settings of that suppression, as in ``detect``.
    data, data_root, split
        Dataset with images for the comparison, the int8 calibration and the change of mAP50; null: phantoms.
    images
        Number of those images.
    offline
        Whether the network is forbidden.
    output
        Output file; for OpenVINO and Core ML the folder. Null: named after the weights, in this folder.
    overwrite
        Whether to replace existing output.
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
    opset: int | None = option(
        "--opset",
        default=None,
        metavar="N",
        help=f"ONNX operator set, {OPSETS[0]} to {OPSETS[-1]} (onnx). Default: {OPSET}.",
        panel=FORM_PANEL,
    )
    imgsz: int | None = option_of(
        RuntimeSettings,
        "imgsz",
        help="Side of the square model input in pixels, a multiple of 32. Default: from the weights.",
    )
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
        omit=("raw_scores", "literal"),
        help={"conf": CONF_HELP},
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
        """Refuse invalid values and contradictions.

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
        self._check_opset()
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

    def _check_opset(self) -> None:
        if self.opset is None:
            return
        if self.to is not ExportFormat.ONNX:
            raise requires("--opset", f"--to {ExportFormat.ONNX}", "Leave --opset out.")
        if self.opset not in OPSETS:
            raise usage_error(
                f"--opset {self.opset} is not from {OPSETS[0]} to {OPSETS[-1]}",
                f"Give one of these numbers; the default is {OPSET}.",
            )

    def _check_classes(self) -> None:
        self.classes.check()
        if self.is_open and not self.classes.is_empty:
            raise excludes("--open", "--classes", "Give --classes when the open model is run.")
        if self.classes.learned and self.is_open:
            raise excludes("--open", "--learned", "Leave --open out: learned classes are fixed.")
        if self.classes.learned and self.to in TRACED:
            raise usage_error(
                f"--learned is not possible with --to {self.to}", "Give --to onnx, openvino or tensorrt."
            )
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
