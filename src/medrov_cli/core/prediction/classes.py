"""The classes of a predictor: names, embeddings, and the modalities that can show them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.base.errors import MedrovError, usage_error
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.weights import container

if TYPE_CHECKING:
    from medrov_cli.core.settings.values import Prompt
    from medrov_cli.core.weights.metadata import ClassEntry, WeightsMetadata

_NO_EMBEDDINGS = np.zeros((0, TEXT_WIDTH), dtype=np.float32)

_NAMED_AT_MOST = 5  # classes in a warning


@dataclass(frozen=True)
class ClassList:
    """Names and embeddings of classes, in the order of the engine's columns.

    Attributes
    ----------
    names
        As they are shown in results; each once.
    synonyms
        Of each class: the texts that were averaged, null where it was the name alone.
    modalities
        Of each class: where it can be seen; empty where that is not known.
    embeddings
        float32, (classes, 512), L2 norm 1; (0, 512) where the engine has the classes already.
    asked
        The user named them. Otherwise they are the vocabulary of the weights.
    text_encoder
        Spec of the text encoder that computed the embeddings, for the record.
    """

    names: tuple[str, ...]
    synonyms: tuple[tuple[str, ...], ...]
    modalities: tuple[frozenset[Modality], ...]
    embeddings: Float32Array
    asked: bool
    text_encoder: str

    @classmethod
    def from_prompts(
        cls, prompts: Sequence[Prompt], metadata: WeightsMetadata, *, encoder: str | None, offline: bool
    ) -> ClassList:
        """Return the classes that the user named, embedded.

        Parameters
        ----------
        prompts
            Names and synonyms.
        metadata
            Of the weights.
        encoder
            Spec of the text encoder; that of the weights where null.
        offline
            Forbid every use of the network.

        Raises
        ------
        MedrovError
            ``ENCODER_MISSING``, ``NETWORK_FORBIDDEN``.
        """
        from medrov_cli.core.text.embedding import embed_prompts

        encoder = encoder or metadata.text_encoder.spec
        seen = _modalities_by_text(metadata)
        return cls(
            names=tuple(prompt.name for prompt in prompts),
            synonyms=tuple(prompt.synonyms for prompt in prompts),
            modalities=tuple(_modalities(prompt, seen) for prompt in prompts),
            embeddings=embed_prompts(prompts, encoder=encoder, offline=offline),
            asked=True,
            text_encoder=encoder,
        )

    @classmethod
    def from_weights(cls, path: Path, metadata: WeightsMetadata) -> ClassList:
        """Return the vocabulary of a weights file.

        Raises
        ------
        MedrovError
            ``USAGE`` if it has none; ``WEIGHTS_CORRUPT``.
        """
        if not metadata.vocabulary:
            raise without_vocabulary(f"weights {metadata.name!r} contain")
        embeddings = container.load_embeddings(path)
        return cls.from_entries(metadata.vocabulary, embeddings, metadata.text_encoder.spec)

    @classmethod
    def from_entries(
        cls,
        entries: Sequence[ClassEntry],
        embeddings: Float32Array | None,
        text_encoder: str,
        *,
        asked: bool = False,
    ) -> ClassList:
        """Return the classes that metadata describe; without embeddings, those that an engine has already."""
        return cls(
            names=tuple(entry.name for entry in entries),
            synonyms=tuple(entry.synonyms for entry in entries),
            modalities=tuple(frozenset(entry.modalities) for entry in entries),
            embeddings=_NO_EMBEDDINGS if embeddings is None else embeddings,
            asked=asked,
            text_encoder=text_encoder,
        )

    @classmethod
    def from_embeddings(
        cls,
        names: Sequence[str],
        embeddings: Float32Array | None = None,
        *,
        synonyms: Sequence[Sequence[str]] = (),
        text_encoder: str = "none",
    ) -> ClassList:
        """Return classes by their vectors; all of them are searched in every image.

        Parameters
        ----------
        names
            As they are shown in results; each once.
        embeddings
            float32, (classes, 512), L2 norm 1; null where the engine has the classes already.
        synonyms
            Of each class: the texts that the vector stands for.
        text_encoder
            Spec of the text encoder that computed the vectors, for the record.
        """
        return cls(
            names=tuple(names),
            synonyms=tuple(map(tuple, synonyms)) or ((),) * len(names),
            modalities=(frozenset(),) * len(names),
            embeddings=_NO_EMBEDDINGS if embeddings is None else embeddings,
            asked=True,
            text_encoder=text_encoder,
        )

    @property
    def texts(self) -> list[tuple[str, ...]]:
        """Return the name and the synonyms of each class."""
        return [(name, *synonyms) for name, synonyms in zip(self.names, self.synonyms, strict=True)]

    @cached_property
    def sha256(self) -> str:
        """Return the identity of names, synonyms and text encoder; not of the embeddings' last bits."""
        identity = json.dumps([self.text_encoder, self.names, self.synonyms])
        return hashlib.sha256(identity.encode("ascii")).hexdigest()

    def columns(self, modality: Modality | None) -> IntArray:
        """Return the columns that count for an image.

        Classes that the user named always do; of a vocabulary, those that the modality can
        show, and those of which it is not known.
        """
        if self.asked or modality is None:
            return np.arange(len(self.names))
        return np.flatnonzero([not seen or modality in seen for seen in self.modalities])

    def warnings(self, modality: Modality | None) -> tuple[str, ...]:
        """Return a sentence if the user asked for what an image of this modality cannot show."""
        if not self.asked or modality is None:
            return ()
        impossible = [
            name
            for name, seen in zip(self.names, self.modalities, strict=True)
            if seen and modality not in seen
        ]
        if not impossible:
            return ()
        named = ", ".join(repr(name) for name in impossible[:_NAMED_AT_MOST])
        more = f" and {len(impossible) - _NAMED_AT_MOST} more" if len(impossible) > _NAMED_AT_MOST else ""
        return (f"requested, but not expected in {modality.value}: {named}{more}",)


def without_vocabulary(what_comes: str) -> MedrovError:
    """Return the error of a model whose classes have to be named."""
    return usage_error(
        f"{what_comes} no vocabulary, so --classes is required",
        'Give classes: --classes "lung nodule, liver".',
    )


def _modalities_by_text(metadata: WeightsMetadata) -> dict[str, set[Modality]]:
    """Return where the weights' vocabulary says that its texts can be seen, by text without case."""
    seen: dict[str, set[Modality]] = {}
    for entry in metadata.vocabulary:
        for text in (entry.name, *entry.synonyms):
            seen.setdefault(text.casefold(), set()).update(entry.modalities)
    return seen


def _modalities(prompt: Prompt, seen: Mapping[str, set[Modality]]) -> frozenset[Modality]:
    """Return where a class can be seen, as far as the weights' vocabulary or the lexicon knows."""
    from medrov_cli.core.text.lexicon import modalities_of

    own = (seen.get(text.casefold(), ()) for text in (prompt.name, *prompt.synonyms))
    return frozenset(modalities_of(prompt.name)).union(*own)
