"""Value of ``--like``: an image with the box of an example."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import MedrovError, usage_error

UNNAMED = "example"
"""Class of examples without a name."""

_FORM = re.compile(r"(?P<path>.+):(?P<box>[^:=,]+(?:,[^:=,]+){3})(?:=(?P<name>[^=]+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LikeExample:
    """One example of a class.

    Attributes
    ----------
    path
        Image; the first frame of a file of several.
    box_xyxy
        Left, top, right, bottom, in pixels of the image.
    name
        Name of the class; examples of one name are one class.
    """

    path: Path
    box_xyxy: tuple[float, float, float, float]
    name: str = UNNAMED

    @classmethod
    def parse(cls, text: str) -> LikeExample:
        """Return the example of ``IMAGE:x1,y1,x2,y2`` or ``IMAGE:x1,y1,x2,y2=NAME``.

        Raises
        ------
        MedrovError
            ``USAGE``.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise _invalid(text)
        try:
            left, top, right, bottom = (float(part) for part in match["box"].split(","))
        except ValueError as error:
            raise _invalid(text) from error
        box = (left, top, right, bottom)
        if not all(map(math.isfinite, box)) or right <= left or bottom <= top:
            raise usage_error(f"--like {text}: the box has no area", "Give left,top,right,bottom in pixels.")
        name = " ".join((match["name"] or UNNAMED).split())
        if not name or not name.isprintable():
            raise _invalid(text)
        return cls(Path(match["path"]), box, name)

    def __str__(self) -> str:
        """Return the box and the name, without the path."""
        return ",".join(f"{value:g}" for value in self.box_xyxy) + f"={self.name}"


def parse_likes(values: Sequence[str]) -> tuple[LikeExample, ...]:
    """Return the examples of several ``--like``."""
    return tuple(LikeExample.parse(value) for value in values)


def _invalid(text: str) -> MedrovError:
    return usage_error(
        f"--like {text}: not an image with a box", 'Give IMAGE:x1,y1,x2,y2 or "IMAGE:x1,y1,x2,y2=NAME".'
    )
