"""The procedure behind ``medrov weights``: list, show, verify, import and pull weights."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from medrov_cli.core import weights
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.runtime.interface import check_imgsz
from medrov_cli.core.weights import ManifestEntry, TextEncoderInfo, Verification, WeightsMetadata
from medrov_cli.core.weights.download import Progress, download


class Availability(StrEnum):
    """Where the file of a manifest entry is."""

    PRESENT = "present"
    TO_PULL = "to_pull"
    MISSING = "missing"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of the manifest and its state on this machine."""

    entry: ManifestEntry
    availability: Availability
    path: Path | None


@dataclass(frozen=True, slots=True)
class Shown:
    """What a weights file says about itself."""

    path: Path
    size_bytes: int
    metadata: WeightsMetadata


def list_weights() -> tuple[Listed, ...]:
    """Return the known weights; the SHA-256 of those that are here is checked.

    Raises
    ------
    MedrovError
        ``weights_missing``, ``weights_corrupt`` for the manifest itself.
    """
    return tuple(_listed(entry) for entry in weights.manifest().values())


def show_weights(name_or_path: str) -> Shown:
    """Return what weights say about themselves.

    Raises
    ------
    MedrovError
        ``weights_missing``, ``weights_corrupt``, ``weights_untrusted``.
    """
    path = weights.resolve(name_or_path)
    return Shown(path, path.stat().st_size, weights.read_metadata(path))


def verify_weights(name_or_path: str) -> Verification:
    """Read weights from end to end, and compare their tensors with the network they are for.

    Raises
    ------
    MedrovError
        ``weights_missing``, ``weights_corrupt``, ``weights_untrusted``.
    """
    from medrov_cli.core.model.fitting import check_fit

    path = weights.resolve(name_or_path, reread=True)
    found = weights.verify(path)
    check_fit(weights.load_tensors(path), found.metadata.architecture, str(path))
    return found


def import_weights(
    source: Path,
    output: Path,
    *,
    name: str | None = None,
    text_encoder: str | None = None,
    imgsz: int | None = None,
    overwrite: bool = False,
) -> Verification:
    """Convert an ultralytics checkpoint to a weights file, without running its pickle.

    Parameters
    ----------
    source
        The ``.pt`` file.
    output
        The ``.safetensors`` file to write.
    name, text_encoder, imgsz
        What the checkpoint does not say about itself, or says wrongly; null: as found. The
        encoder is a spec: ``minilm``, ``hf-hub:ORG/NAME``, ``local-dir:PATH``.
    overwrite
        Replace ``output`` where it is there.

    Raises
    ------
    MedrovError
        ``weights_missing``, ``weights_untrusted``, ``weights_corrupt`` for the checkpoint;
        ``usage`` for a bad setting or if ``output`` is there and not to be overwritten;
        ``output_failed``.
    """
    from medrov_cli.core.model.fitting import check_fit
    from medrov_cli.core.model.importer import ImportSettings, import_ultralytics_checkpoint

    if output.suffix != ".safetensors":
        raise MedrovError(
            ErrorCode.USAGE, f"--output {output} does not end in .safetensors", "Give such a name."
        )
    if output.exists() and not overwrite:
        raise MedrovError(
            ErrorCode.USAGE, f"{output} is there already", "Give another --output, or --overwrite."
        )
    if imgsz is not None:
        check_imgsz(imgsz)
    encoder = None if text_encoder is None else _encoder_info(text_encoder)
    settings = ImportSettings(name=name, text_encoder=encoder, imgsz=imgsz)
    tensors, metadata = import_ultralytics_checkpoint(source, settings)
    check_fit(tensors, metadata.architecture, str(source))
    weights.save(output, tensors, metadata)
    return weights.verify(output)


def pull_weights(name: str, *, offline: bool, progress: Progress | None = None) -> Listed:
    """Download weights of the manifest into the cache; those that are here already stay.

    Raises
    ------
    MedrovError
        ``network_forbidden`` while offline; ``weights_missing`` for an unknown name, weights
        without an address, or a failed download; ``weights_corrupt`` if what came is not what
        the manifest says; ``output_failed``.
    """
    known = weights.manifest()
    if name not in known:
        raise MedrovError(
            ErrorCode.WEIGHTS_MISSING, f"the manifest has no weights {name!r}", "See `medrov weights list`."
        )
    here = _listed(known[name])
    if here.availability is Availability.PRESENT:
        return here
    if here.entry.url is None:
        raise MedrovError(
            ErrorCode.WEIGHTS_MISSING,
            f"weights {name!r} cannot be downloaded: they come with the package",
            "Reinstall medrov.",
        )
    if offline:
        raise MedrovError(
            ErrorCode.NETWORK_FORBIDDEN,
            f"weights {name!r} are not on this machine, and the network is forbidden",
            f"Run once without --offline and MEDROV_OFFLINE, or copy the file into {weights.pulled_dir()}.",
        )
    download(
        here.entry.url,
        weights.pulled_dir() / here.entry.file,
        sha256=here.entry.sha256,
        size_bytes=here.entry.size_bytes,
        progress=progress,
    )
    return _listed(here.entry)


def _encoder_info(spec: str) -> TextEncoderInfo:
    """Return what is known of a text encoder by its spec alone: nothing is downloaded."""
    from medrov_cli.core.model.importer import BIOMED_CLIP, OPENAI_CLIP
    from medrov_cli.core.text.encoders import encoder_identity

    for known in (BIOMED_CLIP, OPENAI_CLIP):
        if spec == known.spec:
            return known
    if spec.startswith(("hf-hub:", "local-dir:")):
        return TextEncoderInfo(spec)
    found = encoder_identity(spec)
    return TextEncoderInfo(found.spec, found.name, found.revision, found.width, found.context_length)


def _listed(entry: ManifestEntry) -> Listed:
    """Return an entry with its state on this machine."""
    path = weights.locate(entry)
    if path is None:
        return Listed(entry, Availability.MISSING if entry.url is None else Availability.TO_PULL, None)
    is_whole = weights.sha256_of(path, reread=True) == entry.sha256
    return Listed(entry, Availability.PRESENT if is_whole else Availability.CORRUPT, path)
