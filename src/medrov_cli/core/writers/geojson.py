"""Detections as GeoJSON for QuPath: one file per image, one feature per box.

The features have the form of QuPath's own export (since version 0.4): ``objectType``, ``classification`` with
name and colour, and ``measurements`` by name. Coordinates are pixels of the finest level.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medrov_cli.core.base.class_colors import class_color
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.naming import output_path
from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

GEOJSON_FOLDER = "geojson"


class GeoJsonWriter:
    """Writer of a folder of GeoJSON files."""

    name = "geojson"
    needs_folder = True
    files = (f"{GEOJSON_FOLDER}/**/*.geojson",)

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write a file for each image."""
        for record in records():
            if "error" not in record:
                path, frame, count = record["path"], record["frame"], record["frame_count"]
                target = output_path(folder / GEOJSON_FOLDER, path, frame, count, ".geojson")
                write_geojson(target, record, run.classes)


def write_geojson(path: Path, record: JsonRecord, classes: Sequence[str]) -> None:
    """Write the detections of one image as a feature collection.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    with whole_file(path) as temporary, temporary.open("w", encoding="ascii") as stream:
        stream.write('{"type": "FeatureCollection", "features": [\n')
        for number, feature in enumerate(_features(record, classes)):
            stream.write((",\n" if number else "") + json.dumps(feature, allow_nan=False))
        stream.write("\n]}\n")


def _features(record: JsonRecord, classes: Sequence[str]) -> Iterator[dict[str, Any]]:
    colors = {name: list(class_color(name)) for name in classes}
    space = _identifier(uuid.NAMESPACE_URL, f"{record['path']}#{record['frame']}")
    for number, found in enumerate(record["detections"]):
        x1, y1, x2, y2 = found["box_xyxy"]
        yield {
            "type": "Feature",
            "id": str(_identifier(space, str(number))),
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]],
            },
            "properties": {
                "objectType": "detection",
                "classification": {"name": found["class"], "color": colors[found["class"]]},
                "measurements": {"Score": found["score"], **_size(found)},
            },
        }


def _identifier(space: uuid.UUID, name: str) -> uuid.UUID:
    """Return ``uuid.uuid5`` of any path: that of a name that is no UTF-8 has the bytes of the name."""
    digest = hashlib.sha1(space.bytes + name.encode(errors="surrogateescape"), usedforsecurity=False).digest()
    return uuid.UUID(bytes=digest[:16], version=5)


def _size(found: JsonRecord) -> dict[str, float]:
    """Return width and height in micrometres, if they are known."""
    if "box_um" not in found:
        return {}
    x1, y1, x2, y2 = found["box_um"]
    return {"Width um": round(x2 - x1, 2), "Height um": round(y2 - y1, 2)}


WRITER: Writer = GeoJsonWriter()
