"""Render a DICOM image with a presentation state by DCMTK, as a picture for the documentation.

python benchmarks/presentation_picture.py IMAGE.dcm STATE.dcm PICTURE.png

DCMTK's dcmp2pgm applies the modality LUT, the window and the presentation LUT. It draws no annotations:
boxes and labels are drawn here, from the coordinates and the colours of the layers that DCMTK's dcm2json
reads from the state.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pydicom
from highdicom.color import CIELabColor
from PIL import Image, ImageDraw

GRAPHIC_ANNOTATIONS, GRAPHICS, TEXTS = "00700001", "00700009", "00700008"
GRAPHIC_DATA, TEXT, ANCHOR = "00700022", "00700006", "00700014"
LAYERS, LAYER, LAYER_COLOR = "00700060", "00700002", "00700401"
SCALE = 1


def main(arguments: list[str]) -> int:
    """Write the picture."""
    image, state, picture = map(Path, arguments)
    with tempfile.TemporaryDirectory() as folder:
        plain, bitmap = Path(folder, "plain.dcm"), Path(folder, "out.pgm")
        dataset = pydicom.dcmread(image)
        dataset.decompress(generate_instance_uid=False)  # DCMTK reads no JPEG 2000
        dataset.save_as(plain)
        subprocess.run(["dcmp2pgm", "-p", state, plain, bitmap], check=True)  # noqa: S603, S607
        drawn = Image.open(bitmap).convert("RGB")
    drawn = drawn.resize((drawn.width * SCALE, drawn.height * SCALE), Image.Resampling.BICUBIC)
    content = subprocess.run(["dcm2json", state], check=True, capture_output=True).stdout  # noqa: S603, S607
    draw = ImageDraw.Draw(drawn)
    read = json.loads(content)
    colors = {
        _values(layer, LAYER)[0]: CIELabColor.from_dicom_value(tuple(_values(layer, LAYER_COLOR))).to_rgb()
        for layer in _values(read, LAYERS)
    }
    for annotation in _values(read, GRAPHIC_ANNOTATIONS):
        color = colors[_values(annotation, LAYER)[0]]
        for graphic in _values(annotation, GRAPHICS):
            draw.line([SCALE * value for value in _values(graphic, GRAPHIC_DATA)], color, 2)
        for text in _values(annotation, TEXTS):
            x, y = (SCALE * value for value in _values(text, ANCHOR))
            draw.text((x, y - 14), _values(text, TEXT)[0], color)
    drawn.save(picture, optimize=True)
    return 0


def _values(dataset: dict[str, Any], tag: str) -> list[Any]:
    return list(dataset.get(tag, {}).get("Value", ()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
