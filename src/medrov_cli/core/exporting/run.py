"""Procedure of ``medrov export``: build a model, compare it with the weights, move it to the output."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.files import bring_file, require_absent, sha256_of_file, whole_file
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.engines.exported.export_metadata import ExportMetadata, Suppression
from medrov_cli.core.exporting.check_images import check_images
from medrov_cli.core.exporting.parity import require_parity
from medrov_cli.core.exporting.quantisation import check_nncf
from medrov_cli.core.exporting.request import ConvertedModel, ExportRequest
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.settings.choices import ExportFormat, ExportPrecision
from medrov_cli.core.settings.export import SUFFIXES, ExportSettings
from medrov_cli.core.settings.values import Prompt
from medrov_cli.core.text.prompts import read_classes
from medrov_cli.core.weights import container, resolution
from medrov_cli.core.weights.metadata import ClassEntry, WeightsMetadata

_FOLDERS = (ExportFormat.OPENVINO, ExportFormat.COREML)
"""Formats of several files, whose output is a folder."""

_STEM = "model"
"""Stem of the files in such a folder."""


@dataclass(frozen=True, slots=True)
class ExportResult:
    """Result of an export.

    Attributes
    ----------
    document
        Document ``medrov.export/1``: metadata, and ``files`` with SHA-256; also written beside the model.
    output
        File or folder of the model.
    bytes
        Size of the model.
    """

    document: dict[str, Any]
    output: Path
    bytes: int


def run_export(
    config: ExportSettings, progress: Progress = no_progress, *, stdin: Iterable[str] | None = None
) -> ExportResult:
    """Export weights as a model file.

    Parameters
    ----------
    stdin
        Lines of standard input, for ``--classes-file -``.

    Raises
    ------
    MedrovError
        ``USAGE``; ``PARITY_FAILED``, without output; ``DEPENDENCY_MISSING``; ``DATASET_INVALID``;
        ``OUTPUT_FAILED``; the codes of weights and text encoders.
    """
    config.check()
    prompts = read_classes(config.classes, stdin)
    _check_packages(config)
    path = resolution.resolve(config.weights)
    metadata = container.read_metadata(path)
    output = config.output or Path(metadata.name + (SUFFIXES[config.to] or f"-{config.to}"))
    _check_output(output, config)
    imgsz = config.imgsz or metadata.imgsz
    classes = _classes(config, prompts, path, metadata)
    images = check_images(config, imgsz, progress)
    vocabulary = container.load_embeddings(path) if config.is_open else np.zeros((0, TEXT_WIDTH), np.float32)
    subject = ExportRequest(config, path, classes, vocabulary, imgsz, images.squares_rgb)
    progress(0, None, "export")
    draft = _draft(subject)
    made = _metadata(subject, metadata, draft)
    with _aside(output) as folder:
        stem = _STEM if config.to in _FOLDERS else output.stem
        draft_path, *_ = draft.save(folder, stem, made)
        made = replace(made, parity=require_parity(draft, draft_path, subject, images, made, progress))
        files = draft.save(folder, stem, made)
        return _placed(files, made, output, is_folder=config.to in _FOLDERS)


def _check_packages(config: ExportSettings) -> None:
    """Check that the required packages are installed, before any long computation."""
    if config.precision is ExportPrecision.INT8:
        check_nncf()
    if config.to is ExportFormat.TENSORRT:
        from medrov_cli.core.exporting.formats.tensorrt_file import check_tensorrt

        check_tensorrt()
    if config.to is ExportFormat.COREML:
        from medrov_cli.core.exporting.formats.coreml_file import check_coreml

        check_coreml()


def _draft(subject: ExportRequest) -> ConvertedModel:
    """Return the model in the requested format."""
    match subject.config.to:
        case ExportFormat.ONNX:
            from medrov_cli.core.exporting.formats.onnx_file import ConvertedOnnx

            return ConvertedOnnx(subject)
        case ExportFormat.OPENVINO:
            from medrov_cli.core.exporting.formats.openvino_file import ConvertedOpenVino

            return ConvertedOpenVino(subject)
        case ExportFormat.TORCHSCRIPT:
            from medrov_cli.core.exporting.formats.torchscript_file import ConvertedTorchScript

            return ConvertedTorchScript(subject)
        case ExportFormat.TENSORRT:
            from medrov_cli.core.exporting.formats.tensorrt_file import ConvertedTensorRt

            return ConvertedTensorRt(subject)
        case ExportFormat.COREML:
            from medrov_cli.core.exporting.formats.coreml_file import ConvertedCoreMl

            return ConvertedCoreMl(subject)


def _classes(
    config: ExportSettings, prompts: Sequence[Prompt], path: Path, metadata: WeightsMetadata
) -> ClassList:
    if prompts:
        return ClassList.from_prompts(prompts, metadata, encoder=config.text_encoder, offline=config.offline)
    if config.is_open and not metadata.vocabulary:
        from medrov_cli.core.phantoms.kinds import KINDS

        # For the comparison only: an open model has no classes of its own.
        shown = [Prompt(kind.classes[0], (kind.classes[0],)) for kind in KINDS]
        return ClassList.from_prompts(shown, metadata, encoder=None, offline=config.offline)
    return ClassList.from_weights(path, metadata)


def _metadata(subject: ExportRequest, own: WeightsMetadata, draft: ConvertedModel) -> ExportMetadata:
    config, classes = subject.config, subject.classes
    columns = zip(classes.names, classes.synonyms, classes.modalities, strict=True)
    entries = tuple(ClassEntry(name, synonyms, tuple(sorted(seen))) for name, synonyms, seen in columns)
    return ExportMetadata(
        format=config.to,
        precision=config.precision,
        weights_sha256=container.sha256_of(subject.path),
        weights=own,
        classes=None if config.is_open else entries,
        asked=classes.asked and not config.is_open,
        text_encoder=classes.text_encoder,
        vocabulary_sha256=None if config.is_open else classes.sha256,
        imgsz=None if config.dynamic else subject.imgsz,
        created_by=f"medrov {__version__}",
        suppression=_suppression(subject, own) if config.nms else None,
        quantisation=draft.quantisation,
    )


def _suppression(subject: ExportRequest, own: WeightsMetadata) -> Suppression:
    config, classes = subject.config, subject.classes
    names: list[Sequence[str]] = [
        (name, *synonyms) for name, synonyms in zip(classes.names, classes.synonyms, strict=True)
    ]
    scoring = Scoring.from_metadata(
        [("",)] if config.is_open else names, own, conf=config.selection.conf, raw_scores=False
    )
    # A threshold above 1 is never reached; 1 is nearly equivalent.
    thresholds = tuple(float(min(value, 1.0)) for value in scoring.thresholds)
    return Suppression(thresholds, config.selection.iou, config.selection.max_det)


def _check_output(output: Path, config: ExportSettings) -> None:
    if config.to in _FOLDERS and output.exists() and not output.is_dir():
        raise usage_error(f"--output {output} is a file", f"--to {config.to} writes a folder.")
    if config.to not in _FOLDERS and output.is_dir():
        raise usage_error(
            f"--output {output} is a folder", f"Name the file: {output / 'model'}{SUFFIXES[config.to]}"
        )
    if config.to not in _FOLDERS and output.suffix.lower() != SUFFIXES[config.to]:
        raise usage_error(
            f"--output {output} does not end in {SUFFIXES[config.to]}", "Give a name with this ending."
        )
    if not output.is_dir() or any(output.iterdir()):
        require_absent(output, overwrite=config.overwrite)


@contextmanager
def _aside(output: Path) -> Iterator[Path]:
    """Yield a temporary folder on the disk of the output."""
    missing = [place for place in output.absolute().parents if not place.exists()]
    try:
        output.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.absolute().parent) as name:
            yield Path(name)
    except OSError as error:
        raise MedrovError(
            ErrorCode.OUTPUT_FAILED,
            f"cannot write {output}: {error.strerror or error}",
            "Check the folder's permissions and the free space, then run again.",
        ) from error
    finally:
        for place in missing:  # a created folder that is not needed
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()


def _placed(
    files: Sequence[Path], metadata: ExportMetadata, output: Path, *, is_folder: bool
) -> ExportResult:
    """Move finished files to the output, last the one that a user opens."""
    folder = output if is_folder else output.parent
    digests = {path.name: sha256_of_file(path) for path in files if path.is_file()}
    document = {**metadata.as_dict(), "files": digests}
    del document["content_sha256"]  # needed in the file only
    size = sum(_size(path) for path in files)
    for path in reversed(files):
        if path.is_dir():
            shutil.rmtree(folder / path.name, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            path.rename(folder / path.name)
        else:
            bring_file(path, folder / path.name, link=False)
    beside = folder / f"{files[0].stem}.json"
    with whole_file(beside) as temporary:
        temporary.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return ExportResult(document, output, size)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
