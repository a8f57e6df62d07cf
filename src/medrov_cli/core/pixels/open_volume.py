"""Opening of a volume file of any kind."""

from __future__ import annotations

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.pixels.sniff import Kind, kind_of_name, sniff
from medrov_cli.core.pixels.volumes.volume import Volume, unsupported


def open_volume(path: str, limits: InputLimits) -> Volume:
    """Read the header of a volume file and map its voxels, by the module of its kind.

    Parameters
    ----------
    path
        A regular file.
    limits
        Limits of the input.

    Raises
    ------
    MedrovError
        An input code; ``unsupported_format`` if the file is not a volume.
    """
    kind = sniff(path) or kind_of_name(path)
    if kind is Kind.NIFTI:
        from medrov_cli.core.pixels.nifti.file import open_nifti

        return open_nifti(path, limits)
    if kind is Kind.NRRD:
        from medrov_cli.core.pixels.nrrd.file import open_nrrd

        return open_nrrd(path, limits)
    if kind is Kind.METAIMAGE:
        from medrov_cli.core.pixels.metaimage.file import open_metaimage

        return open_metaimage(path, limits)
    raise unsupported("image", "is not a volume", "Give NIfTI, NRRD, MetaImage or Analyze.")
