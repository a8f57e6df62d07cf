"""What the kind of an image means for its modality, its classes and its warnings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from medrov_cli.core.prediction.classes import ClassList, named_in_warning
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.records.frame import Float32Array, Frame
from medrov_cli.core.records.image_kinds import ImageKind, KindClassifier
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.settings.choices import ModalitySource

UNKNOWN_WARNING = "image_kind_unknown: the image is of no known kind"
CONTRADICTION_WARNING = (
    "modality_contradicted: the file states {stated}, the image kind is {kind} ({modality})"
)


@dataclass(frozen=True, eq=False)
class KindRule:
    """Rule by which the kind of an image limits the classes of a predictor.

    Attributes
    ----------
    classes
        Classes of the predictor.
    classifier
        Classifier of kinds; null if the model has none: the modality that the file states counts alone.
    """

    classes: ClassList
    classifier: KindClassifier | None = None

    def apply(
        self, frame: Frame, letterbox: Letterbox, pooled: Float32Array | None
    ) -> tuple[Frame, ImageKind | None, IntArray]:
        """Return the frame with modality and warnings, its kind, and the columns that count for it.

        Parameters
        ----------
        frame
            The frame as it was read.
        letterbox
            Transform from source to model pixels.
        pooled
            Pooled features, float32, (2 * channels,); null if the engine computes none.
        """
        stated = frame.modality
        if stated is not None and frame.modality_source is None:
            frame = replace(frame, modality_source=ModalitySource.FILE)
        if self.classifier is None or pooled is None:
            warnings = frame.warnings + self.classes.warnings(stated)
            return replace(frame, warnings=warnings), None, self.classes.columns(stated)
        kind = self.classifier.classify(pooled, letterbox.content_share, stated)
        if kind.modality is None:
            more = ""
            if not self.classes.asked:
                searched = "nothing is" if stated is None else f"the classes of {stated.value} are"
                more = f"; without --classes {searched} searched in it"
            frame = replace(frame, warnings=(*frame.warnings, UNKNOWN_WARNING + more))
            return frame, kind, self._columns(None) if stated is None else self.classes.columns(stated)
        warnings = frame.warnings + self._warnings[kind.name]
        if kind.modality != stated:
            if stated is not None:
                said = CONTRADICTION_WARNING.format(
                    stated=stated.value, kind=kind.name, modality=kind.modality.value
                )
                warnings = (*warnings, said)
            frame = replace(frame, modality=kind.modality, modality_source=ModalitySource.IMAGE_KIND)
        return replace(frame, warnings=warnings), kind, self._columns(kind.name)

    def _columns(self, kind: str | None) -> IntArray:
        """Return the columns that count for a kind: all where the user named the classes."""
        if self.classes.asked:
            return np.arange(len(self.classes.names))
        return np.zeros(0, dtype=np.int64) if kind is None else self._possible[kind]

    @cached_property
    def _possible(self) -> dict[str, IntArray]:
        """Return the columns of the classes that each kind can show, or of which it is not known."""
        return {} if self.classifier is None else possible_columns(self.classifier, self.classes)

    @cached_property
    def _warnings(self) -> dict[str, tuple[str, ...]]:
        """Return a sentence for each kind that cannot show a named class."""
        if not self.classes.asked:
            return dict.fromkeys(self._possible, ())
        found = {}
        for kind, columns in self._possible.items():
            rest = np.setdiff1d(np.arange(len(self.classes.names)), columns)
            found[kind] = named_in_warning(kind, [self.classes.names[column] for column in rest])
        return found


def possible_columns(classifier: KindClassifier, classes: ClassList) -> dict[str, IntArray]:
    """Return the columns, int64, of the classes that each kind can show.

    A class that the classifier's table does not contain is possible where its modalities are those of the
    kind, or not known.
    """
    known = classifier.info.known_classes
    kinds = classes.kinds or ((),) * len(classes.names)
    groups = zip(classes.texts, kinds, strict=True)
    texts = [{text.casefold() for text in (*group, *below)} for group, below in groups]
    found = {}
    for kind in classifier.info.kinds:
        shown = {name.casefold() for name in kind.classes}
        is_possible = [
            bool(own & shown) if own & known else not seen or kind.modality in seen
            for own, seen in zip(texts, classes.modalities, strict=True)
        ]
        found[kind.name] = np.flatnonzero(is_possible)
    return found
