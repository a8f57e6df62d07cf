"""Data files that a header in another file names: of NIfTI and Analyze pairs, NRRD and MetaImage."""

from __future__ import annotations

import os

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.pixels.companions import voxels_of
from medrov_cli.core.pixels.sniff import Kind, sniff

_HEADER_SUFFIXES = (".hdr", ".hdr.gz", ".nhdr", ".nrrd", ".mhd", ".mha")


def is_detached_header(path: str) -> bool:
    """Return whether the name of a file is that of a header whose data may be in other files."""
    return os.path.basename(path).casefold().endswith(_HEADER_SUFFIXES)  # noqa: PTH119 - called for each file


def data_files_of(path: str) -> list[str]:
    """Return the existing data files of a header; empty for other files, and if the header cannot be read."""
    try:
        if not os.path.isfile(path):  # noqa: PTH113 - opening a named pipe waits for a writer
            return []
        kind = sniff(path)
        if kind is Kind.NIFTI:
            voxels = voxels_of(path)
            return [] if voxels is None else [voxels]
        if kind is Kind.NRRD:
            from medrov_cli.core.pixels.nrrd.file import nrrd_data_files

            return nrrd_data_files(path)
        if kind is Kind.METAIMAGE:
            from medrov_cli.core.pixels.metaimage.file import metaimage_data_files

            return metaimage_data_files(path)
    except (OSError, MedrovError):
        pass
    return []
