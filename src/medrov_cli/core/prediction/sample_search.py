"""Search of the samples of a dataset: by one model with its selection, or by an ensemble.

A search is a few settings, so that it can be opened in this process or in the workers of a cluster.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.prediction.dataset_model import DatasetModel
from medrov_cli.core.prediction.ensemble import Ensemble
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.settings.groups import SelectionSettings
from medrov_cli.core.settings.label_rule import LabelRule
from medrov_cli.core.settings.tile_groups import TileJob


class SampleStream(Protocol):
    """Open search."""

    def __call__(
        self, samples: Sequence[Sample], *, batch: int
    ) -> Generator[Detections | Failure, None, None]:
        """Yield the result of each sample, in order.

        Parameters
        ----------
        samples
            The samples.
        batch
            Images per forward pass; an image that fails takes its place in a batch.
        """


class SampleSearch(Protocol):
    """Settings of a search."""

    def open(self, models: Sequence[DatasetModel], names: Sequence[Sequence[str]]) -> SampleStream:
        """Open the models.

        Parameters
        ----------
        models
            Models with the classes of the dataset.
        names
            Texts of each class whose embeddings are averaged.

        Raises
        ------
        MedrovError
            ``USAGE`` and the codes of model files, engines and text encoders.
        """


@dataclass(frozen=True, slots=True)
class ModelSearch:
    """Search by one model; see :class:`SampleSearch`.

    Attributes
    ----------
    selection
        Thresholds, calibration and suppression.
    tiles
        Tiles of slides and large images; null: every image is searched whole.
    """

    selection: SelectionSettings
    tiles: TileJob | None = None

    def open(self, models: Sequence[DatasetModel], names: Sequence[Sequence[str]]) -> SampleStream:
        """Open the only model."""
        (model,) = models
        predictor = model.open(names, self.selection, tiles=self.tiles)
        return partial(predictor.stream, batch_by="position")


@dataclass(frozen=True, slots=True)
class EnsembleSearch:
    """Search by several views; see :class:`SampleSearch`.

    Attributes
    ----------
    given
        Names of the models in the settings, for messages.
    rule
        Views, lowest score, suppression and votes.
    threads
        Number of files that are read in parallel.
    """

    given: tuple[str, ...]
    rule: LabelRule
    threads: int

    def open(self, models: Sequence[DatasetModel], names: Sequence[Sequence[str]]) -> SampleStream:
        """Open all models."""
        ensemble = Ensemble.open(models, self.given, names, self.rule)
        return partial(ensemble.stream, threads=self.threads)
