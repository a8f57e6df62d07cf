"""Procedure of ``medrov export``: build a model, compare it with the weights, move it to the output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medrov_cli.core.base.claimed_folders import claimed_folder
from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.base.files import remove_abandoned
from medrov_cli.core.base.optional import TORCH_NETWORK, require_packages
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.engines.exported.export_metadata import ExportMetadata, Suppression
from medrov_cli.core.exporting.check_images import check_images
from medrov_cli.core.exporting.learned_columns import (
    adapted_alone,
    learned_alone,
    with_learned,
    with_learned_calibration,
)
from medrov_cli.core.exporting.output_place import (
    FOLDERS,
    STEM,
    ExportResult,
    check_output,
    folder_for,
    output_failures,
    place_files,
)
from medrov_cli.core.exporting.parity import require_parity
from medrov_cli.core.exporting.quantisation import check_nncf
from medrov_cli.core.exporting.request import ConvertedModel, ExportRequest
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.learned_classes import LearnedClasses
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.settings.choices import ExportFormat, ExportPrecision
from medrov_cli.core.settings.export import SUFFIXES, ExportSettings
from medrov_cli.core.settings.values import Prompt
from medrov_cli.core.text.prompts import read_classes
from medrov_cli.core.weights import container, resolution
from medrov_cli.core.weights.metadata import ClassEntry, WeightsMetadata


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
    with folder_for(output) as folder:  # first: it removes what a killed export left, also of a complete one
        check_output(output, config)
        return _export(config, prompts, path, metadata, output, folder, progress)


def _export(
    config: ExportSettings,
    prompts: Sequence[Prompt],
    path: Path,
    metadata: WeightsMetadata,
    output: Path,
    folder: Path,
    progress: Progress,
) -> ExportResult:
    """Build the model in a temporary folder, compare it, and move it to the output."""
    file = WeightsFile.read(path)
    learned = LearnedClasses.read(config.classes.learned, file)
    if learned is not None and learned.adapters:
        path = adapted_alone(file, learned, has_texts=bool(prompts))
        file = WeightsFile.read(path)
    imgsz = config.imgsz or metadata.imgsz
    columns = None
    if learned is not None and not prompts:
        imgsz = config.imgsz or learned.own_imgsz or metadata.imgsz
        classes, columns = learned_alone(file, learned)
    else:
        classes = _classes(config, prompts, path, metadata)
        if learned is not None:
            classes, columns = with_learned(classes, learned)
    if learned is not None:
        metadata = with_learned_calibration(metadata, learned, imgsz)
    images = check_images(config, imgsz, progress)
    vocabulary = container.load_embeddings(path) if config.is_open else np.zeros((0, TEXT_WIDTH), np.float32)
    kinds = container.load_kinds(path)
    request = ExportRequest(
        config,
        path,
        classes,
        vocabulary,
        imgsz,
        images.squares_rgb,
        None if kinds is None else kinds.tensors,
        columns,
    )
    progress(0, None, "export")
    converted = _convert(request)
    made = _metadata(request, metadata, converted)
    stem = STEM if config.to in FOLDERS else output.stem
    with output_failures(output):
        model_path, *_ = converted.save(folder, stem, made)
    made = replace(made, parity=require_parity(converted, model_path, request, images, made, progress))
    with output_failures(output):
        files = converted.save(folder, stem, made)
        if config.to not in FOLDERS:
            return place_files(files, made, output, output.parent)
        with claimed_folder(output):
            remove_abandoned(output.glob(".*.tmp"))
            return place_files(files, made, output, output)


def _check_packages(config: ExportSettings) -> None:
    """Check that the required packages are installed, before any long computation."""
    require_packages("medrov export", TORCH_NETWORK)
    if config.precision is ExportPrecision.INT8:
        check_nncf()
    if config.to is ExportFormat.TENSORRT:
        from medrov_cli.core.exporting.formats.tensorrt_file import check_tensorrt

        check_tensorrt()
    if config.to is ExportFormat.COREML:
        from medrov_cli.core.exporting.formats.coreml_file import check_coreml

        check_coreml()


def _convert(request: ExportRequest) -> ConvertedModel:
    """Return the model in the requested format."""
    match request.config.to:
        case ExportFormat.ONNX:
            from medrov_cli.core.exporting.formats.onnx_file import ConvertedOnnx

            return ConvertedOnnx(request)
        case ExportFormat.OPENVINO:
            from medrov_cli.core.exporting.formats.openvino_file import ConvertedOpenVino

            return ConvertedOpenVino(request)
        case ExportFormat.TORCHSCRIPT:
            from medrov_cli.core.exporting.formats.torchscript_file import ConvertedTorchScript

            return ConvertedTorchScript(request)
        case ExportFormat.TORCH_EXPORT:
            from medrov_cli.core.exporting.formats.torch_export_file import ConvertedTorchExport

            return ConvertedTorchExport(request)
        case ExportFormat.TENSORRT:
            from medrov_cli.core.exporting.formats.tensorrt_file import ConvertedTensorRt

            return ConvertedTensorRt(request)
        case ExportFormat.COREML:
            from medrov_cli.core.exporting.formats.coreml_file import ConvertedCoreMl

            return ConvertedCoreMl(request)


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


def _metadata(request: ExportRequest, own: WeightsMetadata, converted: ConvertedModel) -> ExportMetadata:
    config, classes = request.config, request.classes
    columns = zip(classes.names, classes.synonyms, classes.modalities, strict=True)
    entries = tuple(ClassEntry(name, synonyms, tuple(sorted(seen))) for name, synonyms, seen in columns)
    return ExportMetadata(
        format=config.to,
        precision=config.precision,
        weights_sha256=container.sha256_of(request.path),
        weights=own,
        classes=None if config.is_open else entries,
        asked=classes.asked and not config.is_open,
        text_encoder=classes.text_encoder,
        vocabulary_sha256=None if config.is_open else classes.sha256,
        imgsz=None if config.dynamic else request.imgsz,
        created_by=f"medrov {__version__}",
        suppression=_suppression(request, own) if config.nms else None,
        quantisation=converted.quantisation,
    )


def _suppression(request: ExportRequest, own: WeightsMetadata) -> Suppression:
    config, classes = request.config, request.classes
    names: list[Sequence[str]] = [
        (name, *synonyms) for name, synonyms in zip(classes.names, classes.synonyms, strict=True)
    ]
    scoring = Scoring.from_metadata(
        [("",)] if config.is_open else names, own, conf=config.selection.conf, raw_scores=False
    )
    # A threshold above 1 is never reached; 1 is nearly equivalent.
    thresholds = tuple(float(min(value, 1.0)) for value in scoring.thresholds)
    return Suppression(thresholds, config.selection.iou, config.selection.max_det)
