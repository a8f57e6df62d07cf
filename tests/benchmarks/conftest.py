"""Weights and images of the scripts that time detection."""

from __future__ import annotations

from pathlib import Path

import pytest

from detect_fixtures import write_eager_detector, write_images


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the weights of a tiny detector."""
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two PNGs."""
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, 2)
    return folder
