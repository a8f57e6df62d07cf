"""Fits of all classes on the views of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.base.progress import Progress
from medrov_cli.core.learning.class_fit import MANY_CLASSES, ClassTask, Fold
from medrov_cli.core.learning.examples import ExampleSet
from medrov_cli.core.learning.starts import text_vectors
from medrov_cli.core.learning.views import ViewSet
from medrov_cli.core.prediction.dataset_model import embed_names
from medrov_cli.core.prediction.embedding_space import EmbeddingSpace, Vector
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.settings.learn import LearnSettings
from medrov_cli.core.weights import container
from medrov_cli.core.weights.learned_file import LearnedClass


@dataclass(frozen=True, slots=True, eq=False)
class ClassFits:
    """Fitted classes, in the order of the examples' classes.

    Attributes
    ----------
    records
        Record of each class.
    vectors
        Vectors of each class.
    """

    records: tuple[LearnedClass, ...]
    vectors: tuple[list[Vector], ...]

    @property
    def mean_ap50(self) -> float | None:
        """Return the mean AP50 on held-out examples of the classes that have one; null: none has."""
        found = [own.validation.ap50 for own in self.records if own.validation is not None]
        return float(np.mean(found)) if found else None


@dataclass(frozen=True, slots=True, eq=False)
class FitTask:
    """Examples, and what does not change with an adapter.

    Attributes
    ----------
    examples
        The examples.
    groups
        Number of the group of each image.
    texts
        Vector of the text of each class.
    space
        Space of the class embeddings.
    encoder
        Spec of the text encoder.
    imgsz
        Side of the square model input, in pixels.
    folds
        Largest number of parts of the images; 0: no validation.
    """

    examples: ExampleSet
    groups: tuple[int, ...]
    texts: tuple[Vector, ...]
    space: EmbeddingSpace
    encoder: str
    imgsz: int
    folds: int

    @classmethod
    def prepare(cls, config: LearnSettings, network: WeightsFile, examples: ExampleSet) -> FitTask:
        """Embed the names of the classes, and number the groups of the images.

        Raises
        ------
        MedrovError
            The codes of text encoders.
        """
        tensors = container.load_tensors(network.path)
        encoder = config.text_encoder or network.text_encoder
        names = list(dict.fromkeys(image.group for image in examples.images))
        return cls(
            examples,
            tuple(names.index(image.group) for image in examples.images),
            tuple(
                text_vectors(tensors, embed_names(examples.texts, encoder, offline=config.runtime.offline))
            ),
            EmbeddingSpace.from_tensors(tensors),
            encoder,
            config.runtime.imgsz or network.imgsz,
            config.folds,
        )

    def fit(self, views: ViewSet, progress: Progress, adapted: Sequence[Fold] = ()) -> ClassFits:
        """Fit all classes; each fit is independent of the others.

        Parameters
        ----------
        views
            Views of all images.
        progress
            Called with the number of classes.
        adapted
            Folds of a network with an adapter.
        """
        records: list[LearnedClass] = []
        vectors: list[list[Vector]] = []
        count = len(self.examples.classes)
        for label, name in enumerate(self.examples.classes):
            progress(label, count, "classes")
            task = ClassTask(
                name,
                label,
                self.texts[label],
                views,
                self.groups,
                self.space,
                self.imgsz,
                self.folds,
                chooses=count <= MANY_CLASSES,
                adapted=tuple(adapted),
            )
            own, record = task.fit()
            vectors.append(own)
            records.append(record)
        progress(count, count, "classes")
        return ClassFits(tuple(records), tuple(vectors))
