"""The open predictor of a run of ``detect``, and what its records and ``run.json`` need of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from medrov_cli.core.detection.volume_findings import class_rules
from medrov_cli.core.findings.find import ClassRule
from medrov_cli.core.prediction.learned_classes import LearnedClasses
from medrov_cli.core.prediction.like import LikeRules, learn_like
from medrov_cli.core.prediction.like_views import scales_of_run
from medrov_cli.core.prediction.model_file import read_model_file
from medrov_cli.core.prediction.open_predictor import choose_batch, open_parts
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.records.frame import ModelIdentity
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.settings.values import Prompt


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """Facts about an open predictor.

    Attributes
    ----------
    names, synonyms
        Classes of the run, in the order of their indices.
    rules
        Rule of each class for findings.
    batch
        Images per forward pass.
    identity
        Weights, vocabulary and engine.
    """

    names: tuple[str, ...]
    synonyms: tuple[tuple[str, ...], ...]
    rules: Mapping[str, ClassRule]
    batch: int
    identity: ModelIdentity

    @classmethod
    def from_predictor(cls, predictor: Predictor) -> OpenedModel:
        """Return the facts about a predictor.

        Raises
        ------
        ValueError
            The predictor has no model file.
        """
        if predictor.identity is None:
            raise ValueError("a run needs a model file")
        names = tuple(predictor.classes.names)
        synonyms = tuple(tuple(own) for own in predictor.classes.synonyms)
        rules = class_rules(names, predictor.scoring)
        return cls(names, synonyms, rules, predictor.batch, predictor.identity)

    @property
    def classes(self) -> list[dict[str, Any]]:
        """Return the classes for ``run.json``."""
        return [
            {"name": name, "synonyms": list(synonyms)}
            for name, synonyms in zip(self.names, self.synonyms, strict=True)
        ]

    @property
    def computes_images_alone(self) -> bool:
        """Return whether the result of an image does not depend on those of its batch."""
        return self.batch == 1 or self.identity.engine.startswith("openvino")

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as a dict, for a comparison."""
        return asdict(self)


def open_detector(config: DetectSettings, prompts: Sequence[Prompt], streams: int | None = None) -> Predictor:
    """Open the predictor of a run.

    Parameters
    ----------
    config
        All settings.
    prompts
        Classes.
    streams
        Images in parallel of the machine whose batches are repeated; null: of this process.

    Raises
    ------
    MedrovError
        ``USAGE``, or a code of weights, exported models, engines and text encoders.
    """
    file = read_model_file(config.weights)
    read = LearnedClasses.read(config.classes.learned, file)
    runtime = config.runtime
    if read is not None and not prompts and runtime.imgsz is None:
        runtime = replace(runtime, imgsz=read.own_imgsz)  # the size of the run
    names = [*(() if read is None else read.names), *(example.name for example in config.like)]
    scales = scales_of_run(prompts, names, file.metadata, literal=config.selection.literal)
    like = learn_like(file, config.like, runtime, LikeRules(config.read, config.tile_job, scales))
    parts = [part for part in (read, like) if part is not None]
    learned = LearnedClasses.join(parts) if parts else None
    opened = open_parts(
        file, prompts, config.runtime, config.selection, text_encoder=config.text_encoder, learned=learned
    )
    batch = choose_batch(opened.engine, len(opened.classes.names), config.runtime.batch, streams)
    return Predictor(replace(opened, batch=batch, tiles=config.tile_job))
