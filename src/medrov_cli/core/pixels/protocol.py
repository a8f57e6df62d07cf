"""Protocols of image readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from medrov_cli.core.records.frame import Frame
from medrov_cli.core.settings.io_groups import ReadSettings

ImageReader = Callable[[str, ReadSettings], Iterator[Frame]]
"""From a path and the settings to the frames of a file, decoded on request; raises input errors."""

StudyReader = Callable[[str, BinaryIO, ReadSettings, Sequence[str]], Iterator[Frame]]
"""The same for DICOM, from a path, the file at its start, the settings, and the paths of its series."""
