"""Appearance augmentation of training images by modality: scanners, stains and cameras.

The changes do not move boxes. They imitate differences between sites: stain in histopathology, windows in CT,
MRI and X-ray, speckle in ultrasound, glare and dark edges in endoscopy, and colour of the light, resolution
and compression in all modalities.
"""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.settings.train_groups import AppearanceSettings

_COLOURED = frozenset(
    {
        Modality.HISTOPATHOLOGY,
        Modality.MICROSCOPY,
        Modality.DERMOSCOPY,
        Modality.ENDOSCOPY,
        Modality.FUNDOSCOPY,
    }
)
_WINDOWED = frozenset({Modality.CT, Modality.MRI, Modality.XRAY})
_THROUGH_A_LENS = frozenset(
    {Modality.ENDOSCOPY, Modality.DERMOSCOPY, Modality.FUNDOSCOPY, Modality.MICROSCOPY}
)

_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical densities of haematoxylin, eosin and a residue in red, green and blue (Ruifrok, Johnston 2001)."""


def change_pixels(
    image_rgb: UInt8Array, modality: Modality, config: AppearanceSettings, rng: np.random.Generator
) -> UInt8Array:
    """Return the image with a random appearance of its modality, uint8, (h, w, 3)."""
    image = np.ascontiguousarray(image_rgb)
    if modality in _COLOURED:
        image = _change_colours(image, modality, config, rng)
    if modality is Modality.ENDOSCOPY and rng.random() < config.glare:
        image = _add_glare(image, rng)
    if modality in _THROUGH_A_LENS and rng.random() < config.vignette:
        image = _darken_edges(image, rng)
    image = as_bytes(cv2.LUT(image, _grey_curve(modality, config, rng)))
    if rng.random() < config.resolution:
        image = _lose_resolution(image, rng)
    if rng.random() < config.blur:
        image = as_bytes(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2)))
    if rng.random() < config.noise:
        image = _add_noise(image, modality, rng)
    if rng.random() < config.compression:
        image = _compress(image, int(rng.integers(25, 80)))
    return image


def _grey_curve(modality: Modality, config: AppearanceSettings, rng: np.random.Generator) -> UInt8Array:
    """Return the new value of each grey level, uint8, (256,)."""
    ramp = np.linspace(0, 1, 256)
    if modality in _WINDOWED and rng.random() < config.window:
        low, high = rng.uniform(0, 0.08), rng.uniform(0.8, 1)
        ramp = np.clip((ramp - low) / (high - low), 0, 1)
    gamma = np.exp(rng.uniform(-config.gamma, config.gamma))
    contrast = 1 + rng.uniform(-config.contrast, config.contrast)
    shift = rng.uniform(-config.brightness, config.brightness)
    curve = (ramp**gamma - 0.5) * contrast + 0.5 + shift
    return _levels(curve * 255)


def _change_colours(
    image_rgb: UInt8Array, modality: Modality, config: AppearanceSettings, rng: np.random.Generator
) -> UInt8Array:
    if rng.random() < config.grey:
        return as_bytes(cv2.cvtColor(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))
    image = image_rgb
    if modality is Modality.HISTOPATHOLOGY and config.stain:
        image = _change_stains(image, config.stain, rng)
    levels = np.arange(256)
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    turn = rng.uniform(-config.hue, config.hue) * 180
    gain = 1 + rng.uniform(-config.saturation, config.saturation)
    hue = cv2.LUT(hue, ((levels + turn) % 180).astype(np.uint8))
    saturation = cv2.LUT(saturation, _levels(levels * gain))
    image = as_bytes(cv2.cvtColor(cv2.merge((hue, saturation, value)), cv2.COLOR_HSV2RGB))
    if config.white_balance:
        gains = np.exp(rng.uniform(-config.white_balance, config.white_balance, 3))
        curves = _levels(levels[:, None] * gains)
        image = as_bytes(cv2.LUT(image, curves[:, None]))
    return image


def _change_stains(image_rgb: UInt8Array, strength: float, rng: np.random.Generator) -> UInt8Array:
    """Return the image with each stain's density scaled (after Tellez et al., arXiv 1902.06543)."""
    stains = _STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True)
    gains = 1 + rng.uniform(-strength, strength, 3)
    densities = -np.log((np.arange(256, dtype=np.float32) + 1) / 256)
    # A pixel's densities are a mixture of the stains' rows; the mixture is scaled.
    matrix = (np.linalg.inv(stains) * gains) @ stains
    changed = cv2.transform(cv2.LUT(image_rgb, densities), matrix.T.astype(np.float32))
    return _levels(cv2.exp(-changed) * 256 - 1)


def _add_glare(image_rgb: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Return the image with small, bright, soft specular reflections."""
    height, width = image_rgb.shape[:2]
    light = np.zeros((height, width), dtype=np.uint8)
    for _ in range(rng.integers(2, 9)):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = rng.uniform(0.004, 0.03, 2) * min(height, width)
        sides = (max(1, round(axes[0])), max(1, round(axes[1])))
        cv2.ellipse(light, centre, sides, float(rng.uniform(0, 180)), 0, 360, 255, -1)
    soft = cv2.GaussianBlur(light, (0, 0), 0.004 * min(height, width) + 0.5)
    return as_bytes(cv2.add(image_rgb, cv2.merge((soft, soft, soft))))


def _darken_edges(image_rgb: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    height, width = image_rgb.shape[:2]
    x = np.linspace(-1, 1, width, dtype=np.float32) - rng.uniform(-0.2, 0.2)
    y = np.linspace(-1, 1, height, dtype=np.float32) - rng.uniform(-0.2, 0.2)
    shade = 1 - rng.uniform(0.2, 0.6) * np.clip((x[None] ** 2 + y[:, None] ** 2) / 2, 0, 1)
    return _levels(image_rgb * shade[..., None])


def _lose_resolution(image_rgb: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    height, width = image_rgb.shape[:2]
    share = rng.uniform(0.35, 0.8)
    small = (max(1, round(width * share)), max(1, round(height * share)))
    shrunk = cv2.resize(image_rgb, small, interpolation=cv2.INTER_AREA)
    return as_bytes(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR))


def _add_noise(image_rgb: UInt8Array, modality: Modality, rng: np.random.Generator) -> UInt8Array:
    grain = rng.standard_normal(image_rgb.shape[:2], dtype=np.float32)[..., None]
    if modality is Modality.ULTRASOUND:
        return _levels(image_rgb * (1 + grain * rng.uniform(0.05, 0.25)))
    return _levels(image_rgb + grain * rng.uniform(2, 10))


def _compress(image_rgb: UInt8Array, quality: int) -> UInt8Array:
    stream = cv2.imencode(".jpg", image_rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return as_bytes(cast(cv2.typing.MatLike, cv2.imdecode(stream, cv2.IMREAD_COLOR)))


def _levels(values: np.ndarray) -> UInt8Array:
    """Return grey levels, rounded and clipped to 0 to 255."""
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)


def as_bytes(image: cv2.typing.MatLike) -> UInt8Array:
    """Return a result of OpenCV as uint8."""
    return np.asarray(image, dtype=np.uint8)
