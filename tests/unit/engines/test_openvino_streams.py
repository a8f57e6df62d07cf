"""Several images in parallel in OpenVINO: streams without gaps, and calls of several threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detect_fixtures import IMGSZ, noise_image, write_eager_detector
from medrov_cli.core.engines.openvino_streams import QUEUED, run_streams
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.settings.choices import EngineName
from medrov_cli.core.settings.groups import RuntimeSettings
from weights_fixtures import unit_rows

STREAMS = 2


class RecordedModel:
    """A model whose images are their first value; it notes what happens."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []

    def start(self, image: np.ndarray) -> RecordedImage:
        self.events.append(("start", int(image.flat[0])))
        return RecordedImage(self, int(image.flat[0]))


class RecordedImage:
    def __init__(self, model: RecordedModel, value: int) -> None:
        self.model, self.value = model, value

    def finish(self, outputs: tuple[str, ...], finish: Callable[[Mapping[str, Any]], Any]) -> Any:
        self.model.events.append(("finish", self.value))
        return finish({"value": self.value})


def run(model: RecordedModel, count: int, finish: Callable[..., int]) -> list[int]:
    images = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return list(run_streams(images, STREAMS, lambda _: model, ("value",), finish))  # type: ignore[arg-type,return-value]


def value_of(parts: Mapping[str, Any], size: tuple[int, int]) -> int:
    return int(parts["value"])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9])
def test_an_image_waits_for_each_stream_that_ends(count: int) -> None:
    model = RecordedModel()
    assert run(model, count, value_of) == list(range(count))
    started = finished = 0
    for event, value in model.events:
        if event == "start":
            started += 1
            assert started - finished <= STREAMS + QUEUED
        else:
            assert value == finished
            # All streams have work while the outputs of this image are read, as long as there are images.
            assert started - finished == min(STREAMS + QUEUED, count - finished)
            finished += 1


def test_after_an_error_no_image_is_left_running() -> None:
    model = RecordedModel()

    def fail(parts: Mapping[str, Any], size: tuple[int, int]) -> int:
        if parts.get("value") == 1:
            raise ValueError("no")
        return 0

    with pytest.raises(ValueError, match="no"):
        run(model, 9, fail)
    started = {value for event, value in model.events if event == "start"}
    assert started == {value for event, value in model.events if event == "finish"}


@pytest.mark.parametrize("rectangles", [False, True])
def test_calls_of_several_threads_give_what_one_gives(tmp_path: Path, rectangles: bool) -> None:
    weights = write_eager_detector(tmp_path / "eager.safetensors")
    runtime = RuntimeSettings("cpu", EngineName.OPENVINO, rectangles=rectangles)
    text = unit_rows(5, seed=3)
    sides = (IMGSZ, 64) if rectangles else (IMGSZ, IMGSZ)
    batches = [[noise_image(8 * row + n, IMGSZ, sides[n % 2]) for n in range(5)] for row in range(6)]

    def opened() -> Any:
        return WeightsFile.read(weights).open(text, runtime, imgsz=IMGSZ, streams=STREAMS)

    alone = opened()
    expected = [alone.infer(batch) for batch in batches]
    engine = opened()  # its models are compiled by the first of the threads
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(engine.infer, batches))
    for own, other in zip(expected, found, strict=True):
        for one, two in zip(own, other, strict=True):
            np.testing.assert_array_equal(one.boxes_xyxy, two.boxes_xyxy)
            np.testing.assert_array_equal(one.scores, two.scores)
