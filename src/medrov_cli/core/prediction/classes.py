"""The classes of a predictor: names, embeddings, and the modalities that can show them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.base.errors import MedrovError, usage_error
from medrov_cli.core.records.boxes import BoolArray, IntArray
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.weights import container

if TYPE_CHECKING:
    from medrov_cli.core.settings.values import Prompt
    from medrov_cli.core.weights.metadata import ClassEntry, WeightsMetadata

_NO_EMBEDDINGS = np.zeros((0, TEXT_WIDTH), dtype=np.float32)

_NAMED_AT_MOST = 5  # largest number of classes in a warning


@dataclass(frozen=True)
class ClassList:
    """Names and embeddings of classes, in the order of the engine's columns.

    Attributes
    ----------
    names
        Unique names, as in the results.
    synonyms
        Texts of each class whose embeddings are averaged; empty if it is the name alone.
    modalities
        Modalities that can show each class; empty if not known.
    embeddings
        float32, (classes, 512), L2 norm 1; (0, 512) where the engine has the classes already.
    asked
        Whether the user requested the classes. Otherwise they are the vocabulary of the weights.
    text_encoder
        Spec of the text encoder that computed the embeddings, for the record.
    learned
        bool, (classes,): classes of learned vectors, not of a text; null: none.
    learned_sha256
        SHA-256 of the learned vectors and their calibrations; empty: none.
    kinds
        Classes of the weights that stand for each class; empty if none does.
    fixed_columns
        Column of each class in a model with fixed classes; empty: all in their order.
    """

    names: tuple[str, ...]
    synonyms: tuple[tuple[str, ...], ...]
    modalities: tuple[frozenset[Modality], ...]
    embeddings: Float32Array
    asked: bool
    text_encoder: str
    learned: BoolArray | None = None
    learned_sha256: str = ""
    kinds: tuple[tuple[str, ...], ...] = ()
    fixed_columns: tuple[int, ...] = ()

    @classmethod
    def from_prompts(
        cls, prompts: Sequence[Prompt], metadata: WeightsMetadata, *, encoder: str | None, offline: bool
    ) -> ClassList:
        """Return the requested classes with their embeddings.

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
        known = metadata.entries_by_text()
        return cls(
            names=tuple(prompt.name for prompt in prompts),
            synonyms=tuple(prompt.synonyms for prompt in prompts),
            modalities=tuple(_modalities(prompt, known) for prompt in prompts),
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
        """Return the default classes of metadata; all if none is one, or if an engine has the vectors."""
        if embeddings is not None:
            rows = [row for row, entry in enumerate(entries) if entry.is_default]
            rows = rows or list(range(len(entries)))
            entries, embeddings = [entries[row] for row in rows], embeddings[rows]
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
        """Return classes from their embeddings; all of them are searched in every image.

        Parameters
        ----------
        names
            Unique names, as in the results.
        embeddings
            float32, (classes, 512), L2 norm 1; null where the engine contains the classes.
        synonyms
            Texts of each class whose embeddings were averaged.
        text_encoder
            Spec of the text encoder that computed the embeddings, for the record.
        """
        return cls(
            names=tuple(names),
            synonyms=tuple(map(tuple, synonyms)) or ((),) * len(names),
            modalities=(frozenset(),) * len(names),
            embeddings=_NO_EMBEDDINGS if embeddings is None else embeddings,
            asked=True,
            text_encoder=text_encoder,
        )

    def selected(self, columns: Sequence[int], prompts: Sequence[Prompt]) -> ClassList:
        """Return some of the classes of an engine, with the names of the prompts that request them.

        Raises
        ------
        MedrovError
            ``USAGE`` if two prompts request one class.
        """
        for number, column in enumerate(columns):
            if column in columns[:number]:
                first, second = (prompts[at].name for at in (columns.index(column), number))
                raise usage_error(
                    f"--classes: {first!r} and {second!r} are one class of the model",
                    "Leave one of them out.",
                )
        is_whole = list(columns) == list(range(len(self.names)))
        return replace(
            self,
            names=tuple(prompt.name for prompt in prompts),
            synonyms=tuple(
                self.synonyms[column] if prompt.name == self.names[column] else self.texts[column]
                for prompt, column in zip(prompts, columns, strict=True)
            ),
            modalities=tuple(self.modalities[column] for column in columns),
            asked=True,
            fixed_columns=() if is_whole else tuple(columns),
        )

    @property
    def texts(self) -> list[tuple[str, ...]]:
        """Return the name and the synonyms of each class."""
        return [(name, *synonyms) for name, synonyms in zip(self.names, self.synonyms, strict=True)]

    @cached_property
    def sha256(self) -> str:
        """Return the SHA-256 of names, synonyms, kinds, encoder and learned vectors, without embeddings."""
        own: list[object] = [self.learned_sha256] if self.learned_sha256 else []
        own += [self.kinds] if self.kinds else []
        identity = json.dumps([self.text_encoder, self.names, self.synonyms, *own])
        return hashlib.sha256(identity.encode("ascii")).hexdigest()

    def columns(self, modality: Modality | None) -> IntArray:
        """Return the columns that are scored on an image of a modality, int64, (k,).

        Requested classes are scored on every image. A class of a vocabulary is scored where the modality can
        show it, or where its modalities are not known.
        """
        if self.asked or modality is None:
            return np.arange(len(self.names))
        return np.flatnonzero([not seen or modality in seen for seen in self.modalities])

    def warnings(self, modality: Modality | None) -> tuple[str, ...]:
        """Return a warning if requested classes cannot be seen in an image of this modality."""
        if not self.asked or modality is None:
            return ()
        return named_in_warning(
            modality.value,
            [
                name
                for name, seen in zip(self.names, self.modalities, strict=True)
                if seen and modality not in seen
            ],
        )


def named_in_warning(image: str, impossible: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence that names the requested classes that a modality or kind cannot show, if any."""
    return (f"requested, but not expected in {image}: {list_names(impossible)}",) if impossible else ()


def list_names(names: Sequence[str]) -> str:
    """Return names of classes for a warning; of many, the first and the number of the others."""
    named = ", ".join(repr(name) for name in names[:_NAMED_AT_MOST])
    return named + (f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else "")


def without_vocabulary(what_comes: str) -> MedrovError:
    """Return the error of a model without a vocabulary, for which ``--classes`` is required."""
    return usage_error(
        f"{what_comes} no vocabulary, so --classes is required",
        'Give classes: --classes "lung nodule, liver".',
    )


def _modalities(prompt: Prompt, known: Mapping[str, Sequence[ClassEntry]]) -> frozenset[Modality]:
    """Return the modalities of a class in the vocabulary of the weights and in the lexicon."""
    from medrov_cli.core.text.lexicon import modalities_of

    texts = (text.casefold() for text in (prompt.name, *prompt.synonyms))
    own = (entry.modalities for text in texts for entry in known.get(text, ()))
    return frozenset(modalities_of(prompt.name)).union(*own)
