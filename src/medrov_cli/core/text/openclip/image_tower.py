"""Image towers of open_clip models, BiomedCLIP among them: crops into the space of the texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.text.openclip.loading import load_model, loading
from medrov_cli.core.text.openclip.models import ModelFiles
from medrov_cli.core.text.protocol import EncoderIdentity

MAX_CROPS_A_PASS = 64
"""Bounds the memory of a forward pass."""

MAX_ELONGATION = 32
"""Long side over short side of what open_clip is handed; the ends of a longer crop are cut off.

Its resizing to a fixed short side would make gigabytes of a strip of one pixel by thousands, and
its resizing to a fixed long side nothing at all.
"""


class OpenClipImageEncoder:
    """The image tower of an open_clip model, in float32.

    Parameters
    ----------
    files
        The model's files.
    identity
        The model's identity, the same as that of its text encoder.
    device
        A torch device.

    Raises
    ------
    MedrovError
        ``ENCODER_MISSING`` if something is missing, does not fit together, or wants to run code
        of its own.
    """

    def __init__(self, files: ModelFiles, identity: EncoderIdentity, device: str = "cpu") -> None:
        self.identity = identity
        with loading(f"image encoder {identity.spec}"):
            model = load_model(files)
            from open_clip.transform import PreprocessCfg, image_transform_v2

            config = PreprocessCfg(**model.visual.preprocess_cfg)
            self._preprocess: Any = image_transform_v2(config, is_train=False)
        _drop_text_tower(model)
        self._device = device
        self._model: Any = model.requires_grad_(False).to(device)

    def encode_images(self, images_rgb: Sequence[UInt8Array]) -> Float32Array:
        """Return one embedding a crop, float32, (images, identity.width), L2 norm 1.

        Parameters
        ----------
        images_rgb
            uint8, (height, width, 3), RGB, each of any size from one pixel. They are not changed.
        """
        import torch

        rows = np.empty((len(images_rgb), self.identity.width), np.float32)
        # Targets of a training must not depend on the precision of its steps.
        full_precision = torch.autocast(torch.device(self._device).type, enabled=False)
        with torch.inference_mode(), full_precision:
            for start in range(0, len(images_rgb), MAX_CROPS_A_PASS):
                crops = images_rgb[start : start + MAX_CROPS_A_PASS]
                pixels = torch.stack([self._pixels(crop) for crop in crops])  # (crops, 3, height, width)
                features = self._model.encode_image(pixels.to(self._device), normalize=True)
                rows[start : start + len(crops)] = features.cpu().numpy()
        return rows

    def _pixels(self, crop_rgb: UInt8Array) -> Any:
        """Return what the tower sees of a crop: a float32 tensor, (3, height, width)."""
        from PIL import Image

        return self._preprocess(Image.fromarray(np.ascontiguousarray(_middle(crop_rgb))))


def _middle(crop_rgb: UInt8Array) -> UInt8Array:
    """Return the middle of a crop that is too long, as a view; others as they are."""
    height, width = crop_rgb.shape[:2]
    longest = MAX_ELONGATION * min(height, width)
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    return crop_rgb[top : top + longest, left : left + longest]


def _drop_text_tower(model: Any) -> None:
    """Take everything but the image tower out of a model: half of the memory."""
    # By exclusion: open_clip's kinds of models name the parts of their text towers differently.
    parts = [name for name, _ in model.named_children() if name != "visual"]
    parts += [name for name, _ in model.named_parameters(recurse=False)]
    parts += [name for name, _ in model.named_buffers(recurse=False)]
    for name in parts:
        setattr(model, name, None)
