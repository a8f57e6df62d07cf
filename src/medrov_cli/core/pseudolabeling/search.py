"""Search of the images of a dataset by an ensemble, with a journal for ``--resume``."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing

from medrov_cli.core.base.progress import Progress
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.prediction.ensemble import Ensemble
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.runs.detection_journal import DetectionJournal
from medrov_cli.core.settings.pseudolabel import PseudolabelSettings

STAGE = "detecting"
"""Name of the stage, for progress."""


def search_samples(
    ensemble: Ensemble,
    samples: Sequence[Sample],
    config: PseudolabelSettings,
    journal: DetectionJournal,
    advance: Progress,
) -> None:
    """Search every image; those in the journal only if the earlier run could not read them.

    A batch always consists of the same images. If one of them can be read now, the whole batch is searched
    again, so that the result is that of an uninterrupted run.
    """
    batch = config.runtime.batch or len(samples)
    done = len(journal.items)
    stale = sorted({row // batch for row in journal.failures})
    again = [row for number in stale for row in range(number * batch, min((number + 1) * batch, done))]
    advance(done - len(again), len(samples), STAGE)

    def search(rows: Sequence[int], before: int) -> Generator[tuple[int, Detections | Failure], None, None]:
        stream = ensemble.stream([samples[row] for row in rows], batch=batch, threads=config.threads)
        with closing(stream):
            for number, item in enumerate(stream, start=1):
                yield rows[number - 1], item
                if number % batch == 0 or number == len(rows):
                    advance(before + number, len(samples), STAGE)

    with closing(search(range(done, len(samples)), done - len(again))) as found:
        for _, item in found:
            journal.add(item)
    journal.finish()
    if again:
        journal.replace(dict(search(again, len(samples) - len(again))))
