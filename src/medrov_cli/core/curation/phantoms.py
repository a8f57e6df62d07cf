"""Synthetic phantoms as sources of any size: the procedure of ``medrov data phantom``."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.curation.phantom_folders import WRITERS, Form, PhantomSource
from medrov_cli.core.phantoms.kinds import KINDS, PhantomKind
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.kind import exclusive_kind
from medrov_cli.core.settings.choices import Modality

RUN_FILE = "phantom.json"
"""In each folder: what it was begun with."""

RUN_SCHEMA = "medrov.data.phantom-run/1"


@dataclass(frozen=True, slots=True)
class PhantomConfig:
    """What to draw.

    Attributes
    ----------
    output
        Folder for one folder a modality.
    count
        Images (or volumes) a modality.
    seed
        Other seeds give other images.
    modalities
        Which; empty: all that the form can hold.
    form
        ``png``: source folders. ``masks``: PNG with a mask a class. ``dicom``: CT slices with a table of
        boxes. ``nifti``: CT volumes with label volumes. The latter three are for ``data convert``.
    resume
        Go on with an interrupted run.
    """

    output: Path
    count: int = 100
    seed: int = 0
    modalities: tuple[Modality, ...] = ()
    form: Form = "png"
    resume: bool = False


def run_phantoms(config: PhantomConfig, progress: Progress = no_progress) -> tuple[PhantomSource, ...]:
    """Write one folder a modality; what makes it whole is written last.

    Raises
    ------
    MedrovError
        ``USAGE``: the form cannot hold a modality, or a folder is there already. ``OUTPUT_FAILED``.
    """
    kinds = _kinds(config)
    settings = {"format": config.form, "count": config.count, "seed": config.seed}
    with ExitStack() as claimed:
        for kind in kinds:
            folder = claimed.enter_context(RunFolder(config.output / kind.name, exclusive_kind(RUN_FILE)))
            folder.claim({"schema": RUN_SCHEMA, "settings": settings}, resume=config.resume)
        return _write(config, kinds, progress)


def _write(
    config: PhantomConfig, kinds: tuple[PhantomKind, ...], progress: Progress
) -> tuple[PhantomSource, ...]:
    done = 0
    sources = []
    for kind in kinds:

        def step(name: str = kind.name) -> None:
            nonlocal done
            done += 1
            progress(done, config.count * len(kinds), name)

        sources.append(WRITERS[config.form](config.output / kind.name, kind, config.count, config.seed, step))
    return tuple(sources)


def _kinds(config: PhantomConfig) -> tuple[PhantomKind, ...]:
    only_ct = config.form in ("dicom", "nifti")
    other = [modality for modality in config.modalities if only_ct and modality is not Modality.CT]
    if other:
        raise MedrovError(
            ErrorCode.USAGE,
            f"--format {config.form} is for CT, not for {other[0].value}.",
            "Leave --modality out, or take --format png.",
        )
    wanted = config.modalities or ((Modality.CT,) if only_ct else tuple(Modality))
    return tuple(kind for kind in KINDS if kind.modality in wanted)
