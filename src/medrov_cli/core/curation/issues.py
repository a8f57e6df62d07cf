"""Issues that a check of a dataset reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Severity of an issue: an error invalidates training or evaluation, a note needs no action."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Code(StrEnum):
    """Kinds of issues; a closed list."""

    SOURCE_UNUSABLE = "source_unusable"
    DATASET_INVALID = "dataset_invalid"
    SPLIT_MISSING = "split_missing"
    CASE_IN_TWO_SPLITS = "case_in_two_splits"
    CASE_IN_TWO_SOURCES = "case_in_two_sources"
    NEAR_DUPLICATE = "near_duplicate"
    FILE_MISSING = "file_missing"
    FILE_UNREADABLE = "file_unreadable"
    SIZE_MISMATCH = "size_mismatch"
    BOX_WITHOUT_AREA = "box_without_area"
    BOX_OUTSIDE = "box_outside"
    BOX_DUPLICATE = "box_duplicate"
    CLASS_WITHOUT_BOXES = "class_without_boxes"
    CLASS_NOT_IN_TRAIN = "class_not_in_train"
    CLASS_NO_OBJECT = "class_no_object"
    CLASS_SPELLING = "class_spelling"
    BOX_FORM = "box_form"
    SIDE_UNPAIRED = "side_unpaired"
    SIDE_SUSPECT = "side_suspect"
    SIDE_DIFFERS = "side_differs"


SEVERITIES = {
    Code.SOURCE_UNUSABLE: Severity.ERROR,
    Code.DATASET_INVALID: Severity.ERROR,
    Code.SPLIT_MISSING: Severity.ERROR,
    Code.CASE_IN_TWO_SPLITS: Severity.ERROR,
    Code.CASE_IN_TWO_SOURCES: Severity.WARNING,
    Code.NEAR_DUPLICATE: Severity.ERROR,
    Code.FILE_MISSING: Severity.ERROR,
    Code.FILE_UNREADABLE: Severity.ERROR,
    Code.SIZE_MISMATCH: Severity.ERROR,
    Code.BOX_WITHOUT_AREA: Severity.ERROR,
    Code.BOX_OUTSIDE: Severity.WARNING,
    Code.BOX_DUPLICATE: Severity.WARNING,
    Code.CLASS_WITHOUT_BOXES: Severity.WARNING,
    Code.CLASS_NOT_IN_TRAIN: Severity.WARNING,
    Code.CLASS_NO_OBJECT: Severity.WARNING,
    Code.CLASS_SPELLING: Severity.WARNING,
    Code.BOX_FORM: Severity.WARNING,
    Code.SIDE_UNPAIRED: Severity.NOTE,
    Code.SIDE_SUSPECT: Severity.WARNING,
    Code.SIDE_DIFFERS: Severity.WARNING,
}


HINTS = {
    Code.SOURCE_UNUSABLE: "See docs/training.md for the form of a source folder.",
    Code.DATASET_INVALID: "See docs/training.md for the form of a dataset yaml.",
    Code.SPLIT_MISSING: "Run 'medrov data split SOURCE_DIR'.",
    Code.CASE_IN_TWO_SPLITS: (
        "Run 'medrov data split SOURCE_DIR --repair'. For two sources with the same cases, leave out one, "
        "or give both the same splits."
    ),
    Code.CASE_IN_TWO_SOURCES: (
        "Give both sources the same splits if they are one patient; else convert the sources again, which "
        "adds their names to the cases."
    ),
    Code.NEAR_DUPLICATE: (
        "Run 'medrov data split SOURCE_DIR --repair'. For two sources with the same images, leave out one."
    ),
    Code.FILE_MISSING: "Restore the file, or remove its image from annotations.json.",
    Code.FILE_UNREADABLE: "Replace the file, or remove its image from annotations.json.",
    Code.SIZE_MISMATCH: "Use the file that was annotated: boxes are in its pixels.",
    Code.BOX_WITHOUT_AREA: "Correct the box, or remove it from annotations.json.",
    Code.BOX_OUTSIDE: "Check the image size: such boxes often belong to a resized image.",
    Code.BOX_DUPLICATE: "Remove one of them unless they are two objects.",
    Code.CLASS_WITHOUT_BOXES: "Remove the category if it was not annotated.",
    Code.CLASS_NOT_IN_TRAIN: "Run 'medrov data split SOURCE_DIR'.",
    Code.CLASS_NO_OBJECT: "Convert the source again, or leave the class out with 'medrov data merge --map'.",
    Code.CLASS_SPELLING: "Join them with 'medrov data merge --map', unless they are two classes.",
    Code.BOX_FORM: "Convert the source with 'medrov data convert --from coco'.",
    Code.SIDE_UNPAIRED: "No action is required.",
    Code.SIDE_SUSPECT: "Check the image: the classes may be exchanged.",
    Code.SIDE_DIFFERS: "Check both sources: left and right are those of the patient.",
}
"""Hint of each kind of issue."""


@dataclass(frozen=True, slots=True)
class DatasetIssue:
    """Issue of a dataset.

    Attributes
    ----------
    code
        Kind of the issue; ``SEVERITIES`` has its severity.
    where
        ``source``, ``source/file``, or the class if the issue concerns the whole dataset.
    message
        One sentence, without a patient's name or case.
    """

    code: Code
    where: str
    message: str

    @property
    def severity(self) -> Severity:
        """Return the severity."""
        return SEVERITIES[self.code]

    @property
    def hint(self) -> str:
        """Return the hint."""
        return HINTS[self.code]

    def as_dict(self) -> dict[str, str]:
        """Return the element of ``findings`` of a JSON document."""
        return {
            "code": self.code.value,
            "severity": self.severity.value,
            "where": self.where,
            "message": self.message,
            "hint": self.hint,
        }
