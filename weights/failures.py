"""Figure of the worst errors of a report of ``medrov eval``.

    medrov data phantom --count 20 --seed 99 --output runs/phantoms   # and a dataset.yaml that lists them
    medrov eval runs/phantoms/dataset.yaml --split train --output runs/eval-phantoms
    python weights/failures.py runs/eval-phantoms docs/images/failures.jpg

The repository contains only figures of synthetic phantoms, which may be redistributed.
"""

from __future__ import annotations

import argparse
import base64
import io
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIDE, CAPTION, COLUMNS = 240, 44, 6
BACKGROUND, TEXT = (255, 255, 255), (30, 30, 30)


@dataclass
class Gallery(HTMLParser):
    """Parser of the images of a report, with the first two lines below each."""

    pictures: list[tuple[bytes, list[str]]] = field(default_factory=list)
    _inside: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Store the image of a figure."""
        source = dict(attrs).get("src") or ""
        if tag == "figure":
            self._inside = True
        elif tag == "img" and self._inside and source.startswith("data:image/jpeg;base64,"):
            self.pictures.append((base64.b64decode(source.split(",", 1)[1]), []))

    def handle_endtag(self, tag: str) -> None:
        """End a figure."""
        if tag == "figure":
            self._inside = False

    def handle_data(self, data: str) -> None:
        """Store the text below an image."""
        if self._inside and self.pictures and data.strip():
            self.pictures[-1][1].append(data.strip())


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path, help="Folder of an evaluation.")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--rows", type=int, default=1, help="Rows of false positives, and rows of misses.")
    options = parser.parse_args()
    gallery = Gallery()
    gallery.feed((options.report / "report.html").read_text(encoding="utf-8"))
    wrong = [own for own in gallery.pictures if "score" in " ".join(own[1])]
    missed = [own for own in gallery.pictures if own not in wrong]
    count = options.rows * COLUMNS
    draw_sheet([*wrong[:count], *missed[:count]]).save(options.picture, quality=85)


def draw_sheet(pictures: list[tuple[bytes, list[str]]]) -> Image.Image:
    """Return a sheet of the images in rows, each above its text."""
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * SIDE, rows * (SIDE + CAPTION)), BACKGROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (data, words) in enumerate(pictures):
        left, top = number % COLUMNS * SIDE, number // COLUMNS * (SIDE + CAPTION)
        picture = Image.open(io.BytesIO(data))
        picture.thumbnail((SIDE - 8, SIDE - 8))
        sheet.paste(picture, (left + 4, top + 4))
        for line, text in enumerate(words[:2]):
            pen.text((left + 4, top + SIDE + 2 + 18 * line), text[:36], TEXT, font)
    return sheet


if __name__ == "__main__":
    main()
