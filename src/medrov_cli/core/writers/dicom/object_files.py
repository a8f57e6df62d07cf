"""Writing of DICOM objects to files: equal objects give equal bytes."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.writers.dicom.item_encoding import write_dataset_file
from medrov_cli.core.writers.dicom.result_identity import derive_uid

_TIMED = ("InstanceCreationDate", "InstanceCreationTime", "ContributingEquipmentSequence")
"""Optional elements in which highdicom writes the present time."""


def write_object(folder: Path, dataset: Dataset) -> Path:
    """Write an object as ``UID.dcm``, without the time of its creation, and return its path.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    for keyword in _TIMED:
        if keyword in dataset:
            delattr(dataset, keyword)
    meta = dataset.file_meta
    meta.ImplementationClassUID = UID(derive_uid("implementation"))
    meta.ImplementationVersionName = f"MEDROV_{__version__}"[:16]
    target = folder / f"{dataset.SOPInstanceUID}.dcm"
    with whole_file(target) as temporary:
        write_dataset_file(temporary, dataset)
    return target
