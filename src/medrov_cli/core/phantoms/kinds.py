"""Kinds of phantoms: one per modality, each a function of a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medrov_cli.core.phantoms.abdomen import abdomen_ct
from medrov_cli.core.phantoms.brain import brain_mri
from medrov_cli.core.phantoms.chest import chest_ct
from medrov_cli.core.phantoms.colon import endoscopy_polyp
from medrov_cli.core.phantoms.radiograph import chest_xray
from medrov_cli.core.phantoms.retina import fundus
from medrov_cli.core.phantoms.shapes import Phantom
from medrov_cli.core.phantoms.skin import skin_lesion
from medrov_cli.core.phantoms.smear import blood_smear
from medrov_cli.core.phantoms.sonogram import thyroid_ultrasound
from medrov_cli.core.phantoms.tissue import stained_tissue
from medrov_cli.core.settings.choices import Modality, Split

_FIRST_SEED = 1_000_000  # far above the seeds of the examples
_LUNG_HU, _SOFT_HU, _WIDE_HU = (1500.0, -600.0), (400.0, 40.0), (2000.0, 0.0)  # width, center
_INVISIBLE_HU = -200.0  # ground glass below this is as dark as lung in the soft-tissue window
_CHEST_PART = 0.67

VOLUME_CLASSES = ("liver", "left kidney", "right kidney", "aorta", "vertebra")
"""Classes of an abdominal volume, in the order of their label values from 1."""


@dataclass(frozen=True, slots=True)
class PhantomKind:
    """One kind of phantom.

    Attributes
    ----------
    name
        Name of its source.
    modality
        Modality that it imitates.
    draw
        Function of a seed to an 8-bit image.
    classes
        All classes of its objects.
    """

    name: str
    modality: Modality
    draw: Callable[[int], Phantom]
    classes: tuple[str, ...]


def phantom_seed(seed: int, index: int) -> int:
    """Return the seed of the ``index``-th phantom of a run, different from those of the examples."""
    return _FIRST_SEED * (seed + 1) + index


def split_of(index: int) -> Split:
    """Return the split of the ``index``-th phantom: of ten, eight are train, one val, one test."""
    return "val" if index % 10 == 8 else "test" if index % 10 == 9 else "train"


def ct_slice(seed: int) -> Phantom:
    """Return a chest or an abdominal slice in HU."""
    return _slice_of(np.random.default_rng([seed, 1]), seed)


def windowed_ct(seed: int) -> Phantom:
    """Return the same slice in a suitable, slightly varied window, as uint8 RGB."""
    rng = np.random.default_rng([seed, 1])
    phantom = _slice_of(rng, seed)
    is_chest = any(drawn.class_name.endswith("lung") for drawn in phantom.objects)
    nodules = [drawn for drawn in phantom.objects if drawn.class_name == "lung nodule"]
    choices = [_LUNG_HU, _LUNG_HU, _LUNG_HU, _SOFT_HU, _WIDE_HU] if is_chest else [_SOFT_HU] * 2 + [_WIDE_HU]
    if any(phantom.pixels[drawn.mask].mean() < _INVISIBLE_HU for drawn in nodules):
        choices = [_LUNG_HU]
    width, center = choices[int(rng.integers(len(choices)))]
    if rng.random() < 0.5:
        width, center = width * rng.uniform(0.8, 1.25), center + width * rng.uniform(-0.05, 0.05)
    pixels = _window(phantom.pixels, width, center)
    return Phantom(pixels, phantom.objects, phantom.modality, phantom.pixel_spacing_mm)


def _slice_of(rng: np.random.Generator, seed: int) -> Phantom:
    return chest_ct(seed) if rng.random() < _CHEST_PART else abdomen_ct(seed)


def _window(hu: npt.NDArray[np.int16], width_hu: float, center_hu: float) -> npt.NDArray[np.uint8]:
    """Return HU in a window as uint8 RGB."""
    grey = np.clip((hu.astype(np.float64) - center_hu) / width_hu + 0.5, 0, 1)
    return np.repeat(np.rint(grey * 255).astype(np.uint8)[..., None], 3, axis=2)


def _sized_smear(seed: int) -> Phantom:
    sizes = ((480, 640), (480, 640), (400, 400), (576, 576))
    return blood_smear(seed, size_hw=sizes[seed % len(sizes)])


_CT_CLASSES = (
    *("lung nodule", "left lung", "right lung", "heart", "trachea", "aorta", "vertebra"),
    *("liver", "left kidney", "right kidney"),
)
KINDS = (
    PhantomKind("phantom_ct", Modality.CT, windowed_ct, _CT_CLASSES),
    PhantomKind("phantom_mri", Modality.MRI, brain_mri, ("brain tumor",)),
    PhantomKind("phantom_xray", Modality.XRAY, chest_xray, ("left lung", "right lung", "heart")),
    PhantomKind("phantom_ultrasound", Modality.ULTRASOUND, thyroid_ultrasound, ("thyroid nodule",)),
    PhantomKind("phantom_histopathology", Modality.HISTOPATHOLOGY, stained_tissue, ("nuclei",)),
    PhantomKind(
        "phantom_dermoscopy", Modality.DERMOSCOPY, skin_lesion, ("benign skin lesion", "melanoma skin cancer")
    ),
    PhantomKind("phantom_fundoscopy", Modality.FUNDOSCOPY, fundus, ("optic disc", "optic cup")),
    PhantomKind("phantom_endoscopy", Modality.ENDOSCOPY, endoscopy_polyp, ("colon polyp",)),
    PhantomKind(
        "phantom_smear",
        Modality.MICROSCOPY,
        _sized_smear,
        ("red blood cell", "white blood cell", "platelets"),
    ),
)
"""Kinds of phantoms in the order of :class:`Modality`."""
