"""Images that are of no medical kind: noise, flat grey, gradients, text pages, screens, plots, scenes.

The classifier of image kinds is fitted with them. An image is a function of its number alone.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.frame import UInt8Array

_LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))


def negative_image(number: int, seed: int = 7) -> UInt8Array:
    """Return an image, uint8, (height, width, 3), whose form cycles with its number."""
    random = np.random.default_rng([seed, number])
    return np.ascontiguousarray(FORMS[number % len(FORMS)](random))


def _colour(random: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in random.integers(0, 256, 3))
    return red, green, blue


def _size_hw(random: np.random.Generator) -> tuple[int, int]:
    return int(random.integers(120, 500)), int(random.integers(120, 500))


def _words(random: np.random.Generator, count: int) -> str:
    return " ".join("".join(random.choice(_LETTERS, random.integers(2, 9))) for _ in range(count))


def _spectrum(random: np.random.Generator, height: int, width: int, power: float) -> FloatArray:
    """Return noise with amplitudes that fall with the frequency by a power, (height, width), 0 to 1."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    noise = np.fft.rfft2(random.normal(size=(height, width))) / frequency**power
    values = np.fft.irfft2(noise, (height, width))
    values -= values.min()
    return np.asarray(values / max(values.max(), 1e-9))


def _noise(random: np.random.Generator) -> UInt8Array:
    """Return white, normal or blocky noise."""
    height, width = _size_hw(random)
    form = random.integers(0, 4)
    channels = 3 if random.random() < 0.5 else 1
    if form == 0:
        values = random.integers(0, 256, (height, width, channels))
    elif form == 1:
        values = np.clip(
            random.normal(random.uniform(60, 200), random.uniform(3, 60), (height, width, channels)), 0, 255
        )
    else:
        side = int(random.integers(2, 40))
        coarse = random.integers(0, 256, (max(2, height // side), max(2, width // side), 3), dtype=np.uint8)
        how = cv2.INTER_NEAREST if form == 2 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(coarse, (width, height), interpolation=how), dtype=np.uint8)
    return np.broadcast_to(values.astype(np.uint8), (height, width, 3))


def _flat(random: np.random.Generator) -> UInt8Array:
    """Return an image of one grey or colour."""
    colour = _colour(random) if random.random() < 0.5 else (int(random.integers(0, 256)),) * 3
    return np.full((*_size_hw(random), 3), colour, dtype=np.uint8)


def _gradient(random: np.random.Generator) -> UInt8Array:
    """Return a linear or radial transition between two greys or colours."""
    height, width = _size_hw(random)
    y, x = np.mgrid[:height, :width]
    angle = random.uniform(0, 2 * np.pi)
    if random.random() < 0.6:
        share = np.cos(angle) * x / width + np.sin(angle) * y / height
    else:
        share = np.hypot(x / width - random.random(), y / height - random.random())
    share = (share - share.min()) / np.ptp(share)
    ends = random.integers(0, 256, (2, 1 if random.random() < 0.4 else 3))
    values = ends[0] + (ends[1] - ends[0]) * share[..., None]
    return np.broadcast_to(values.astype(np.uint8), (height, width, 3))


def _page(random: np.random.Generator) -> UInt8Array:
    """Return lines of text on a light or dark page."""
    height, width = _size_hw(random)
    is_dark = random.random() < 0.25
    paper = int(random.integers(0, 60) if is_dark else random.integers(215, 256))
    page = np.full((int(height * 1.3), width, 3), paper, dtype=np.uint8)
    _write_lines(random, page, is_dark=is_dark)
    return page


def _write_lines(random: np.random.Generator, page: UInt8Array, *, is_dark: bool) -> None:
    """Draw lines of text on a page of the caller."""
    height, width = page.shape[:2]
    scale = random.uniform(0.25, 0.8)
    margin = int(width * random.uniform(0.02, 0.1))
    ink = (int(random.integers(180, 256) if is_dark else random.integers(0, 80)),) * 3
    font, step = int(random.integers(0, 5)), int(30 * scale + random.integers(2, 10))
    for y in range(margin + step, height - margin, step):
        if random.random() < 0.85:
            letters = int((width - 2 * margin) / (18 * scale) * random.uniform(0.4, 1))
            text = _words(random, 12)[:letters]
            cv2.putText(page, text, (margin, y), font, scale, ink, 1 + int(scale > 0.6), cv2.LINE_AA)


def _screen(random: np.random.Generator) -> UInt8Array:
    """Return a screen with windows, some of which contain text."""
    height, width = int(random.integers(220, 420)), int(random.integers(300, 560))
    desk = (int(random.integers(200, 256)),) * 3 if random.random() < 0.5 else _colour(random)
    screen = np.full((height, width, 3), desk, dtype=np.uint8)
    for _ in range(int(random.integers(3, 14))):
        left, top = int(random.integers(0, width - 40)), int(random.integers(0, height - 30))
        right, bottom = int(random.integers(left + 30, width)), int(random.integers(top + 20, height))
        fill = _colour(random) if random.random() < 0.4 else (int(random.integers(0, 256)),) * 3
        cv2.rectangle(screen, (left, top), (right, bottom), fill, -1)
        cv2.rectangle(screen, (left, top), (right, bottom), _colour(random), 1)
        is_dark = sum(fill) < 380
        ink = (255,) * 3 if is_dark else (0,) * 3
        title = _words(random, 3)[: max(1, (right - left) // 10)]
        place = (left + 3, min(bottom, top + 14))
        cv2.putText(screen, title, place, 0, random.uniform(0.3, 0.5), ink, 1, cv2.LINE_AA)
        if random.random() < 0.3 and bottom - top > 60 and right - left > 80:
            _write_lines(random, screen[top:bottom, left:right], is_dark=is_dark)
    return screen


def _plot(random: np.random.Generator) -> UInt8Array:
    """Return axes with lines, points or bars."""
    height, width = _size_hw(random)
    paper = 255 if random.random() < 0.8 else int(random.integers(0, 256))
    plot = np.full((height, width, 3), paper, dtype=np.uint8)
    margin = int(min(height, width) * 0.12)
    ink = (0,) * 3 if paper > 120 else (230,) * 3
    cv2.rectangle(plot, (margin, margin), (width - margin, height - margin), ink, 1)
    for step in range(6):
        x, y = margin + step * (width - 2 * margin) // 6, height - margin - step * (height - 2 * margin) // 6
        cv2.putText(plot, f"{random.random():.2f}", (2, y), 0, 0.3, ink, 1, cv2.LINE_AA)
        cv2.putText(plot, str(10 * step), (x, height - margin + 14), 0, 0.3, ink, 1, cv2.LINE_AA)
    form, count = random.integers(0, 3), int(random.integers(5, 60))
    across = np.linspace(margin, width - margin, count).astype(np.int32)
    for _ in range(int(random.integers(1, 4))):
        colour = _colour(random)
        share = np.clip(np.cumsum(random.normal(size=count)) * 0.06 + 0.5, 0, 1)
        up = (height - margin - share * (height - 2 * margin)).astype(np.int32)
        if form == 0:
            cv2.polylines(plot, [np.stack((across, up), 1)], False, colour, 1, cv2.LINE_AA)
            continue
        for x, y in zip(across.tolist(), up.tolist(), strict=True):
            if form == 1:
                cv2.circle(plot, (x, y), 3, colour, -1, cv2.LINE_AA)
            else:
                cv2.rectangle(plot, (x, y), (x + 3, height - margin), colour, -1)
    return plot


def _scene(random: np.random.Generator) -> UInt8Array:
    """Return textured shapes that cover one another: the statistics of a photograph."""
    height, width = _size_hw(random)
    layers = [_spectrum(random, height, width, random.uniform(1, 2)) * 255 for _ in range(3)]
    scene = np.stack(layers, 2)
    if random.random() < 0.6:
        scene = scene.mean(2, keepdims=True) * 0.5 + np.array(_colour(random)) * 0.5
    for _ in range(int(random.integers(5, 60))):
        mask = _shape(random, height, width)[..., None] / 255
        texture = _spectrum(random, height, width, random.uniform(0.5, 2))[..., None] - 0.5
        scene = scene * (1 - mask) + (np.array(_colour(random)) + texture * random.uniform(0, 160)) * mask
    if random.random() < 0.5:
        scene = scene * (0.5 + _spectrum(random, height, width, 2.5)[..., None])
    return np.clip(scene, 0, 255).astype(np.uint8)


def _shape(random: np.random.Generator, height: int, width: int) -> UInt8Array:
    """Return the mask of an ellipse, a polygon or a rectangle, uint8, (height, width)."""
    mask = np.zeros((height, width), dtype=np.uint8)
    radius = float(np.clip(0.02 / random.random(), 0.02, 0.5)) * min(height, width)
    x, y = int(random.integers(0, width)), int(random.integers(0, height))
    form = random.integers(0, 3)
    if form == 0:
        axes = (int(radius) + 1, int(radius * random.uniform(0.3, 1)) + 1)
        cv2.ellipse(mask, (x, y), axes, float(random.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
    elif form == 1:
        corners = np.array((x, y)) + random.normal(0, radius, (int(random.integers(3, 7)), 2))
        cv2.fillPoly(mask, [corners.astype(np.int32)], 255, cv2.LINE_AA)
    else:
        right, bottom = (int(radius * random.uniform(0.3, 2)) for _ in range(2))
        cv2.rectangle(mask, (x, y), (x + right, y + bottom), 255, -1)
    return mask


FORMS: tuple[Callable[[np.random.Generator], UInt8Array], ...] = (
    _noise,
    _flat,
    _gradient,
    _page,
    _screen,
    _plot,
    _scene,
)
"""The forms, in the order of their numbers."""
