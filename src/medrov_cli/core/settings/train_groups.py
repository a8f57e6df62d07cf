"""Groups of settings of ``train``: augmentation, sampling, prompts, loss and schedule."""

from __future__ import annotations

from dataclasses import dataclass, field

from medrov_cli.core.settings.choices import Balance, OptimizerName

DECAY = 0.999
"""Horizon of 1,000 steps. Ultralytics' 0.9999 is for runs of 100,000 steps and more."""


@dataclass(frozen=True, slots=True)
class LossGains:
    """Weights of the three terms (ultralytics' defaults)."""

    box: float = 7.5
    text: float = 0.5
    distribution: float = 1.5


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """An optimizer with warm-up and cosine.

    Attributes
    ----------
    optimizer
        Muon finds more in as many steps than AdamW (``docs/results.md``).
    learning_rate
        Peak. The paper fine-tunes at 2e-4 with batch 128; from scratch with batch 16 a nano
        model wants more.
    weight_decay
        On matrices only, not on biases and norms. The paper: 0.05.
    warmup_steps
        Linear rise from 0; at most a fifth of the run.
    final_share
        The cosine ends at this share of the peak.
    average_decay
        Of the weights' moving average, a step; see
        :class:`~medrov_cli.core.model.learning.moving_average.MovingAverage`.
    """

    optimizer: OptimizerName = OptimizerName.MUON
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 200
    final_share: float = 0.01
    average_decay: float = DECAY


@dataclass(frozen=True, slots=True)
class AppearanceConfig:
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


@dataclass(frozen=True, slots=True)
class AugmentationConfig:
    """Strengths of the augmentation; 0 switches a part off.

    The geometry is ultralytics' (mosaic, scale 0.5, translate 0.1, flips). How pixels change is
    ``appearance``.
    """

    mosaic: float = 0.7
    same_source: float = 0.5
    scale: float = 0.5
    aspect: float = 0.1
    translate: float = 0.1
    flip: float = 0.5
    visible: float = 0.25
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)


@dataclass(frozen=True, slots=True)
class NegativesConfig:
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
class BalanceConfig:
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

    by: Balance = Balance.SOURCE
    power: float = 0.3
    threshold: float = 1.0
