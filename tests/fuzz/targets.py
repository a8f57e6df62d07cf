"""All fuzz targets, by name."""

from __future__ import annotations

from model_targets import MODEL_TARGETS
from pixel_targets import PIXEL_TARGETS
from result_targets import RESULT_TARGETS
from target import Target
from text_targets import TEXT_TARGETS

TARGETS: dict[str, Target] = {
    target.name: target for target in (*PIXEL_TARGETS, *TEXT_TARGETS, *RESULT_TARGETS, *MODEL_TARGETS)
}
