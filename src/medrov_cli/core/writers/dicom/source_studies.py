"""Images of a run as DICOM instances, grouped by study: what the results refer to."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.base.scratch import scratch_folder
from medrov_cli.core.pixels.dicom.header import read_file_header
from medrov_cli.core.pixels.dicom.slide_class import SLIDE_CLASS
from medrov_cli.core.pixels.sniff import Kind, sniff
from medrov_cli.core.runs.journal import JsonRecord, json_line
from medrov_cli.core.settings.choices import Phi
from medrov_cli.core.writers.dicom.header_values import IMAGE_ELEMENTS, missing_uid, source_elements
from medrov_cli.core.writers.dicom.unlisted_classes import is_listed
from medrov_cli.core.writers.protocol import Records, RunFacts

HEADERS_KEPT = 1000
"""Headers that are kept for the next format of a run: about 20 MB."""

NO_DICOM = "it is no DICOM image and belongs to no study"
NO_SLIDE = "it is no DICOM whole slide"
A_SLIDE = "it is a whole slide: use the format ann"


@dataclass(frozen=True, slots=True)
class SourceInstance:
    """DICOM instance with the records of its frames.

    Attributes
    ----------
    header
        See :func:`medrov_cli.core.writers.dicom.header_values.source_elements`.
    sop_class
        SOP class of the image. That of ``header`` replaces a class that the library does not list.
    path
        Path of the file, as in the records.
    records
        Records of schema ``medrov.detect/1``, in order.
    source_items
        Items of a report that refer to the image, by frame; null: the only one.
    uid
        SOP Instance UID.
    has_frames
        Whether references have to name a frame.
    """

    header: Dataset
    sop_class: str
    path: str
    records: list[JsonRecord] = field(default_factory=list)
    source_items: dict[int | None, Dataset] = field(default_factory=dict)

    uid: str = field(init=False)
    has_frames: bool = field(init=False)

    def __post_init__(self) -> None:
        """Read what references need from the header."""
        object.__setattr__(self, "uid", str(self.header.SOPInstanceUID))
        object.__setattr__(self, "has_frames", int(self.header.get("NumberOfFrames") or 1) > 1)


@dataclass(frozen=True, slots=True)
class SourceStudy:
    """Study, or a part of one, with its instances in the order of the records.

    Attributes
    ----------
    instances
        At least one instance.
    patient
        Header with the elements of patient and study.
    volumes
        Records of schema ``medrov.findings/1`` of its volumes.
    """

    instances: tuple[SourceInstance, ...]
    patient: Dataset
    volumes: tuple[JsonRecord, ...] = ()

    @property
    def headers(self) -> list[Dataset]:
        """Return the headers of all instances."""
        return [instance.header for instance in self.instances]

    @property
    def unlisted(self) -> dict[str, str]:
        """Return the SOP classes of images that the library does not list, by SOP Instance UID."""
        return {one.uid: one.sop_class for one in self.instances if one.sop_class != one.header.SOPClassUID}

    @property
    def paths(self) -> list[str]:
        """Return the paths of all images."""
        return [instance.path for instance in self.instances]

    @property
    def records(self) -> list[JsonRecord]:
        """Return the records of all images."""
        return [record for instance in self.instances for record in instance.records]

    def split(self, key: Callable[[SourceInstance], Hashable]) -> list[SourceStudy]:
        """Return parts of the study: the instances with equal keys, in order."""
        found: dict[Hashable, list[SourceInstance]] = {}
        for instance in self.instances:
            found.setdefault(key(instance), []).append(instance)
        return [SourceStudy(tuple(instances), self.patient) for instances in found.values()]

    def series(self) -> list[SourceStudy]:
        """Return the series of the study."""
        return self.split(lambda instance: str(instance.header.SeriesInstanceUID))

    def lead(self, instance: SourceInstance | None = None) -> Dataset:
        """Return the header of an instance, by default the first, with the elements of patient and study."""
        found = Dataset()
        found.update(self.patient)
        for keyword in IMAGE_ELEMENTS:
            if keyword in found:
                del found[keyword]
        found.update((instance or self.instances[0]).header)
        return found


def read_studies(records: Records, run: RunFacts, *, slides: bool = False) -> Iterator[SourceStudy]:
    """Yield the studies of a run one by one; images that no DICOM result can refer to are left out.

    The records are sorted by study in a temporary folder, so that memory holds one study.

    Parameters
    ----------
    records
        All records of the run.
    run
        Records of volumes, treatment of identifiers, and receiver of what is left out.
    slides
        Whether whole slides are wanted, and not all other images: boxes of slides are in pixels of all tiles.
    """
    with scratch_folder() as folder:
        for file in _sort_by_study(chain(records(), run.volumes()), folder, run):
            with file.open(encoding="ascii") as lines:
                study = _read_study(map(json.loads, lines), run, slides)
            if study is not None:
                yield study


def _sort_by_study(records: Iterable[JsonRecord], folder: Path, run: RunFacts) -> list[Path]:
    """Write the records of each study to a file, and return the files in the order of the studies."""
    files: dict[str, Path] = {}
    last, lines = "", list[str]()

    def flush() -> None:
        if lines:
            with files[last].open("a", encoding="ascii", newline="\n") as stream:
                stream.writelines(lines)
            lines.clear()

    left_out = ""
    for record in records:
        if "error" in record:
            continue
        uid = record["study_uid"]
        if uid is None:
            if "findings" not in record and record["path"] != left_out:
                left_out = record["path"]
                run.leave_out(left_out, _reason_without_study(left_out))
            continue
        if uid != last:
            flush()
            last = uid
            files.setdefault(uid, folder / f"{len(files)}.jsonl")
        lines.append(json_line(record))
    flush()
    return list(files.values())


def _reason_without_study(path: str) -> str:
    try:
        is_dicom = sniff(path) is Kind.DICOM
    except (MedrovError, OSError, EOFError):
        is_dicom = False
    return "its header has no Study Instance UID" if is_dicom else NO_DICOM


def _read_study(records: Iterable[JsonRecord], run: RunFacts, slides: bool) -> SourceStudy | None:
    """Return a study, null if it has no instance; files that cannot be referred to are left out."""
    instances: dict[str, SourceInstance] = {}
    paths: dict[str, str | None] = {}
    volumes: list[JsonRecord] = []
    for record in records:
        if "findings" in record:
            volumes.append(record)
            continue
        path = record["path"]
        if path not in paths:
            paths[path] = None
            with run.leaving_out_failures([path]):
                paths[path] = _add_instance(path, instances, run, slides)
        uid = paths[path]
        if uid is not None:
            instances[uid].records.append(record)
    found = tuple(instances.values())
    return SourceStudy(found, found[0].header, tuple(volumes)) if found else None


def _add_instance(path: str, instances: dict[str, SourceInstance], run: RunFacts, slides: bool) -> str | None:
    """Read the header of a file; return the key of its instance, or null if it is left out."""
    header, reason = _read_once(path, run, patient=not instances)
    if header is None:
        run.leave_out(path, reason)
        return None
    uid, sop_class = str(header.SOPInstanceUID), str(header.SOPClassUID)
    if (sop_class == SLIDE_CLASS) is not slides:
        run.leave_out(path, NO_SLIDE if slides else A_SLIDE)
        return None
    if uid in instances:
        run.leave_out(path, "another image of the run has the same SOP Instance UID")
        return None
    if not is_listed(sop_class):
        header.SOPClassUID = SecondaryCaptureImageStorage
    instances[uid] = SourceInstance(header, sop_class, path)
    return uid


def _read_once(path: str, run: RunFacts, *, patient: bool) -> tuple[Dataset | None, str]:
    """Return what `read_instance` returns; several formats of a run read a header once."""
    key = (path, patient)
    if key not in run.headers:
        found = read_instance(path, run.phi, patient=patient)
        if len(run.headers) >= HEADERS_KEPT:
            return found
        run.headers[key] = found
    header, reason = run.headers[key]
    return None if header is None else Dataset(dict(header.items())), reason


def read_instance(path: str, phi: Phi, *, patient: bool) -> tuple[Dataset | None, str]:
    """Return the elements of a source image, or null and the reason why it cannot be referred to."""
    try:
        header: Any = read_file_header(path)
        missing = missing_uid(header)
    except (MedrovError, OSError, EOFError):
        return None, "its header can no longer be read"
    if missing:
        return None, f"its header has no valid {missing}"
    return source_elements(header, phi, patient=patient), ""
