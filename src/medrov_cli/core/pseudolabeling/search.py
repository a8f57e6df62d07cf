"""Search of the images of a dataset by an ensemble, with a journal for ``--resume``."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.presence import POSSIBLE
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.prediction.sample_search import SampleStream
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.runs.detection_journal import DetectionJournal
from medrov_cli.core.settings.pseudolabel import PseudolabelSettings

STAGE = "detecting"
"""Name of the stage, for progress."""


def select_samples(dataset: Dataset, config: PseudolabelSettings) -> list[Sample]:
    """Return the images that can get a label.

    Raises
    ------
    MedrovError
        ``NO_INPUT``.
    """
    wanted = (dataset.presence == POSSIBLE).any(1)
    if not wanted.any():
        raise MedrovError(
            ErrorCode.NO_INPUT,
            f"{config.data.dataset}: every class is annotated or impossible in every source",
            "Give a presence table with a 0 for classes that are visible without annotation: --presence.",
        )
    samples = [s for split in config.splits for s in dataset.samples[split] if wanted[s.source_id]]
    if not samples:
        raise MedrovError(
            ErrorCode.NO_INPUT,
            f"{config.data.dataset}: no image of {', '.join(config.splits)} can get a label",
            "Choose other --splits.",
        )
    return samples


def search_samples(
    stream: SampleStream,
    samples: Sequence[Sample],
    config: PseudolabelSettings,
    journal: DetectionJournal,
    advance: Progress,
    describe_stage: Callable[[str], str] = str,
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
        with closing(stream([samples[row] for row in rows], batch=batch)) as items:
            for number, item in enumerate(items, start=1):
                yield rows[number - 1], item
                if number % batch == 0 or number == len(rows):
                    advance(before + number, len(samples), describe_stage(STAGE))

    with closing(search(range(done, len(samples)), done - len(again))) as found:
        for _, item in found:
            journal.add(item)
    journal.finish()
    if again:
        journal.replace(dict(search(again, len(samples) - len(again))))
