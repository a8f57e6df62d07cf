"""Procedure of ``medrov data phantom``: synthetic phantoms as sources of any size."""

from __future__ import annotations

from contextlib import ExitStack

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.curation.phantom_folders import WRITERS, PhantomSource
from medrov_cli.core.phantoms.kinds import KINDS, PhantomKind
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.kind import exclusive_kind
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.settings.data import PhantomSettings

RUN_FILE = "phantom.json"
"""Name of the file in each folder that describes the run."""

RUN_SCHEMA = "medrov.data.phantom-run/1"


def run_phantoms(config: PhantomSettings, progress: Progress = no_progress) -> tuple[PhantomSource, ...]:
    """Write one folder per modality; the file that completes it is written last.

    Raises
    ------
    MedrovError
        ``USAGE`` if the format does not support a modality, or a folder exists; ``OUTPUT_FAILED``.
    """
    kinds = _kinds(config)
    settings = {"format": config.format, "count": config.count, "seed": config.seed}
    with ExitStack() as claimed:
        for kind in kinds:
            folder = claimed.enter_context(RunFolder(config.output / kind.name, exclusive_kind(RUN_FILE)))
            folder.claim({"schema": RUN_SCHEMA, "settings": settings}, resume=config.resume)
        return _write(config, kinds, progress)


def _write(
    config: PhantomSettings, kinds: tuple[PhantomKind, ...], progress: Progress
) -> tuple[PhantomSource, ...]:
    done = 0
    sources = []
    for kind in kinds:

        def step(name: str = kind.name) -> None:
            nonlocal done
            done += 1
            progress(done, config.count * len(kinds), name)

        write = WRITERS[config.format]
        sources.append(write(config.output / kind.name, kind, config.count, config.seed, step))
    return tuple(sources)


def _kinds(config: PhantomSettings) -> tuple[PhantomKind, ...]:
    only_ct = config.format in ("dicom", "nifti")
    other = [modality for modality in config.modalities if only_ct and modality is not Modality.CT]
    if other:
        raise usage_error(
            f"--format {config.format} is for CT, not for {other[0].value}.",
            "Leave --modality out, or use --format png.",
        )
    wanted = config.modalities or ((Modality.CT,) if only_ct else tuple(Modality))
    return tuple(kind for kind in KINDS if kind.modality in wanted)
