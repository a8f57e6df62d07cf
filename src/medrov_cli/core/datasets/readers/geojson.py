"""Read GeoJSON of QuPath: a file for each slide, whose annotated objects become boxes on tiles.

The image has the name of its file, with any suffix: ``case.geojson`` and ``case.svs``.
"""

from __future__ import annotations

from medrov_cli.core.datasets.readers.protocol import Reader, Reading
from medrov_cli.core.datasets.readers.shared.slide_tiles import tile_reading
from medrov_cli.core.datasets.slides.pairs import pair_geojson
from medrov_cli.core.settings.data_convert import ReaderSettings


def read(config: ReaderSettings) -> Reading:
    """List one unit for each GeoJSON file.

    Raises
    ------
    MedrovError
        ``not_found`` or ``no_input``.
    """
    return tile_reading(pair_geojson(config.path, config.images), config)


READER: Reader = read
