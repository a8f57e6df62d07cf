"""Decisions of a reviewer on the detections of a run, as the labels of a new dataset.

The dataset contains the images with a decision, one source for each modality. Its form is that of
``pseudolabel``: detections are labels that a detector added, and the decisions are applied to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.base.files import sha256_of_file, whole_file
from medrov_cli.core.base.text_files import DocumentError
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.datasets.coco_records import CocoDocument, CocoImage
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.labelled_documents import ImageLabels, with_added
from medrov_cli.core.datasets.labelled_folder import folder_names, write_folder
from medrov_cli.core.datasets.sources import IMAGES, Source, invalid
from medrov_cli.core.pixels.encode import encode_png
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.pseudolabeling.label_decisions import KINDS, RELABEL, Decision, applied
from medrov_cli.core.records.detect_json import record_to_detections
from medrov_cli.core.records.findings_json import is_volume_record
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.runs.journal import read_records
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.window import parse_window
from medrov_cli.core.writers.json_lines import JSONL_FILE
from medrov_cli.core.writers.run_files import RUN_FILE

SPLIT = "train"
"""Split of the images: `learn` and `train` read added labels of it."""

_SAVED = "Give the decisions.json that the page of this run saved."

ImageKey = tuple[str, int]
"""Path and frame of an image."""


@dataclass(frozen=True, slots=True)
class DetectionDecision:
    """Decision on one detection: its kind, and the new class of ``relabel``."""

    kind: str
    class_name: str | None = None


def apply_to_detections(
    document: Mapping[str, Any],
    decisions: Path,
    run: Path,
    output: Path,
    schema: str,
    unknown: Modality | None = None,
) -> dict[str, Any]:
    """Write the dataset of a reviewed detection run; return its manifest.

    Parameters
    ----------
    document
        Content of the file of decisions, of schema ``medrov.detect-decisions/1``.
    decisions
        That file.
    run
        Output folder of ``medrov detect``.
    output
        Claimed folder of the dataset.
    schema
        Schema of the manifest.
    unknown
        Modality of images whose modality is unknown; without it they are left out.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: not a file of decisions, one about another run, a class that the run did not
        have, or no image that can be read; ``OUTPUT_FAILED``.
    """
    facts = _read_run(run)
    made = _read_decisions(document, decisions, run)
    names = [str(entry["name"]) for entry in facts["classes"]]
    options = _read_options(facts["settings"])
    by_modality, series, left_out = _reviewed(run, decisions, made, names, unknown)
    sources, documents, counts = [], [], {}
    modalities = sorted(by_modality)
    plain = [_source(output, modality, modality.value.lower()) for modality in modalities]
    for modality, name in zip(modalities, folder_names(plain), strict=True):
        folder = output / name
        labels: list[ImageLabels] = []
        images: list[CocoImage] = []
        decided: list[DetectionDecision | None] = []
        for record, pixels in _with_pixels(by_modality[modality], options, series, left_out):
            number = len(images) + 1
            file_name = f"{number:06d}.png"
            with whole_file(folder / IMAGES / file_name) as temporary:
                temporary.write_bytes(encode_png(pixels))
            height, width = pixels.shape[:2]
            more = {"split": SPLIT, "path": record["path"], "frame": record["frame"]}
            images.append(CocoImage.make(number, file_name, width, height, **more))
            labels.append((number, record_to_detections(record, names)))
            own_decisions = made[record["path"], record["frame"]]
            decided += [own_decisions.get(index) for index in range(len(record["detections"]))]
        if images:
            empty = CocoDocument({"info": {"modality": modality.value}}, tuple(images), (), ())
            added = with_added(empty, labels, {"model": facts["model"]})
            documents.append((added, decided))
            sources.append(_source(output, modality, name))
            counts[name] = _counts(decided)
    if not sources:
        reason = next(iter(left_out), {"reason": "there is no decision"})["reason"]
        raise invalid(
            f"{decisions}: no image of the decisions can be written: {reason}", "Repair the inputs."
        )
    classes = tuple(dict.fromkeys(name for one in documents for name in _classes_of(*one)))
    presence = np.zeros((len(sources), len(classes)), dtype=np.int8)
    dataset = Dataset(f"review of {run.name}", classes, {}, tuple(sources), {}, presence)
    manifest = {
        "schema": schema,
        "notice": RESEARCH_NOTICE,
        "decisions_sha256": sha256_of_file(decisions),
        "sources": counts,
        "labels": facts,
        "labels_sha256": document["records"],
        "left_out": left_out,
        "versions": {"medrov": __version__},
    }
    return write_folder(output, dataset, lambda row: _decided(*documents[row]), manifest)


def _read_run(run: Path) -> dict[str, Any]:
    try:
        facts = read_json(run / RUN_FILE)
        if facts["command"] != "detect" or not (run / JSONL_FILE).is_file():
            raise ValueError("run")
        _read_options(facts["settings"])
    except (OSError, DocumentError, ValueError, KeyError, TypeError, AttributeError, MedrovError) as error:
        raise invalid(
            f"{run} contains no complete run of 'medrov detect'",
            "Give the --output of the run whose report was reviewed.",
        ) from error
    return dict(facts)


def _read_options(settings: Mapping[str, Any]) -> ReadSettings:
    return ReadSettings(window=parse_window(settings["window"]), axis=settings["axis"])


def _read_decisions(
    document: Mapping[str, Any], path: Path, run: Path
) -> dict[ImageKey, dict[int, DetectionDecision]]:
    """Return the decisions by image and number of the detection."""
    made: dict[ImageKey, dict[int, DetectionDecision]] = {}
    try:
        about = str(document["records"])
        for entry in document["decisions"]:
            kind, name = entry["decision"], entry.get("class")
            key, number = (entry["path"], entry["frame"]), entry["detection"]
            if kind not in KINDS.values() or (kind == RELABEL) != isinstance(name, str):
                raise ValueError("decision")
            if type(number) is not int or type(key[1]) is not int or not isinstance(key[0], str):
                raise ValueError("detection")
            if number in made.setdefault(key, {}):
                raise ValueError("two decisions")
            made[key][number] = DetectionDecision(kind, name)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise invalid(f"{path} is not a file of decisions", _SAVED) from error
    if about != sha256_of_file(run / JSONL_FILE):
        raise invalid(f"{path} does not belong to the run in {run}", _SAVED)
    return made


def _reviewed(
    run: Path,
    path: Path,
    made: Mapping[ImageKey, Mapping[int, DetectionDecision]],
    names: Sequence[str],
    modality_of_unknown: Modality | None,
) -> tuple[dict[Modality, list[dict[str, Any]]], dict[str, tuple[str, ...]], list[dict[str, Any]]]:
    """Return the records with decisions by modality, the DICOM series of their files, and the others."""
    by_modality: dict[Modality, list[dict[str, Any]]] = {}
    members: dict[tuple[str, PurePath], list[str]] = {}
    left_out: list[dict[str, Any]] = []
    unknown = dict.fromkeys(made)
    for record in read_records(run / JSONL_FILE):
        if "error" in record or is_volume_record(record):
            continue
        uid = record["series_uid"]
        if uid is not None and record["frame_count"] == 1:
            members.setdefault((uid, PurePath(record["path"]).parent), []).append(record["path"])
        key = (record["path"], record["frame"])
        if key not in made:
            continue
        unknown.pop(key)
        for number, decision in made[key].items():
            if not 0 <= number < len(record["detections"]):
                raise invalid(f"{path}: {key[0]!r} has no detection {number}", _SAVED)
            if decision.class_name is not None and decision.class_name not in names:
                raise invalid(f"{path}: {decision.class_name!r} is no class of the run", _SAVED)
        modality = modality_of_unknown if record["modality"] is None else Modality(record["modality"])
        if modality is None:
            left_out.append(_left_out(record, "its modality is unknown (--modality states it)"))
            continue
        by_modality.setdefault(modality, []).append(record)
    if unknown:
        raise invalid(f"{path}: {next(iter(unknown))[0]!r} is no image of the run", _SAVED)
    series = {one: tuple(paths) for paths in members.values() if len(paths) > 1 for one in paths}
    return by_modality, series, left_out


def _left_out(record: Mapping[str, Any], reason: str) -> dict[str, Any]:
    return {"path": record["path"], "frame": record["frame"], "reason": reason}


def _with_pixels(
    records: Sequence[dict[str, Any]],
    options: ReadSettings,
    series: Mapping[str, tuple[str, ...]],
    left_out: list[dict[str, Any]],
) -> Iterator[tuple[dict[str, Any], UInt8Array]]:
    """Yield each record with the pixels that the run searched; the frames of one file follow one another."""
    for path, group in groupby(records, key=lambda record: str(record["path"])):
        wanted = {record["frame"]: record for record in group}
        try:
            for frame in read_frames(path, options, series=series.get(path, ())):
                record = wanted.get(frame.index)
                if record is not None:
                    del wanted[frame.index]
                    if (frame.height, frame.width) == (record["height"], record["width"]):
                        yield record, frame.pixels_rgb
                    else:
                        left_out.append(_left_out(record, "its size has changed since the run"))
                if not wanted:
                    break
        except MedrovError as error:
            left_out += [_left_out(record, error.message) for record in wanted.values()]
        else:
            left_out += [_left_out(record, "the frame does not exist any more") for record in wanted.values()]


def _source(output: Path, modality: Modality, name: str) -> Source:
    return Source(name, output / name, output / name / IMAGES, modality, (), "unstated", {})


def _counts(decided: Sequence[DetectionDecision | None]) -> dict[str, int]:
    counts = {
        key: sum(one is not None and one.kind == kind for one in decided) for key, kind in KINDS.items()
    }
    return {**counts, "undecided": sum(one is None for one in decided)}


def _classes_of(document: CocoDocument, decided: Sequence[DetectionDecision | None]) -> list[str]:
    renamed = [one.class_name for one in decided if one is not None and one.class_name is not None]
    return [*(category.name for category in document.categories), *renamed]


def _decided(document: CocoDocument, decided: Sequence[DetectionDecision | None]) -> CocoDocument:
    by_id = {
        annotation.fields["id"]: Decision("", annotation.fields["id"], one.kind, one.class_name)
        for annotation, one in zip(document.annotations, decided, strict=True)
        if one is not None
    }
    return applied(document, by_id)
