"""YOLO-World v2 as one network whose class embeddings are an input.

Source: YOLO-World (arXiv 2401.17270), version 2: a YOLOv8 backbone, a path aggregation neck
guided by the text, and a contrastive head. Parameter names equal those of ultralytics'
``yolov8{n,s,m,l,x}-worldv2``, so that its checkpoints can be loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from medrov_cli.core.base.constants import STRIDES, TEXT_WIDTH
from medrov_cli.core.model.blocks import C2f, C2fAttn, Conv, pooling_layer
from medrov_cli.core.model.head import ContrastiveDetectionHead
from medrov_cli.core.model.pooling import pool
from medrov_cli.core.model.scales import LayerSizes

_BATCH_NORM_EPS = 1e-3
_BATCH_NORM_MOMENTUM = 0.03


@dataclass(frozen=True, slots=True)
class Architecture:
    """Parameters of the architecture of a :class:`Detector`.

    Attributes
    ----------
    scale
        ``n``, ``s``, ``m``, ``l`` or ``x``.
    text_adapter
        Whether a trained linear map is applied to class embeddings. The
        authors' checkpoint has none.
    background
        Whether the network contains one class embedding of its own, for objects of no prompted class.
    """

    scale: str = "n"
    text_adapter: bool = False
    background: bool = False


class RawPredictions(NamedTuple):
    """Output of the head and input of the criterion.

    Attributes
    ----------
    distances
        float, (batch, anchors, 4 * 16): logits of the distances left, top, right, bottom.
    logits
        float, (batch, anchors, classes): region-text similarities before the sigmoid; with a
        background, it is an additional last column.
    grid_hw
        Height and width, in cells, of each of the three levels.
    """

    distances: Tensor
    logits: Tensor
    grid_hw: tuple[tuple[int, int], ...]


class Detector(nn.Module):
    """Detector of the objects that a set of class embeddings describes.

    Parameters
    ----------
    architecture
        Scale, text adapter and background.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        sizes = LayerSizes(architecture.scale)
        channels, repeats = sizes.channels, sizes.repeats

        def attention(inputs: int, nominal: int, heads: int) -> nn.Module:
            count, outputs = sizes.heads(heads), channels(nominal)
            return cast(
                nn.Module,
                C2fAttn(inputs, outputs, n=repeats(3), ec=outputs // 2, nh=count, gc=TEXT_WIDTH),
            )

        c64, c128, c256, c512, c1024 = (channels(c) for c in (64, 128, 256, 512, 1024))
        # Numbered as in ultralytics' yaml; 10, 11, 13, 14, 17 and 20 there have no parameters.
        self.model = nn.ModuleDict(
            {
                "0": Conv(3, c64, 3, 2),
                "1": Conv(c64, c128, 3, 2),
                "2": C2f(c128, c128, repeats(3), True),
                "3": Conv(c128, c256, 3, 2),
                "4": C2f(c256, c256, repeats(6), True),
                "5": Conv(c256, c512, 3, 2),
                "6": C2f(c512, c512, repeats(6), True),
                "7": Conv(c512, c1024, 3, 2),
                "8": C2f(c1024, c1024, repeats(3), True),
                "9": pooling_layer(c1024),
                "12": attention(c1024 + c512, 512, 8),
                "15": attention(c512 + c256, 256, 4),
                "16": Conv(c256, c256, 3, 2),
                "18": attention(c256 + c512, 512, 8),
                "19": Conv(c512, c512, 3, 2),
                "21": attention(c512 + c1024, 1024, 16),
                "22": ContrastiveDetectionHead((c256, c512, c1024), STRIDES),
            }
        )
        self.text_adapter = nn.Linear(TEXT_WIDTH, TEXT_WIDTH) if architecture.text_adapter else None
        if self.text_adapter is not None:
            nn.init.eye_(self.text_adapter.weight)
            nn.init.zeros_(self.text_adapter.bias)
        if architecture.background:
            self.register_buffer("background", torch.zeros(TEXT_WIDTH))
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = _BATCH_NORM_EPS
                module.momentum = _BATCH_NORM_MOMENTUM

    @property
    def head(self) -> ContrastiveDetectionHead:
        """Return the head."""
        return cast(ContrastiveDetectionHead, self.model["22"])

    def center_text(self, vocabulary: Tensor, strength: float = 0.9) -> None:
        """Initialise the adapter as the identity minus the component of the vocabulary's mean.

        A general encoder gives similar embeddings to texts of one field (left and right lung: cosine
        0.92). Without their common component they are less similar.

        Parameters
        ----------
        vocabulary
            float, (classes, 512), L2 norm 1.
        strength
            Fraction of the mean component that is removed.
        """
        if self.text_adapter is not None:
            with torch.no_grad():
                self.text_adapter.bias.copy_(-strength * vocabulary.mean(0))

    def whiten_text(self, texts: Tensor, shrinkage: float = 1.0) -> None:
        """Initialise the adapter as the map that whitens many texts of the field.

        Directions with a large variance over the texts are scaled down, directions with a small variance up.

        Parameters
        ----------
        texts
            float, (n, 512), L2 norm 1; many more than the number of classes.
        shrinkage
            Constant that is added to the variance of every direction, in units of the mean variance. With 0,
            directions of nearly no variance would have the largest weight.
        """
        if self.text_adapter is not None:
            mean = texts.double().mean(0)
            covariance = (texts.double() - mean).T @ (texts.double() - mean) / len(texts)
            variances, directions = torch.linalg.eigh(covariance)
            used = variances > 1e-9 * variances.max()  # an encoder may have unused columns
            gains = (variances + shrinkage * variances[used].mean()).rsqrt()
            weight = (directions * gains) @ directions.T
            weight /= torch.linalg.norm((texts - mean) @ weight, dim=1).mean()
            with torch.no_grad():
                self.text_adapter.weight.copy_(weight)
                self.text_adapter.bias.copy_(-weight @ mean)

    def keep_background(self, embedding: Tensor) -> None:
        """Set the class embedding of the background, float, (512,), L2 norm 1."""
        cast(Tensor, self.background).copy_(embedding)

    def adapt_text(self, text: Tensor) -> Tensor:
        """Apply the text adapter to class embeddings; the result has L2 norm 1.

        Parameters
        ----------
        text
            float, (..., 512).
        """
        if self.text_adapter is not None:
            text = self.text_adapter(text)
        return functional.normalize(text.float(), dim=-1)

    def stages(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the features of the backbone with strides 8, 16 and 32, before any text; see `forward`."""
        layers = self.model
        x = layers["2"](layers["1"](layers["0"](images)))
        p3 = layers["4"](layers["3"](x))
        p4 = layers["6"](layers["5"](p3))
        return p3, p4, layers["8"](layers["7"](p4))

    def guide(self, stages: tuple[Tensor, Tensor, Tensor], text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the three text-guided levels from the backbone's and adapted text, (batch, classes, 512)."""
        layers = self.model
        p3, p4, deepest = stages
        p5 = layers["9"](deepest)
        top4 = layers["12"](torch.cat((_double(p5), p4), 1), text)
        level3 = layers["15"](torch.cat((_double(top4), p3), 1), text)
        level4 = layers["18"](torch.cat((layers["16"](level3), top4), 1), text)
        level5 = layers["21"](torch.cat((layers["19"](level4), p5), 1), text)
        return level3, level4, level5

    def forward(self, images: Tensor, text: Tensor) -> RawPredictions:
        """Return the raw predictions for the criterion and :meth:`decode`.

        Parameters
        ----------
        images
            float, (batch, 3, height, width), RGB, 0 to 1, sides divisible by 32.
        text
            Class embeddings, float, (classes, 512) or (batch, classes, 512), L2 norm 1.
        """
        return self.predict(self.stages(images), text)

    def predict(self, stages: tuple[Tensor, Tensor, Tensor], text: Tensor) -> RawPredictions:
        """Return the raw predictions from the features of the backbone; see :meth:`forward`."""
        return self._predict(stages, text)[1]

    def _predict(
        self, stages: tuple[Tensor, Tensor, Tensor], text: Tensor
    ) -> tuple[tuple[Tensor, ...], RawPredictions]:
        if text.ndim == 2:
            text = text.unsqueeze(0)
        if self.architecture.background:
            rest = cast(Tensor, self.background).to(text).expand(text.shape[0], 1, -1)
            text = torch.cat((text, rest), 1)
        adapted = self.adapt_text(text).expand(stages[0].shape[0], -1, -1)
        levels = self.guide(stages, adapted)
        distances, logits = self.head(levels, adapted)
        return levels, RawPredictions(distances, logits, tuple((f.shape[2], f.shape[3]) for f in levels))

    def decode(self, raw: RawPredictions) -> tuple[Tensor, Tensor]:
        """Return boxes and scores at every anchor.

        Boxes are float32, (batch, anchors, 4), in model pixels; scores float32, (batch, anchors, classes).
        """
        logits = raw.logits[..., :-1] if self.architecture.background else raw.logits
        return self.head.decode(raw.distances, raw.grid_hw), logits.float().sigmoid()

    def detect(self, images: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes and scores at every anchor, by :meth:`forward` and :meth:`decode`."""
        return self.decode(self(images, text))

    def detect_and_pool(self, images: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the boxes and scores of :meth:`detect`, and the pooled features of :func:`pool`."""
        stages = self.stages(images)
        return *self.decode(self.predict(stages, text)), pool(stages)

    def detect_regions(self, images: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the results of :meth:`detect_and_pool`, and the region vectors, (batch, anchors, c)."""
        stages = self.stages(images)
        levels, raw = self._predict(stages, text)
        return *self.decode(raw), pool(stages), torch.cat(list(self.head.hidden(levels)), 1)


def _double(x: Tensor) -> Tensor:
    """Return feature maps of twice the height and width (nearest neighbour)."""
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
