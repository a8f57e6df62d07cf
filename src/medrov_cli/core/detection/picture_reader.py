"""Pixels of the images of a run, read again from its records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from medrov_cli.core.detection.input_file import picture_of
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.findings_json import is_volume_record
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.settings.choices import Axis
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.window import parse_window


class PictureReader:
    """Reader of images in the order of the records.

    Parameters
    ----------
    settings
        Settings of the run, from its ``run.json``.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        window, axis = parse_window(settings["window"]), cast(Axis, settings["axis"])
        self._options = ReadSettings(window=window, axis=axis, by_region=True)
        self._path = ""
        self._frames: Iterator[Frame] = iter(())

    def read(self, record: Mapping[str, Any]) -> UInt8Array | None:
        """Return the image of a record, uint8, (height, width, 3); null for a failure or a volume.

        Raises
        ------
        MedrovError
            An input code, if the file cannot be read any more.
        """
        if is_volume_record(record) or "error" in record:
            return None
        if record["path"] != self._path:
            self._path = str(record["path"])
            self._frames = read_frames(self._path, self._options)
        for frame in self._frames:
            if frame.index == record["frame"]:
                return picture_of(frame)
        return None
