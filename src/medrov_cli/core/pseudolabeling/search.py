"""Detections of an ensemble in the images of a dataset, those of an earlier run first."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing

from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.prediction.detection_journal import DetectionJournal
from medrov_cli.core.prediction.ensemble import Ensemble
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.settings.pseudolabel import OfflineConfig


def search_samples(
    ensemble: Ensemble,
    samples: Sequence[Sample],
    config: OfflineConfig,
    journal: DetectionJournal,
    advance: Callable[[int, int], None],
) -> None:
    """Search every image; those in the journal only if they could not be read then.

    Batches are always of the same images, so that a file that was repaired gives what it would have given at
    first: its whole batch is searched again.
    """
    batch = config.batch
    done = len(journal.items)
    stale = sorted({row // batch for row in journal.failures})
    again = [row for number in stale for row in range(number * batch, min((number + 1) * batch, done))]
    advance(done - len(again), len(samples))

    def search(rows: Sequence[int], before: int) -> Generator[tuple[int, Detections | Failure], None, None]:
        stream = ensemble.stream([samples[row] for row in rows], batch=batch, threads=config.threads)
        with closing(stream):
            for number, item in enumerate(stream, start=1):
                yield rows[number - 1], item
                if number % batch == 0 or number == len(rows):
                    advance(before + number, len(samples))

    with closing(search(range(done, len(samples)), done - len(again))) as found:
        for _, item in found:
            journal.add(item)
    journal.finish()
    if again:
        journal.replace(dict(search(again, len(samples) - len(again))))
