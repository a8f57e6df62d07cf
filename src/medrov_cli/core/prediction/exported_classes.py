"""The classes of a run of an exported model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.engines.exported.open_exported import ExportedModel
from medrov_cli.core.prediction.classes import ClassList, asked_classes
from medrov_cli.core.settings.values import Prompt


def exported_classes(
    prompts: Sequence[Prompt], text_encoder: str | None, offline: bool, model: ExportedModel
) -> ClassList:
    """Return the classes that a run finds: those worked into the model, or those that the user asks for.

    Raises
    ------
    MedrovError
        ``USAGE`` where other classes are asked for than a folded model has, or none of an open model
        that has no vocabulary; the codes of text encoders.
    """
    metadata = model.metadata
    own = metadata.weights
    if metadata.classes is None and prompts:
        return asked_classes(prompts, own, encoder=text_encoder, offline=offline)
    entries = own.vocabulary if metadata.classes is None else metadata.classes
    if not entries:
        raise usage_error(
            f"{model.path.name} comes without a vocabulary, so --classes is needed",
            'Name what to find: --classes "lung nodule, liver".',
        )
    embeddings = model.vocabulary if metadata.classes is None else np.zeros((0, TEXT_WIDTH), np.float32)
    classes = ClassList(
        names=tuple(entry.name for entry in entries),
        synonyms=tuple(entry.synonyms for entry in entries),
        modalities=tuple(frozenset(entry.modalities) for entry in entries),
        embeddings=embeddings,
        asked=metadata.asked,
        text_encoder=own.text_encoder.spec if metadata.classes is None else metadata.text_encoder,
    )
    if not prompts:
        return classes
    asked = [(prompt.name, prompt.synonyms) for prompt in prompts]
    has = [
        (name, tuple(synonyms) or (name,))
        for name, synonyms in zip(classes.names, classes.synonyms, strict=True)
    ]
    if asked != has or text_encoder not in (None, classes.text_encoder):
        raise usage_error(
            f"--classes: {model.path.name} finds other classes, which are worked into it",
            "Leave --classes out, or export again with these classes, or with --open for any.",
        )
    return replace(classes, asked=True)
