"""Import of YOLO-World v2 and YOLOv8 checkpoints of ultralytics, without running their pickle."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.constants import DEFAULT_TEXT_ENCODER, GRID, MAX_IMGSZ, TEXT_WIDTH, InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.model.importing.archive import TorchArchive
from medrov_cli.core.model.importing.closed_set import UnfitTensorsError, start_from_closed_set
from medrov_cli.core.model.importing.stubs import Record, TensorRef
from medrov_cli.core.model.importing.text_encoders import BIOMED_CLIP, OPENAI_CLIP, encoder_info
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.weights.container import EMBEDDINGS, NORM_TOLERANCE, load_tensors, sha256_of
from medrov_cli.core.weights.metadata import (
    ArchitectureInfo,
    ClassEntry,
    TextEncoderInfo,
    TrainingInfo,
    WeightsMetadata,
)

if TYPE_CHECKING:
    from medrov_cli.core.weights.container import Tensors

UNUSED_BRANCH = "model.22.cv5."
"""Branch of the head in MedROV's released checkpoint only, which its forward pass does not use."""

_SCALE_OF_FIRST_WIDTH = {16: "n", 32: "s", 48: "m", 64: "l", 80: "x"}
_FIRST_CONVOLUTION = "model.0.conv.weight"
_OPEN_HEAD, _CLOSED_HEAD = "WorldDetect", "Detect"
_BATCH_NORM_EPS = 1e-3  # ultralytics.utils.torch_utils.initialize_weights; not stored in a state dict
_MAX_DEPTH = 32
_MAX_MODULES = 20_000
_START_NOTES = "A start for training: backbone, neck and boxes of a closed-set YOLOv8; random text parts."
_DEFAULT_IMGSZ = 640  # ultralytics' own default


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """Settings that override the metadata of a checkpoint; null: as in the checkpoint.

    Attributes
    ----------
    name
        Name of the weights; null: the file's name without its ending.
    text_encoder
        Text encoder of the training; null: BiomedCLIP if the head has MedROV's unused branch, OpenAI's CLIP
        otherwise.
    imgsz
        Side of the square model input in pixels, a multiple of 32.
    draw_images
        Function of a side in pixels to images, uint8, (n, side, side, 3), for the statistics of folded batch
        norms of a closed-set model.
    """

    name: str | None = None
    text_encoder: TextEncoderInfo | None = None
    imgsz: int | None = None
    draw_images: Callable[[int], UInt8Array] | None = None


def import_ultralytics_checkpoint(
    path: Path, settings: ImportSettings | None = None, limits: InputLimits | None = None
) -> tuple[Tensors, WeightsMetadata]:
    """Return the tensors and metadata of an ultralytics checkpoint, without running its pickle.

    The tensors of a YOLO-World v2 checkpoint are not changed. A closed-set YOLOv8, also as a ``.safetensors``
    file with folded batch norms, is converted to initial weights for training: see
    :func:`~medrov_cli.core.model.importing.closed_set.start_from_closed_set`.

    The averaged weights (``ema``) are preferred to ``model``, as in ultralytics; an embedded text model, the
    optimizer and MedROV's unused branch are omitted. Class embeddings in the checkpoint become the vocabulary
    if they have L2 norm 1 and one name each.

    Raises
    ------
    MedrovError
        ``weights_missing``; ``weights_untrusted`` for any other file; ``weights_corrupt`` if it is damaged.
    """
    settings = settings or ImportSettings()
    if path.suffix == ".safetensors":
        return _training_start(path, load_tensors(path), {}, settings)
    with TorchArchive(path, limits or InputLimits()) as archive:
        checkpoint = archive.content()
        model, head = _detection_model(checkpoint, path)
        references = dict(_walk(model.state["_modules"]["model"], "model.", path))
        tensors = {
            name: archive.tensor(reference)
            for name, reference in references.items()
            if not name.startswith(UNUSED_BRANCH)
        }
        text = model.state.get("txt_feats")
        embeddings = archive.tensor(text) if isinstance(text, TensorRef) else None
    # The only integer tensors are counters of training steps.
    tensors = {name: value for name, value in tensors.items() if value.dtype.kind == "f"}
    spoilt = next((name for name, value in tensors.items() if not np.isfinite(value).all()), None)
    if spoilt is not None:
        raise MedrovError(
            ErrorCode.WEIGHTS_CORRUPT, f"{path}: {spoilt} is not finite", "Get another checkpoint of the run."
        )
    facts = checkpoint if isinstance(checkpoint, dict) else {}
    if head == _CLOSED_HEAD:
        return _training_start(path, tensors, facts, settings)
    vocabulary = _vocabulary(model.state.get("names"), embeddings)
    if vocabulary and embeddings is not None:
        tensors[EMBEDDINGS] = embeddings.reshape(-1, TEXT_WIDTH)
    found = BIOMED_CLIP if any(name.startswith(UNUSED_BRANCH) for name in references) else OPENAI_CLIP
    metadata = WeightsMetadata(
        name=settings.name or _text(path.stem),
        architecture=ArchitectureInfo(scale=_scale(tensors, path)),
        text_encoder=settings.text_encoder or found,
        imgsz=settings.imgsz or _trained_imgsz(facts.get("train_args")),
        licence=_text(facts.get("license")) or "unknown",
        created_by=f"medrov {__version__}",
        vocabulary=vocabulary,
        source=_source(path, facts),
    )
    return tensors, metadata


def _training_start(
    path: Path, tensors: Tensors, facts: dict[Any, Any], settings: ImportSettings
) -> tuple[Tensors, WeightsMetadata]:
    """Return the tensors and metadata of initial weights from a closed-set model."""
    scale = _scale(tensors, path)
    imgsz = settings.imgsz or _trained_imgsz(facts.get("train_args"))
    draw = None if settings.draw_images is None else partial(settings.draw_images, imgsz)
    try:
        detector = start_from_closed_set(tensors, scale, draw)
    except UnfitTensorsError as error:
        raise _foreign(path, f"is no YOLOv8{scale} ({error})") from error
    state = detector.state_dict()
    found = {name: value.numpy() for name, value in state.items() if value.is_floating_point()}
    for name, value in tensors.items():  # half precision is kept, without a loss
        if name in found and value.ndim == 4 and value.shape == found[name].shape:
            found[name] = value
    metadata = WeightsMetadata(
        name=settings.name or _text(path.stem),
        architecture=ArchitectureInfo(scale, text_adapter=True),
        text_encoder=settings.text_encoder or encoder_info(DEFAULT_TEXT_ENCODER),
        imgsz=imgsz,
        licence=_text(facts.get("license")) or "AGPL-3.0 (ultralytics)",
        created_by=f"medrov {__version__}",
        training=TrainingInfo(notes=_START_NOTES),
        source=_source(path, facts),
    )
    return found, metadata


def _detection_model(checkpoint: Any, path: Path) -> tuple[Record, str]:
    """Return the pickled model and the class of its head, if it is a YOLO-World v2 or a YOLOv8 detector."""
    candidates = (checkpoint.get("ema"), checkpoint.get("model")) if isinstance(checkpoint, dict) else ()
    model = next((item for item in (*candidates, checkpoint) if isinstance(item, Record)), None)
    if model is None:
        raise _foreign(path, "contains no pickled model")
    layers = _modules(_modules(model).get("model"))
    if not layers:
        raise _foreign(path, f"holds a {_text(model.class_name)} without layers")
    head = list(layers.values())[-1]
    head_class = head.class_name if isinstance(head, Record) else "?"
    if head_class not in (_OPEN_HEAD, _CLOSED_HEAD):
        raise _foreign(path, f"holds a {_text(model.class_name)} with the head {_text(head_class)}")
    return model, head_class


def _modules(module: Any) -> dict[Any, Any]:
    """Return the direct children of a module; empty for other values."""
    children = module.state.get("_modules") if isinstance(module, Record) else None
    return children if isinstance(children, dict) else {}


def _walk(root: Record, prefix: str, path: Path) -> Iterator[tuple[str, TensorRef]]:
    """Yield the parameters and buffers below a module by the names of a state dict."""
    pending = [(prefix, root, 0)]
    visited = 0
    while pending:
        name, module, depth = pending.pop()
        visited += 1
        if depth > _MAX_DEPTH or visited > _MAX_MODULES:
            raise _foreign(path, "contains a model that contains itself")
        _check_stateless(module, path)
        for kind in ("_parameters", "_buffers"):
            tensors = module.state.get(kind)
            for key, value in tensors.items() if isinstance(tensors, dict) else ():
                if isinstance(value, TensorRef):
                    yield f"{name}{key}", value
        for key, child in _modules(module).items():
            if isinstance(child, Record):
                pending.append((f"{name}{key}.", child, depth + 1))


def _check_stateless(module: Record, path: Path) -> None:
    """Refuse properties that change the output and are not in tensors."""
    if module.class_name == "BatchNorm2d" and module.state.get("eps") != _BATCH_NORM_EPS:
        raise _foreign(path, f"has batch norms with another epsilon than {_BATCH_NORM_EPS}")
    if module.class_name == "SPPF":
        activation = _modules(_modules(module).get("cv1")).get("act")
        if not isinstance(activation, Record) or activation.class_name != "SiLU":
            raise _foreign(path, "has the pooling layer of newer models, without an activation in its middle")


def _scale(tensors: Tensors, path: Path) -> str:
    """Return the scale of the model from the width of its first layer."""
    first = tensors.get(_FIRST_CONVOLUTION)
    scale = None if first is None or first.ndim != 4 else _SCALE_OF_FIRST_WIDTH.get(first.shape[0])
    if scale is None:
        raise _foreign(path, "has none of the sizes n, s, m, l, x")
    return scale


def _vocabulary(names: Any, embeddings: npt.NDArray[Any] | None) -> tuple[ClassEntry, ...]:
    """Return the classes, if each has a name and an embedding of L2 norm 1.

    A model without set classes contains random placeholders instead.
    """
    listed = list(names.values()) if isinstance(names, dict) else names
    if embeddings is None or embeddings.dtype.kind != "f" or not isinstance(listed, list):
        return ()
    if embeddings.shape not in ((len(listed), TEXT_WIDTH), (1, len(listed), TEXT_WIDTH)):
        return ()
    norms = np.linalg.norm(embeddings.astype(np.float32), axis=-1)
    texts = [_text(name) for name in listed]
    if not all(texts) or not np.all(np.abs(norms - 1) <= NORM_TOLERANCE):
        return ()
    return tuple(ClassEntry(name) for name in texts)


def _trained_imgsz(train_args: Any) -> int:
    """Return the image size of the training, if it is a usable one."""
    value = train_args.get("imgsz") if isinstance(train_args, dict) else None
    usable = type(value) is int and value in range(GRID, MAX_IMGSZ + 1, GRID)
    return value if usable and isinstance(value, int) else _DEFAULT_IMGSZ


def _source(path: Path, facts: dict[Any, Any]) -> str:
    """Return one sentence about the imported file."""
    version, date = _text(facts.get("version")), _text(facts.get("date"))
    by = f" by ultralytics {version}" if version else ""
    on = f" on {date}" if date else ""
    written = f", written{by}{on}" if by or on else ""
    return f"Imported from {path.name} (SHA-256 {sha256_of(path)}){written}."


def _text(value: Any) -> str:
    """Return a text from the file in a form that is safe to print; empty for other values."""
    return re.sub(r"[^\x20-\x7e\xa0-\uffff]", "?", value[:200]).strip() if isinstance(value, str) else ""


def _foreign(path: Path, what: str) -> MedrovError:
    """Return the error for a file that is not the checkpoint of a YOLO-World v2 detector."""
    return MedrovError(
        ErrorCode.WEIGHTS_UNTRUSTED,
        f"{path} {what}; only YOLO-World v2 (yolov8*-worldv2, medrov.pt) and YOLOv8 can be imported",
        "Give a checkpoint of that architecture.",
    )
