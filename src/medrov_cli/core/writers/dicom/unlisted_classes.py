"""References to images of SOP classes that highdicom does not list: retired, private, or very new ones.

highdicom refuses such images. An object is therefore made with another class, and corrected here.
"""

from __future__ import annotations

from collections.abc import Mapping

from highdicom._standard_utils import get_sop_class_iod_map
from pydicom.dataset import Dataset


def is_listed(sop_class: str) -> bool:
    """Return whether highdicom lists a SOP class; it has no public function for it."""
    return sop_class in get_sop_class_iod_map()


def restore_classes(dataset: Dataset, classes: Mapping[str, str]) -> None:
    """Write the real SOP classes of images into all references of an object.

    Parameters
    ----------
    dataset
        The object; it is changed.
    classes
        Real SOP classes by SOP Instance UID.
    """
    if not classes:
        return
    uid = dataset.get("ReferencedSOPInstanceUID")
    if uid in classes:
        dataset.ReferencedSOPClassUID = classes[uid]
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                restore_classes(item, classes)
