"""Objects of a GeoJSON file of QuPath: polygons with a classification."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.segmentations import Extent, join_extents, polygon_extent
from medrov_cli.core.datasets.slides.objects import ObjectList, Rings, SlideObjects


def read_geojson_objects(path: Path, region_names: Collection[str] = ()) -> SlideObjects:
    """Return the classified polygons of a file.

    Parameters
    ----------
    path
        The file.
    region_names
        Classes of regions, in lower case.

    Raises
    ------
    MedrovError
        ``bad_metadata``.
    """
    found = ObjectList(region_names)
    without_class = without_area = 0
    try:
        document = read_json(path)
        features = document.get("features", [document]) if isinstance(document, Mapping) else document
        for feature in features:
            name = _class_name(feature["properties"])
            geometry = feature["geometry"]
            extent = _extent(geometry)
            without_class += name is None
            without_area += name is not None and extent is None
            if name is None or extent is None:
                continue
            if found.is_region(name):
                found.regions.append(_rings(geometry))
            else:
                left, top, width, height = extent.box_xywh
                found.add(name, np.array([[left, top, left + width, top + height]], dtype=np.float64))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise MedrovError(
            ErrorCode.BAD_METADATA, "The file is not GeoJSON of QuPath.", "Export the objects again."
        ) from None
    warnings = []
    if without_class:
        warnings.append("objects without a classification were left out")
    if without_area:
        warnings.append("points and lines were left out")
    return found.finish(warnings)


def _class_name(properties: Mapping[str, Any]) -> str | None:
    name = (properties.get("classification") or {}).get("name")
    return name if isinstance(name, str) and name.strip() else None


def _polygons(geometry: Mapping[str, Any]) -> list[Any] | None:
    """Return the polygons of a geometry, each a list of rings; null for points and lines."""
    kind, coordinates = geometry["type"], geometry["coordinates"]
    if kind not in ("Polygon", "MultiPolygon"):
        return None
    return [coordinates] if kind == "Polygon" else list(coordinates)


def _extent(geometry: Mapping[str, Any]) -> Extent | None:
    """Return the extent of polygons by their outer rings; null for points and lines."""
    polygons = _polygons(geometry)
    if polygons is None:
        return None
    rings = [[value for corner in polygon[0] for value in corner[:2]] for polygon in polygons]
    return join_extents([polygon_extent(ring) for ring in rings])


def _rings(geometry: Mapping[str, Any]) -> Rings:
    """Return all rings of polygons, holes included."""
    return tuple(
        np.array([corner[:2] for corner in ring], dtype=np.float64)
        for polygon in _polygons(geometry) or ()
        for ring in polygon
    )
