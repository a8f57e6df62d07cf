"""Computation of class embeddings from the shipped vocabulary, the cache, or the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from medrov_cli.core.base.constants import DEFAULT_TEXT_ENCODER, TEXT_WIDTH
from medrov_cli.core.base.errors import usage_error, warn_of_cache
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.values import Prompt
from medrov_cli.core.text.cache import EmbeddingCache, Warn
from medrov_cli.core.text.encoders import EncoderSource, locate_encoder
from medrov_cli.core.text.protocol import EncoderIdentity
from medrov_cli.core.text.vocabulary import VOCABULARY, shipped_embeddings


def embed_texts(
    texts: Sequence[str],
    *,
    encoder: str = DEFAULT_TEXT_ENCODER,
    offline: bool = False,
    width: int = TEXT_WIDTH,
    warn: Warn = warn_of_cache,
) -> Float32Array:
    """Return one embedding per text.

    The encoder is loaded only for texts that are neither shipped nor cached. The default one
    imports neither torch nor transformers.

    Parameters
    ----------
    texts
        Free text; spaces are normalised, duplicates are allowed.
    encoder
        ``minilm``, ``hf-hub:ORG/NAME`` or ``local-dir:PATH``.
    offline
        Whether the network is forbidden.
    width
        Columns of the result. Embeddings of the encoder are padded with zeros on the right, which
        does not change cosine similarities.
    warn
        Function that reports a damaged or read-only cache; by default a `CacheWarning`.

    Returns
    -------
    ndarray
        float32, (texts, width), L2 norm 1.

    Raises
    ------
    MedrovError
        ``USAGE`` (no such encoder, or one wider than ``width``), ``ENCODER_MISSING``,
        ``NETWORK_FORBIDDEN``, ``DEPENDENCY_MISSING``.
    """
    source = locate_encoder(encoder, offline=offline)
    identity = source.identity
    if identity.width > width:
        raise usage_error(
            f"text encoder {encoder} has embeddings of width {identity.width}; the maximum of the detector "
            f"is {width}",
            "Choose another --text-encoder.",
        )
    wanted = [identity.canonical(text) for text in texts]
    known = _embed(source, tuple(dict.fromkeys(wanted)), warn)
    rows = np.zeros((len(wanted), width), np.float32)
    for row, text in enumerate(wanted):
        rows[row, : identity.width] = known[text]
    return rows


def embed_prompts(
    prompts: Sequence[Prompt],
    *,
    encoder: str = DEFAULT_TEXT_ENCODER,
    offline: bool = False,
    width: int = TEXT_WIDTH,
    warn: Warn = warn_of_cache,
) -> Float32Array:
    """Return one embedding per prompt: the mean over its synonyms, normalised to L2 norm 1.

    Parameters, width and errors are those of `embed_texts`.

    Returns
    -------
    ndarray
        float32, (prompts, width), L2 norm 1.
    """
    texts = [synonym for prompt in prompts for synonym in prompt.synonyms]
    rows = embed_texts(texts, encoder=encoder, offline=offline, width=width, warn=warn)
    counts = [len(prompt.synonyms) for prompt in prompts]
    return mean_embeddings(
        rows, [range(end - n, end) for n, end in zip(counts, accumulate(counts), strict=True)]
    )


def mean_embeddings(rows: Float32Array, groups: Sequence[Sequence[int]]) -> Float32Array:
    """Return the mean of each group of rows, normalised to L2 norm 1, float32, (groups, width)."""
    if not groups:
        return np.zeros((0, rows.shape[1]), np.float32)
    counts = np.array([len(group) for group in groups])
    members = rows[np.concatenate([np.asarray(group, np.intp) for group in groups])]
    means: Float32Array = np.add.reduceat(members, np.cumsum(counts) - counts, axis=0)
    means /= counts[:, None].astype(np.float32)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return means


def _embed(source: EncoderSource, texts: Sequence[str], warn: Warn) -> dict[str, Float32Array]:
    """Return the embeddings of distinct canonical texts; encode and cache new texts."""
    shipped = _shipped(source.identity, warn)
    known = {text: shipped[text] for text in texts if text in shipped}
    unshipped = [text for text in texts if text not in known]
    if not unshipped:
        return known
    cache = EmbeddingCache.default(source.identity)
    known.update(cache.get(unshipped, warn))
    missing = [text for text in unshipped if text not in known]
    if missing:
        made = dict(zip(missing, source.load().encode(missing), strict=True))
        if not cache.put(made):
            warn(f"text embeddings are not cached: {cache.folder} is not writable")
        known.update(made)
    return known


def _shipped(identity: EncoderIdentity, warn: Warn) -> dict[str, Float32Array]:
    try:
        return shipped_embeddings(identity)
    except (ValueError, OSError) as error:
        warn(f"the shipped vocabulary {VOCABULARY} is damaged and is not used: {error}")
        return {}
