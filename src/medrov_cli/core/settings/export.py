"""All settings of an export, and which of them contradict each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.choices import ExportFormat, ExportPrecision, Split
from medrov_cli.core.settings.values import check_imgsz

if TYPE_CHECKING:
    from medrov_cli.core.settings.values import Prompt

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


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """All settings of an export.

    Attributes
    ----------
    to, precision
        What kind of file, in which number format.
    weights
        Name in the manifest, or a ``.safetensors`` file.
    classes
        What the model finds; the vocabulary of the weights where none are given.
    text_encoder
        Spec of the text encoder of ``classes``; that of the weights where null.
    is_open
        Class embeddings stay an input.
    imgsz
        Side of the square model input, in pixels; that of the weights where null.
    dynamic
        Any size that is a multiple of 32; it is checked at ``imgsz`` and at a smaller one.
    nms
        Whether the suppression is inside.
    conf, iou, max_det
        Of that suppression, as in ``detect``.
    output
        The file; for OpenVINO and Core ML the folder. Null: named after the weights, in this folder.
    overwrite
        Replace what is there.
    data, data_root, split
        A dataset whose images check (and calibrate) the model, and show the change of mAP50; without one,
        phantoms do.
    images
        Number of those images.
    offline
        Forbid every use of the network.
    """

    to: ExportFormat
    precision: ExportPrecision = ExportPrecision.FP32
    weights: str = DEFAULT_WEIGHTS
    classes: tuple[Prompt, ...] = ()
    text_encoder: str | None = None
    is_open: bool = False
    imgsz: int | None = None
    dynamic: bool = False
    nms: bool = False
    conf: float | None = None
    iou: float = 0.7
    max_det: int = 300
    output: Path | None = None
    overwrite: bool = False
    data: Path | None = None
    data_root: Path | None = None
    split: Split = "val"
    images: int = DEFAULT_IMAGES
    offline: bool = False

    def check(self) -> None:
        """Refuse bad values and contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        if self.precision not in PRECISIONS[self.to]:
            known = ", ".join(PRECISIONS[self.to])
            raise usage(f"--precision {self.precision} does not go with --to {self.to}", f"Give {known}.")
        if self.imgsz is not None:
            check_imgsz(self.imgsz)
        if self.images < FEWEST_IMAGES:
            raise usage(
                f"--images {self.images} is below {FEWEST_IMAGES}: too few to check an export on",
                f"The default is {DEFAULT_IMAGES}.",
            )
        self._check_classes()
        self._check_inside()
        if self.data is None and self.data_root is not None:
            raise usage("--data-root needs --data", "Name the dataset's yaml.")

    def _check_classes(self) -> None:
        if self.is_open and self.classes:
            raise usage(
                "--open and --classes contradict each other",
                "An open model is asked for classes when it runs.",
            )
        if self.text_encoder is not None and not self.classes:
            raise usage("--text-encoder needs --classes", "Name what to find.")

    def _check_inside(self) -> None:
        if self.to in TRACED and self.dynamic:
            raise usage(f"--dynamic does not go with --to {self.to}", "Give one size by --imgsz.")
        if self.to in TRACED and self.nms:
            raise usage(
                f"--nms does not go with --to {self.to}", "Suppress what overlaps outside of the model."
            )
        own = (
            ("--conf", self.conf is not None),
            ("--iou", self.iou != 0.7),
            ("--max-det", self.max_det != 300),
        )
        for flag, is_given in own:
            if is_given and not self.nms:
                raise usage(f"{flag} needs --nms", "Without suppression inside there is nothing to set.")


def usage(message: str, hint: str) -> MedrovError:
    """Return the error of an option."""
    return MedrovError(ErrorCode.USAGE, message, hint)
