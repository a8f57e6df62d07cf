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
    """Weights of the three terms (ultralytics' defaults)."""

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
    """An optimizer with warm-up and cosine.

    Attributes
    ----------
    optimizer
        AdamW, or Muon for hidden convolutions.
    learning_rate
        Peak.
    weight_decay
        On matrices only, not on biases and norms.
    warmup_steps
        Linear rise from 0; at most a fifth of the run.
    final_share
        The cosine ends at this share of the peak.
    average_decay
        Of the weights' moving average, a step; see
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
    """Strengths of the changes of pixels; 0 switches one off.

    Attributes
    ----------
    gamma, contrast, brightness
        Of the grey level curve: the exponent's logarithm, the slope and the shift (1 is white).
    hue, saturation
        Turn of the colour circle (1 is a whole turn), and gain, of coloured modalities.
    white_balance
        Gain of each colour channel, of the same.
    stain
        Gain of each stain's density in histopathology.
    blur, noise
        Share of images that get it. Noise is speckle in ultrasound.
    grey
        Share of coloured images without their colours.
    window
        Share of CT, MRI and X-ray images shown in a narrower window.
    resolution, compression
        Share of images made smaller and large again, and saved as JPEG of low quality.
    vignette, glare
        Share of images through a lens with dark edges, and of endoscopies with specular spots.
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
    """Strengths of the augmentation; 0 switches a part off.

    The geometry is ultralytics' (mosaic, scale 0.5, translate 0.1, flips). How pixels change is
    ``appearance``.
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
    """What an image is asked for besides its own classes; each kind can be switched off.

    Attributes
    ----------
    random
        Classes drawn at random.
    federated
        A class that the presence table calls possible but not annotated is no negative (as in
        LVIS, arXiv 1908.03195): it is asked for, but its silence is not rewarded.
    background
        One prompt of no text for all that nobody asks for (YOLO-World's padding). The network
        keeps it, in training and after.
    hard
        The classes whose texts are most like those of the image's own come first.
    """

    random: bool = True
    federated: bool = True
    background: bool = False
    hard: bool = False


@dataclass(frozen=True, slots=True)
class BalanceSettings:
    """How strongly images of rare groups are preferred.

    Attributes
    ----------
    by
        The groups. Off draws every image equally often.
    power
        At least 0, which draws every image equally often. With 1 and a threshold of 1, groups
        that share no image are drawn equally often as wholes, however small they are.
    threshold
        A group with at least this share of the images is not preferred, so 1 prefers each group
        over all larger ones. LVIS (arXiv 1908.03195) has 0.001, with a power of 0.5, by class.
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
    """Return the kinds of negatives that ``--negatives`` names.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    chosen = parse_names(texts, Negative, "--negatives")
    return NegativeSettings(**{str(kind): kind in chosen for kind in Negative})
