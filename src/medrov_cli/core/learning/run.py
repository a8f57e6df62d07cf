"""Procedure of ``medrov learn``: classes from examples, with the network as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError, usage_error
from medrov_cli.core.base.files import require_absent
from medrov_cli.core.base.optional import TORCH_NETWORK, require_packages
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.learning.class_fits import ClassFits, FitTask
from medrov_cli.core.learning.examples import ExampleSet, read_examples
from medrov_cli.core.learning.starts import as_arrays
from medrov_cli.core.learning.views import ViewSet, compute_views
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.prediction.open_predictor import count_streams, guiding_classes
from medrov_cli.core.settings.learn import LearnSettings
from medrov_cli.core.weights import resolution
from medrov_cli.core.weights.learned_file import (
    LearnedFile,
    LearnedInfo,
    NetworkIdentity,
    read_learned,
    write_learned,
)

if TYPE_CHECKING:
    from medrov_cli.core.learning.adapted_fits import AdaptedFits

SCHEMA = "medrov.learn/1"


@dataclass(frozen=True, slots=True)
class LearnResult:
    """Result of a run, or a file that is shown.

    Attributes
    ----------
    file
        The file of learned classes.
    size_bytes
        Size of the file.
    failures
        Images that could not be read.
    warnings
        Sentences about the examples.
    """

    file: LearnedFile
    size_bytes: int
    failures: tuple[tuple[str, MedrovError], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit code of the command."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    def as_dict(self) -> dict[str, Any]:
        """Return the document of schema ``medrov.learn/1``."""
        return {
            "schema": SCHEMA,
            "path": str(self.file.path),
            "bytes": self.size_bytes,
            "learned": self.file.info.as_dict(),
            "failures": [{"path": path, "error": error.as_dict()} for path, error in self.failures],
            "warnings": list(self.warnings),
        }


def run_learning(config: LearnSettings, progress: Progress = no_progress) -> LearnResult:
    """Learn classes from examples, or show a file of learned classes.

    Raises
    ------
    MedrovError
        ``USAGE``; ``NO_INPUT`` without a usable example; ``DATASET_INVALID``; ``OUTPUT_FAILED``; the codes of
        weights, engines and text encoders. An image that fails is a record of the result.
    """
    config.check()
    if config.show:
        return LearnResult(read_learned(config.examples), config.examples.stat().st_size)
    if config.output is None:
        raise ValueError("the settings are not checked")
    require_absent(config.output, overwrite=config.overwrite)
    network = _network(config)
    if config.adapt:
        require_packages("--adapt", TORCH_NETWORK)
    examples = read_examples(config)
    views = _views(config, network, examples, progress)
    examples = _readable(examples, views)
    task = FitTask.prepare(config, network, examples)
    fits, adapted, warnings = task.fit(views, progress), None, examples.warnings
    if config.adapt:
        adapted, more = _adapt(config, network, task, fits, views, progress)
        warnings = (*warnings, *more)
    file = _learned_file(config, network, task, fits, adapted, images=len(views.plain))
    write_learned(file)
    failures = (*examples.failures, *views.failures)
    return LearnResult(file, config.output.stat().st_size, failures, warnings)


def _adapt(
    config: LearnSettings,
    network: WeightsFile,
    task: FitTask,
    plain: ClassFits,
    views: ViewSet,
    progress: Progress,
) -> tuple[AdaptedFits | None, tuple[str, ...]]:
    """Return the fits with an adapter, null if they find less on held-out examples, and warnings."""
    from medrov_cli.core.learning.adapted_fits import fit_adapted

    readable = [view.image for view in views.plain]

    def make_views(own: WeightsFile) -> ViewSet:
        return _views(config, own, task.examples, progress)

    found = fit_adapted(task, network, plain, readable, make_views, progress)
    own, other = found.fits.mean_ap50, plain.mean_ap50
    if not found.is_finite:
        return None, ("the fit of the adapter diverged: the file has none",)
    if own is None or other is None:
        return found, ("the adapter is not validated: no class has examples in two folds",)
    if own <= other:
        sentence = f"the adapter finds less on held-out examples (AP50 {own:.2f}, without it {other:.2f})"
        return None, (f"{sentence}: the file has none",)
    return found, ()


def _network(config: LearnSettings) -> WeightsFile:
    path = resolution.resolve(config.weights, exported=True)
    if path.suffix.lower() != ".safetensors":
        raise usage_error(
            f"--weights {path.name} is an exported model, without region vectors",
            "Give the .safetensors weights.",
        )
    return WeightsFile.read(path)


def _views(config: LearnSettings, network: WeightsFile, examples: ExampleSet, progress: Progress) -> ViewSet:
    runtime = config.runtime
    guides = guiding_classes(network).embeddings
    engine = network.open(
        guides, runtime, imgsz=runtime.imgsz or network.imgsz, streams=count_streams(many=True)
    )
    views = compute_views(engine, examples.images, examples.classes, progress)
    if not views.plain:
        raise MedrovError(
            ErrorCode.NO_INPUT, f"no image of {examples.name} can be read", "Check the images: medrov detect."
        )
    return views


def _readable(examples: ExampleSet, views: ViewSet) -> ExampleSet:
    """Return the set after a check that every class has an example in an image that was read."""
    shown = np.concatenate([view.labels for view in views.plain])
    lost = [name for label, name in enumerate(examples.classes) if label not in shown]
    if lost:
        raise MedrovError(
            ErrorCode.NO_INPUT,
            f"all images with examples of {', '.join(map(repr, lost[:5]))} cannot be read",
            "Repair the images, or name other --classes.",
        )
    return examples


def _learned_file(
    config: LearnSettings,
    network: WeightsFile,
    task: FitTask,
    plain: ClassFits,
    adapted: AdaptedFits | None,
    *,
    images: int,
) -> LearnedFile:
    """Return the file of the classes, with their adapter if there is one."""
    if config.output is None:
        raise ValueError("the settings are not checked")
    examples = task.examples
    fits = plain if adapted is None else adapted.fits
    info = LearnedInfo(
        NetworkIdentity(network.metadata.name, network.content_sha256, task.imgsz),
        fits.records,
        config.licence,
        f"medrov {__version__}",
        {
            "examples": examples.name,
            "classes": {name: list(own) for name, own in zip(examples.classes, examples.texts, strict=True)},
            "images": images,
            "folds": config.folds,
            "text_encoder": task.encoder,
        },
        None if adapted is None else adapted.info,
    )
    kernels, constants = as_arrays([vector for own in fits.vectors for vector in own])
    classes = np.repeat(np.arange(len(fits.vectors)), [len(own) for own in fits.vectors])
    adapter = None if adapted is None else adapted.adapter
    return LearnedFile(config.output, info, kernels, constants, classes, adapter)
