"""Groups of settings of ``train``: augmentation, sampling, prompts, loss and schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medrov_cli.core.settings.choices import Appearance, Balance, Negative, OptimizerName
from medrov_cli.core.settings.field import option
from medrov_cli.core.settings.groups import DATA_PANEL
from medrov_cli.core.settings.lists import parse_names

LOSS_PANEL = "Loss"
SCHEDULE_PANEL = "Schedule"


@dataclass(frozen=True, slots=True)
class LossGains:
    """Weights of the three terms of the loss (ultralytics' defaults)."""

    box: float = option(
        "--box-gain",
        default=7.5,
        low=0,
        help="Weight of the box IoU in the loss.",
        panel=LOSS_PANEL,
        source="ultralytics",
    )
    text: float = option(
        "--text-gain",
        default=0.5,
        low=0,
        help="Weight of the region-text similarity in the loss.",
        panel=LOSS_PANEL,
        source="ultralytics",
    )
    distribution: float = option(
        "--distribution-gain",
        default=1.5,
        low=0,
        help="Weight of the distribution focal loss of box edges.",
        panel=LOSS_PANEL,
        source="ultralytics",
    )


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """Optimizer with warm-up and cosine schedule.

    Attributes
    ----------
    optimizer
        AdamW, or Muon for hidden convolutions.
    learning_rate
        Peak learning rate.
    weight_decay
        Weight decay of matrices, not of biases and norms.
    warmup_steps
        Steps of the linear rise from 0; at most a fifth of the run.
    final_share
        Final learning rate, relative to the peak.
    average_decay
        Decay of the moving average of the weights per step; see
        :class:`~medrov_cli.core.model.learning.moving_average.MovingAverage`.
    """

    optimizer: OptimizerName = option(
        "--optimizer",
        default=OptimizerName.MUON,
        help="adamw, or muon: orthogonalised steps for hidden convolutions, AdamW for other weights.",
        panel=SCHEDULE_PANEL,
        source="measured: more is found in as many steps than with AdamW (docs/results.md)",
    )
    learning_rate: float = option(
        "--lr",
        default=1e-3,
        low=0,
        help="Peak learning rate.",
        panel=SCHEDULE_PANEL,
        source="the paper fine-tunes at 2e-4 with batch 128; a nano model from scratch at 16 needs more",
    )
    weight_decay: float = option(
        "--weight-decay",
        default=0.05,
        low=0,
        help="Weight decay of matrices; vectors have none.",
        panel=SCHEDULE_PANEL,
        source="MedROV, arXiv 2511.20650",
    )
    warmup_steps: int = 200
    final_share: float = 0.01
    average_decay: float = option(
        "--average-decay",
        default=0.999,
        low=0,
        high=0.99999,
        help="Decay per step of the moving average of the weights, which is saved; 0: no average.",
        panel=SCHEDULE_PANEL,
        source="a horizon of 1,000 steps; ultralytics' 0.9999 is for runs of 100,000 steps and more",
    )


@dataclass(frozen=True, slots=True)
class AppearanceSettings:
    """Strengths of the changes of pixels; 0: no change.

    Attributes
    ----------
    gamma, contrast, brightness
        Parameters of the grey level curve: logarithm of the exponent, slope and shift (1 is white).
    hue, saturation
        Rotation of the hue (1 is a full turn) and gain of the saturation, of coloured modalities.
    white_balance
        Gain of each colour channel, of coloured modalities.
    stain
        Gain of each stain's density in histopathology.
    blur, noise
        Fractions of images with blur and with noise. Noise is speckle in ultrasound.
    grey
        Fraction of coloured images that are converted to grey.
    window
        Fraction of CT, MRI and X-ray images with a narrower window.
    resolution, compression
        Fractions of images that are downscaled and upscaled again, and that are compressed as JPEG of low
        quality.
    vignette, glare
        Fractions of images with dark edges, and of endoscopies with specular spots.
    """

    gamma: float = 0.3
    contrast: float = 0.25
    brightness: float = 0.12
    hue: float = 0.02
    saturation: float = 0.4
    white_balance: float = 0.0
    stain: float = 0.0
    blur: float = 0.1
    noise: float = 0.1
    grey: float = 0.0
    window: float = 0.0
    resolution: float = 0.0
    compression: float = 0.0
    vignette: float = 0.0
    glare: float = 0.0


APPEARANCES = {
    Appearance.PLAIN: AppearanceSettings(),
    Appearance.MEDICAL: AppearanceSettings(
        gamma=0.35,
        hue=0.03,
        white_balance=0.15,
        stain=0.3,
        grey=0.1,
        window=0.3,
        resolution=0.2,
        compression=0.2,
        vignette=0.15,
        glare=0.25,
    ),
}


@dataclass(frozen=True, slots=True)
class AugmentationSettings:
    """Strengths of the augmentation; 0: none.

    The geometry is that of ultralytics (mosaic, scale 0.5, translate 0.1, flips). ``appearance`` is the
    change of pixels.
    """

    mosaic: float = option(
        "--mosaic",
        default=0.7,
        low=0,
        high=1,
        help="Fraction of samples that are mosaics of four images.",
        panel=DATA_PANEL,
    )
    same_source: float = 0.5
    scale: float = 0.5
    aspect: float = 0.1
    translate: float = 0.1
    flip: float = 0.5
    visible: float = 0.25
    appearance: AppearanceSettings = option(
        "--appearance",
        given=Appearance,
        given_default=Appearance.PLAIN,
        parse=APPEARANCES.__getitem__,
        help="plain: grey levels, colours, blur, noise; medical: also scanners, stains and cameras.",
        panel=DATA_PANEL,
    )


@dataclass(frozen=True, slots=True)
class NegativeSettings:
    """Kinds of negative prompts; each can be disabled.

    Attributes
    ----------
    random
        Classes drawn at random.
    federated
        Whether a class that the presence table marks as possible but not annotated is not a negative (as in
        LVIS, arXiv 1908.03195), although it may be prompted.
    background
        One prompt without text for unprompted objects (YOLO-World's padding), which stays in the trained
        network.
    hard
        Whether classes with texts similar to those of the image's classes come first.
    """

    random: bool = True
    federated: bool = True
    background: bool = False
    hard: bool = False


@dataclass(frozen=True, slots=True)
class BalanceSettings:
    """Preference of images of rare groups.

    Attributes
    ----------
    by
        Groups; ``off``: all images are drawn equally often.
    power
        Strength, at least 0; with 0 all images are drawn equally often. With 1 and a threshold of 1, groups
        without common images are drawn equally often, independent of their size.
    threshold
        Fraction of the images from which a group is not preferred; with 1 each group is preferred over larger
        ones. LVIS (arXiv 1908.03195) uses 0.001 with a power of 0.5, by class.
    """

    by: Balance = option(
        "--balance",
        default=Balance.SOURCE,
        help="Groups whose rare members are drawn more often.",
        panel=DATA_PANEL,
    )
    power: float = option(
        "--balance-power",
        default=0.3,
        low=0,
        high=1,
        help="Strength of --balance: 0 draws images equally often, 1 groups.",
        panel=DATA_PANEL,
    )
    threshold: float = option(
        "--balance-threshold",
        default=1.0,
        low=0,
        high=1,
        help="Fraction of all images from which a group counts as not rare.",
        panel=DATA_PANEL,
    )


def parse_negatives(texts: Sequence[str]) -> NegativeSettings:
    """Return the kinds of negatives of ``--negatives``.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    chosen = parse_names(texts, Negative, "--negatives")
    return NegativeSettings(**{str(kind): kind in chosen for kind in Negative})
