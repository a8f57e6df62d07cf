"""Image towers of open_clip models, for example BiomedCLIP: encoders of crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.text.openclip.load_model import load_model, loading
from medrov_cli.core.text.openclip.models import ModelFiles
from medrov_cli.core.text.protocol import EncoderIdentity

MAX_CROPS_A_PASS = 64
"""Maximum number of crops per forward pass, to limit memory."""

MAX_ELONGATION = 32
"""Maximum ratio of long to short side of a crop; the ends of a longer crop are cut off.

A crop of one by thousands of pixels, resized by open_clip to a fixed short side, would take gigabytes;
resized to a fixed long side, it would be empty.
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
        ``ENCODER_MISSING`` if a file is missing, does not fit the others, or requires code of its own.
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
        """Return one embedding per crop, float32, (images, identity.width), L2 norm 1.

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
        """Return the tower's input of a crop: a float32 tensor, (3, height, width)."""
        from PIL import Image

        return self._preprocess(Image.fromarray(np.ascontiguousarray(_middle(crop_rgb))))


def _middle(crop_rgb: UInt8Array) -> UInt8Array:
    """Return the middle of a crop that is too long, as a view; other crops unchanged."""
    height, width = crop_rgb.shape[:2]
    longest = MAX_ELONGATION * min(height, width)
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    return crop_rgb[top : top + longest, left : left + longest]


def _drop_text_tower(model: Any) -> None:
    """Remove all parts but the image tower from a model, which halves its memory."""
    # By exclusion, because open_clip's model types have different names for the parts of text towers.
    parts = [name for name, _ in model.named_children() if name != "visual"]
    parts += [name for name, _ in model.named_parameters(recurse=False)]
    parts += [name for name, _ in model.named_buffers(recurse=False)]
    for name in parts:
        setattr(model, name, None)
