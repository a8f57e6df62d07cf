"""Identity of the inputs of a training run, so that it is resumed with the same ones only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.truth import truth_sha256
from medrov_cli.core.settings.train import TrainSettings
from medrov_cli.core.text.encoders import encoder_identity
from medrov_cli.core.weights.container import sha256_of
from medrov_cli.core.weights.resolution import resolve

UNKNOWN_INPUTS = "The saved state does not record its dataset: this version cannot tell whether it changed."

_NAMES = {
    "dataset_sha256": "dataset",
    "distill_sha256": "file of --distill",
    "text_encoder": "content of --text-encoder",
}


def identify_inputs(config: TrainSettings, dataset: Dataset) -> dict[str, str | None]:
    """Return the identity of the inputs as JSON; the pixels of the images are not part of it.

    Parameters
    ----------
    config
        Settings of the run.
    dataset
        Dataset without the images that cannot be read.

    Raises
    ------
    MedrovError
        The codes of weights and text encoders.
    """
    teacher = config.distiller.weights
    encoder = encoder_identity(config.text_encoder, offline=config.offline)
    return {
        "dataset_sha256": _dataset_sha256(dataset),
        "distill_sha256": None if teacher is None else sha256_of(resolve(teacher)),
        "text_encoder": f"{encoder.name} {encoder.revision}",
    }


def require_same_inputs(
    before: Mapping[str, str | None] | None, now: Mapping[str, str | None], folder: Path
) -> tuple[str, ...]:
    """Refuse to resume a run with other inputs; return a notice if those of the run are not recorded.

    Parameters
    ----------
    before
        Inputs of the saved state; null in a state that an earlier version saved.
    now
        Inputs of this run.
    folder
        Folder of the run.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    if before is None:
        return (UNKNOWN_INPUTS,)
    for key, name in _NAMES.items():
        if before.get(key) != now[key]:
            raise usage_error(
                f"--resume: the {name} changed since the run in {folder} was started",
                "Restore it, or start again with another --output.",
            )
    return ()


def _dataset_sha256(dataset: Dataset) -> str:
    """Return the SHA-256 of what training and validation use of a dataset, except pixels."""
    synonyms = {name: list(texts) for name, texts in dataset.synonyms.items()}
    modalities = [source.modality.value for source in dataset.sources]
    parts = [
        *(truth_sha256(dataset, dataset.samples[split]) for split in ("train", "val")),
        json.dumps([modalities, synonyms, dataset.presence.tolist(), dataset.novel], sort_keys=True),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
