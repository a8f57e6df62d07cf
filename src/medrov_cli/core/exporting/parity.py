"""Comparison of an exported model with torch on the same images, with limits of the differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import GRID
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.engines.exported.export_metadata import ExportMetadata
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.exporting.accuracy_change import map50_change
from medrov_cli.core.exporting.check_images import CheckImages
from medrov_cli.core.exporting.differences import LIMITS, compare, require_within_limits, suppressed_share
from medrov_cli.core.exporting.learned_columns import AlignedEngine
from medrov_cli.core.exporting.request import ConvertedModel, ExportRequest
from medrov_cli.core.prediction.adapted_weights import NetworkColumns
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.settings.choices import EngineName, ExportPrecision
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.weights.metadata import ClassEntry


def require_parity(
    converted: ConvertedModel,
    path: Path,
    request: ExportRequest,
    images: CheckImages,
    metadata: ExportMetadata,
    progress: Progress,
) -> dict[str, Any] | None:
    """Return the differences of a written model from the weights in torch; null without a runtime for it.

    Raises
    ------
    MedrovError
        ``PARITY_FAILED``.
    """
    plain = converted.open(path, plain=True)
    if plain is None:
        return None
    reference = _reference(request, request.imgsz)
    limits = LIMITS[metadata.precision]
    parity = compare(reference, plain, images.squares_rgb, progress)
    figures = [
        ("largest difference of a score", parity.score_max, limits.score_max),
        ("mean difference of scores", parity.score_mean, limits.score_mean),
        ("largest difference of a box (pixels)", parity.box_max_px, limits.box_max_px),
        ("mean difference of boxes (pixels)", parity.box_mean_px, limits.box_mean_px),
    ]
    document: dict[str, Any] = {
        "against": reference.name,
        "engine": plain.name,
        "images_of": images.source,
        "imgsz": request.imgsz,
        **parity.as_dict(),
    }
    if request.config.dynamic:
        other = request.imgsz - GRID if request.imgsz > GRID else 2 * GRID
        also = converted.open(path, plain=True, imgsz=other)
        if also is not None:
            smaller = compare(_reference(request, other), also, images.at(other))
            document["other_imgsz"] = {"imgsz": other, **smaller.as_dict()}
            figures.append((f"largest difference of a score at {other}", smaller.score_max, limits.score_max))
            figures.append((f"mean difference of scores at {other}", smaller.score_mean, limits.score_mean))
    if metadata.suppression is not None:
        suppressed = converted.open(path)
        if suppressed is not None:
            count, share = suppressed_share(plain, suppressed, metadata.suppression, images.squares_rgb)
            document["nms"] = {"detections": count, "differing": round(share, 4)}
            figures.append(("fraction of detections that differ after NMS", share, limits.nms_differing))
    if images.dataset is not None:
        entries = [
            ClassEntry(name, synonyms)
            for name, synonyms in zip(request.classes.names, request.classes.synonyms, strict=True)
        ]
        change = map50_change(reference, plain, images.dataset, request.config.split, entries, progress)
        document |= change
        lost = change["map50_weights"] - change["map50"]
        if metadata.precision is ExportPrecision.FP32:
            lost = abs(lost)
        figures.append(("loss of mAP50", lost, limits.map50_drop))
    require_within_limits(figures, metadata.precision)
    return document


def _reference(request: ExportRequest, imgsz: int) -> Engine:
    runtime = RuntimeSettings(device="cpu", engine=EngineName.TORCH)
    weights = WeightsFile.read(request.path)
    embeddings, columns = request.classes.embeddings, request.columns
    if columns is None:
        return weights.open(embeddings, runtime, imgsz=imgsz, streams=1)
    engine = weights.open(
        embeddings, runtime, imgsz=imgsz, streams=1, learned=NetworkColumns(columns.learned)
    )
    return AlignedEngine(engine, len(embeddings), columns.columns)
