"""Settings of ``medrov benchmark``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import excludes, usage_error
from medrov_cli.core.settings.class_groups import ClassSettings
from medrov_cli.core.settings.field import argument, check_ranges, group, option, option_of
from medrov_cli.core.settings.groups import MODEL_PANEL, ModelSettings, RuntimeSettings
from medrov_cli.core.settings.io_groups import OutputSettings
from medrov_cli.core.settings.values import Variant, parse_variants

FIGURES_PANEL = "What to measure"
LENGTH_PANEL = "How long"

ROUNDS = 5
"""Default number of rounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSettings:
    """Settings of ``benchmark``.

    Attributes
    ----------
    inputs
        Files, folders, patterns; empty: synthetic phantoms of nine modalities.
    fps
        Whether one engine is timed.
    compare
        Engines that are timed in turn; the first is the reference of the ratios.
    memory
        Number of images of the memory measurement; null: none.
    images
        Images per round; files are repeated if there are fewer.
    rounds, seconds
        Number of rounds, or time in seconds after which no further round starts; null: the default number.
    weights
        Name in the manifest, or a ``.safetensors`` file.
    classes
        Number of synthetic classes; null: the vocabulary of the weights.
    learned
        Files of learned classes, in addition to the other classes.
    runtime
        Settings of the network; ``batch`` null: as in ``detect``.
    """

    inputs: tuple[str, ...] = argument(
        default=(),
        metavar="INPUT",
        help="Images, folders or patterns; - reads paths from stdin. Default: synthetic phantoms.",
    )
    fps: bool = option(
        "--fps",
        default=False,
        help="Measure images/s (forward, end to end), latency and stages. Default without others.",
        panel=FIGURES_PANEL,
    )
    compare: tuple[Variant, ...] = option(
        "--compare",
        default=(),
        parse=parse_variants,
        metavar="LIST",
        help="Measure --fps of several engines or models in turn: openvino,openvino-bf16,m.onnx.",
        panel=FIGURES_PANEL,
    )
    memory: int | None = option(
        "--memory",
        default=None,
        metavar="N",
        help="Measure the growth of memory over N images, after the first 500.",
        panel=FIGURES_PANEL,
    )
    images: int = option(
        "--images",
        default=90,
        low=1,
        metavar="N",
        help="Images per round; files are repeated if there are fewer.",
        panel=LENGTH_PANEL,
        source="ten of each modality",
    )
    rounds: int | None = option(
        "--rounds",
        default=None,
        low=1,
        metavar="N",
        help=f"Number of rounds; figures are medians over the rounds. Default: {ROUNDS}.",
        panel=LENGTH_PANEL,
    )
    seconds: float | None = option(
        "--seconds",
        default=None,
        metavar="S",
        help="Minimum time in seconds of complete rounds, instead of --rounds.",
        panel=LENGTH_PANEL,
    )
    weights: str = option_of(ModelSettings, "weights")
    runtime: RuntimeSettings = group(RuntimeSettings(), omit=("offline",))
    classes: int | None = option(
        "--classes",
        default=None,
        low=1,
        before="--device",
        metavar="N",
        help="Number of synthetic classes (fixed seed). Default: the vocabulary of the weights.",
        panel=MODEL_PANEL,
    )
    learned: tuple[Path, ...] = option_of(
        ClassSettings,
        "learned",
        before="--device",
        help="File of 'medrov learn' in addition to the other classes; may be repeated.",
        panel=MODEL_PANEL,
    )
    as_json: bool = option_of(OutputSettings, "as_json")

    @property
    def variant(self) -> Variant:
        """Return the engine and number format that are timed without ``--compare``."""
        return Variant(self.runtime.engine, self.runtime.precision)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Return the engines that are timed in turn."""
        return self.compare or (self.variant,)

    @property
    def times_engines(self) -> bool:
        """Return whether engines are timed: requested, or nothing else is requested."""
        return self.fps or bool(self.compare) or self.memory is None

    @property
    def rounds_or_default(self) -> int | None:
        """Return the number of rounds; null if a time is given instead."""
        return None if self.seconds is not None else self.rounds or ROUNDS

    def check(self) -> None:
        """Refuse invalid values and contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        if self.rounds is not None and self.seconds is not None:
            raise excludes("--rounds", "--seconds")
        check_ranges(self)
        if self.seconds is not None and not self.seconds > 0:
            raise usage_error(f"--seconds {self.seconds:g} is not above 0", "Give a time in seconds.")
        if self.memory is not None and self.memory < 2:
            raise usage_error(
                f"--memory {self.memory} is below 2", "Give the number of images, 5000 for example."
            )
        self.runtime.check()
        self._check_comparison()

    def settings(self, imgsz: int, classes: int, files: int) -> dict[str, Any]:
        """Return the ``settings`` object of the document."""
        return {
            "device": self.runtime.device,
            "imgsz": imgsz,
            "batch": self.runtime.batch,
            "classes": classes,
            "classes_from": "weights" if self.classes is None else "made_up",
            "images_from": "files" if self.inputs else "phantoms",
            "files": files,
            "images": self.images,
            "rounds": self.rounds_or_default,
            "seconds": self.seconds,
        }

    def _check_comparison(self) -> None:
        if not self.compare:
            return
        if self.variant != Variant():
            raise usage_error(
                "--compare names the engines: --engine and --precision contradict it", "Leave them."
            )
        if len(set(self.compare)) < max(2, len(self.compare)):
            raise usage_error(
                "--compare needs at least two engines, each once", "Example: --compare openvino,torch"
            )
