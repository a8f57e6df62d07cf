"""Procedures of ``medrov weights``: list, show, verify, import and pull weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.files import require_absent
from medrov_cli.core.base.optional import TORCH_NETWORK, require_packages
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.settings.values import check_imgsz
from medrov_cli.core.settings.weights import WeightsImportSettings
from medrov_cli.core.weights import catalogue, container, resolution
from medrov_cli.core.weights.container import Verification
from medrov_cli.core.weights.download import download
from medrov_cli.core.weights.listing import Availability, Listed, listed_entry
from medrov_cli.core.weights.metadata import WeightsMetadata

_PHANTOMS = 36
"""Number of images for the statistics of folded batch norms."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Metadata of a weights file."""

    path: Path
    size_bytes: int
    metadata: WeightsMetadata


def show_weights(name_or_path: str) -> Shown:
    """Return the metadata of weights.

    Raises
    ------
    MedrovError
        ``weights_missing``, ``weights_corrupt``, ``weights_untrusted``.
    """
    path = resolution.resolve(name_or_path)
    return Shown(path, path.stat().st_size, container.read_metadata(path))


def import_weights(settings: WeightsImportSettings) -> Verification:
    """Convert an ultralytics checkpoint to a weights file, without running its pickle.

    A closed-set YOLOv8 is converted to initial weights for training; batch norms that are folded into its
    convolutions take their statistics from phantoms.

    Raises
    ------
    MedrovError
        ``dependency_missing`` without torch;
        ``weights_missing``, ``weights_untrusted``, ``weights_corrupt`` for the checkpoint;
        ``usage`` for an invalid setting, or if the output exists without ``overwrite``; ``output_failed``.
    """
    require_packages("medrov weights import", TORCH_NETWORK)
    from medrov_cli.core.model.fitting import check_fit
    from medrov_cli.core.model.importing.importer import ImportSettings, import_ultralytics_checkpoint
    from medrov_cli.core.model.importing.text_encoders import encoder_info

    source = settings.checkpoint
    suffix = "-start.safetensors" if source.suffix == ".safetensors" else ".safetensors"
    output = settings.output or Path(source.stem + suffix)
    if output.suffix != ".safetensors":
        raise usage_error(
            f"--output {output} does not end in .safetensors", "Give a name that ends in .safetensors."
        )
    require_absent(output, overwrite=settings.overwrite)
    if settings.imgsz is not None:
        check_imgsz(settings.imgsz)
    encoder = None if settings.text_encoder is None else encoder_info(settings.text_encoder)
    corrected = ImportSettings(settings.name, encoder, settings.imgsz, _draw_phantoms)
    tensors, metadata = import_ultralytics_checkpoint(source, corrected)
    check_fit(tensors, metadata.architecture, str(source))
    container.save(output, tensors, metadata)
    return container.verify(output)


def pull_weights(name: str, *, offline: bool, progress: Progress = no_progress) -> Listed:
    """Download weights of the manifest into the cache; installed weights are not downloaded again.

    Raises
    ------
    MedrovError
        ``network_forbidden`` while offline; ``weights_missing`` for an unknown name, weights
        without an address, or a failed download; ``weights_corrupt`` if the download differs from the
        manifest; ``output_failed``.
    """
    known = catalogue.manifest()
    if name not in known:
        raise MedrovError(
            ErrorCode.WEIGHTS_MISSING, f"the manifest has no weights {name!r}", "See `medrov weights list`."
        )
    here = listed_entry(known[name])
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
            f"weights {name!r} are not installed, and the network is forbidden",
            "Run once without --offline and MEDROV_OFFLINE, "
            f"or copy the file into {resolution.pulled_dir()}.",
        )
    download(
        here.entry.url,
        resolution.pulled_dir() / here.entry.file,
        sha256=here.entry.sha256,
        size_bytes=here.entry.size_bytes,
        progress=progress,
        stage=f"pulling {name}",
    )
    return listed_entry(here.entry)


def _draw_phantoms(side: int) -> UInt8Array:
    """Return phantoms of all modalities, uint8, (36, side, side, 3)."""
    from medrov_cli.core.phantoms.kinds import KINDS, phantom_seed
    from medrov_cli.core.records.letterbox import Letterbox

    drawn = [KINDS[number % len(KINDS)].draw(phantom_seed(0, number)).pixels for number in range(_PHANTOMS)]
    return np.stack([Letterbox.fit(pixels.shape[:2], side).apply(pixels) for pixels in drawn])
