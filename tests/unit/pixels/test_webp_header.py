"""Header of WebP files against Pillow, and stills by one request to a decoder process."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from image_files import error_of, read_all
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.pixels import isolation
from medrov_cli.core.pixels.channels import ALPHA_WARNING
from medrov_cli.core.pixels.decoder_client import DecoderPool
from medrov_cli.core.pixels.webp_header import WebpHeader, read_webp_header


def webp(size_hw: tuple[int, int], mode: str, **options: Any) -> bytes:
    channels = len(mode)
    pixels = np.random.default_rng(0).integers(0, 200, (*size_hw, channels), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", **options)
    return file.getvalue()


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the tasks that processes are asked for single images."""
    asked: list[str] = []
    ask = DecoderPool.ask

    def listen(pool: DecoderPool, request: dict[str, Any], *rest: Any) -> Any:
        asked.append(request["task"])
        return ask(pool, request, *rest)

    monkeypatch.setattr(DecoderPool, "ask", listen)
    yield asked
    isolation.close_processes()


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.sampled_from(["RGB", "RGBA"]),
    st.booleans(),
    st.sampled_from([{}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}]),
)
def test_header_is_that_of_the_decoder(
    size_hw: tuple[int, int], mode: str, lossless: bool, options: dict[str, bytes]
) -> None:
    data = webp(size_hw, mode, lossless=lossless, **options)
    assert read_webp_header(data) == WebpHeader(*size_hw, has_alpha=mode == "RGBA", is_animated=False)


def test_header_of_an_animation_and_of_damaged_files() -> None:
    frames = [Image.new("RGB", (24, 16), colour) for colour in ("black", "white")]
    file = BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    assert read_webp_header(file.getvalue())[:2] == (16, 24)
    assert read_webp_header(file.getvalue()).is_animated
    for data in (b"", file.getvalue()[:29], file.getvalue()[:12] + b"ABCD" + file.getvalue()[16:]):
        assert read_webp_header(data) == WebpHeader()


@pytest.mark.parametrize(
    ("mode", "options"), [("RGB", {}), ("RGB", {"lossless": True}), ("RGBA", {"quality": 90})]
)
def test_still_image_is_read_by_one_request(
    tmp_path: Path, tasks: list[str], mode: str, options: dict[str, Any]
) -> None:
    data = webp((20, 30), mode, **options)
    (tmp_path / "a.webp").write_bytes(data)
    frames = read_all(tmp_path / "a.webp")
    assert tasks == ["image"]
    assert (frames[0].pixels_rgb == np.asarray(Image.open(BytesIO(data)).convert("RGB"))).all()
    assert (len(frames), frames[0].frame_count) == (1, 1)
    assert frames[0].warnings == ((ALPHA_WARNING,) if mode == "RGBA" else ())


def test_damaged_still_image_is_an_error(tmp_path: Path) -> None:
    data = webp((20, 30), "RGB", lossless=True)
    (tmp_path / "a.webp").write_bytes(data[:30] + bytes(len(data) - 30))
    assert error_of(tmp_path / "a.webp").code in {ErrorCode.DECODE_FAILED, ErrorCode.TRUNCATED}
