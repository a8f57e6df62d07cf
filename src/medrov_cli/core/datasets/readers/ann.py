"""Read DICOM Microscopy Bulk Simple Annotations: objects of slides, which become boxes on tiles.

The slide is the one that the annotations refer to, whatever its name.
"""

from __future__ import annotations

from medrov_cli.core.datasets.readers.protocol import Reader, Reading
from medrov_cli.core.datasets.readers.shared.slide_tiles import tile_reading
from medrov_cli.core.datasets.slides.pairs import pair_ann
from medrov_cli.core.settings.data_convert import ReaderSettings


def read(config: ReaderSettings) -> Reading:
    """List one unit for each annotation object.

    Raises
    ------
    MedrovError
        ``not_found`` or ``no_input``.
    """
    return tile_reading(pair_ann(config.path, config.images), config)


READER: Reader = read
