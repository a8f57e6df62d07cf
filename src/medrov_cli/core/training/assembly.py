"""Construction of a trainer from settings: device, precision, network, moving average, optimizer."""

from __future__ import annotations

import os
from functools import partial

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import TorchDynamoPlugin
from torch import Tensor

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.datasets.presence import PresenceTable
from medrov_cli.core.model.checkpoint import load_detector
from medrov_cli.core.model.learning.criterion import DetectionCriterion
from medrov_cli.core.model.learning.distillation import Distillation
from medrov_cli.core.model.learning.distributed import synchronize_batch_norms
from medrov_cli.core.model.learning.freezing import freeze
from medrov_cli.core.model.learning.growing import can_grow, grow
from medrov_cli.core.model.learning.moving_average import MovingAverage
from medrov_cli.core.model.learning.schedule import make_optimizer
from medrov_cli.core.model.network import Architecture, Detector
from medrov_cli.core.model.scales import SCALES
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.settings.choices import Part, TextStart
from medrov_cli.core.settings.train import TrainSettings
from medrov_cli.core.text.encoders import encoder_identity
from medrov_cli.core.text.image_encoders import open_image_encoder
from medrov_cli.core.training.pseudolabels.proposals import PseudoLabeller
from medrov_cli.core.training.tracking import accelerator_options, check_trackers
from medrov_cli.core.training.trainer import Trainer
from medrov_cli.core.weights.container import read_metadata
from medrov_cli.core.weights.resolution import resolve


def open_accelerator(config: TrainSettings) -> Accelerator:
    """Return an accelerator with the device, precision and processes of the settings or the launcher.

    Raises
    ------
    MedrovError
        ``USAGE`` if the device is absent or does not support the precision, or the batch cannot be divided
        over the processes; the codes of :func:`~medrov_cli.core.training.tracking.check_trackers`.
    """
    check_trackers(config)
    on_cpu = config.device == "cpu" or (config.device == "auto" and not _has_accelerator())
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required by cuBLAS
    torch.use_deterministic_algorithms(config.deterministic)
    torch.backends.cudnn.benchmark = not config.deterministic
    AcceleratorState._reset_state()  # noqa: SLF001 - an earlier run in this process may have had other settings
    compiler = {"dynamo_plugin": TorchDynamoPlugin(backend="inductor", dynamic=True)}
    try:
        accelerator = Accelerator(
            mixed_precision="no" if config.precision == "fp32" else config.precision,
            cpu=on_cpu,
            **accelerator_options(config),
            **(compiler if config.compiled else {}),
        )
    except ValueError as error:  # accelerate's error for an unsupported format
        raise usage_error(
            f"--precision {config.precision}: {error}", "Use --precision bf16 or fp32."
        ) from error
    if config.precision == "fp16" and accelerator.device.type == "cpu":
        raise usage_error(
            "--precision fp16 needs a GPU: on the CPU gradients are not scaled, and underflow",
            "Use --precision bf16.",
        )
    if config.device not in ("auto", accelerator.device.type):
        raise usage_error(
            f"--device {config.device} is not available on this machine",
            "Use --device auto, or see 'medrov doctor'.",
        )
    shares = accelerator.num_processes * config.accumulate
    if config.batch % shares:
        raise usage_error(
            f"--batch {config.batch} cannot be divided over {accelerator.num_processes} processes "
            f"x --accumulate {config.accumulate}",
            f"Use a multiple of {shares}.",
        )
    return accelerator


def _has_accelerator() -> bool:
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def build_trainer(
    config: TrainSettings,
    accelerator: Accelerator,
    table: FloatArray,
    field: Tensor,
    background: Tensor | None,
    steps: int,
    presence: PresenceTable,
) -> Trainer:
    """Return a trainer with the model, its moving average and its optimizer, on the device.

    Parameters
    ----------
    config, accelerator
        Settings.
    table
        float32, (texts, 512): the embeddings of all texts.
    field
        float32, (n, 512): embeddings that initialise the text adapter, see ``text_start``.
    background
        float32, (512,): class embedding of the background; null for a network without background.
    steps
        Number of optimizer steps of the run.
    presence
        int8, (sources, classes).
    """
    torch.manual_seed(config.seed)
    device = accelerator.device
    detector = Detector(Architecture(config.model, config.text_adapter, background is not None))
    start = detector.center_text if config.text_start is TextStart.CENTRED else detector.whiten_text
    start(field)
    if config.weights is not None:
        _start_from(detector, config.weights, config.seed)
    if background is not None:
        detector.keep_background(background)
    freeze(detector, config.freeze)
    detector = detector.to(device).to(memory_format=torch.channels_last)
    average = MovingAverage(detector, config.schedule.average_decay)
    if not any(own.requires_grad for own in detector.parameters()):
        raise usage_error("--freeze leaves no trainable parameters", f"Leave out one of {', '.join(Part)}.")
    optimizer = make_optimizer(detector, config.schedule)
    criterion = DetectionCriterion(detector.head, config.gains)
    synchronize_batch_norms(detector)
    model, optimizer = accelerator.prepare(detector, optimizer)
    return Trainer(
        accelerator=accelerator,
        detector=detector,
        model=model,
        average=average,
        optimizer=optimizer,
        criterion=criterion,
        text_table=torch.from_numpy(table).float().to(device),
        schedule=config.schedule,
        steps=steps,
        max_gradient_norm=config.max_gradient_norm,
        frozen=config.freeze,
        labeller=_open_labeller(config, presence, device),
        distillation=_open_teacher(config, device),
    )


def _open_labeller(
    config: TrainSettings, presence: PresenceTable, device: torch.device
) -> PseudoLabeller | None:
    rules = config.pseudo_labels
    if rules is None:
        return None
    if not rules.unknown_objects:
        return PseudoLabeller(rules, presence)
    open_tower = partial(open_image_encoder, config.text_encoder, offline=config.offline)
    return PseudoLabeller(rules, presence, open_tower(device=str(device)).encode_images)


def _open_teacher(config: TrainSettings, device: torch.device) -> Distillation | None:
    """Return the teacher of the distillation, or null.

    Raises
    ------
    MedrovError
        ``USAGE`` if it was trained with another text encoder than this run uses.
    """
    weights = config.distiller.weights
    if weights is None:
        return None
    path = resolve(weights)
    theirs = read_metadata(path).text_encoder
    ours = encoder_identity(config.text_encoder, offline=config.offline)
    pairs = ((theirs.identity, ours.name), (theirs.revision, ours.revision))
    if theirs.width != ours.width or any(own and other and own != other for own, other in pairs):
        raise usage_error(
            f"--distill {path} was trained with the text encoder {theirs.identity or theirs.spec}, "
            f"this run uses {ours.name}",
            f"Use --text-encoder {theirs.spec}, or another teacher.",
        )
    teacher = load_detector(path).requires_grad_(False)
    teacher = teacher.to(device).to(memory_format=torch.channels_last)
    return Distillation(teacher, config.distiller.gain, config.gains)


def _start_from(detector: Detector, weights: str, seed: int) -> None:
    """Initialise the network from weights of its scale or a smaller one, as far as they have tensors."""
    path = resolve(weights)
    other = load_detector(path)
    scale, wanted = other.architecture.scale, detector.architecture.scale
    if scale == wanted:
        own = detector.state_dict()
        detector.load_state_dict({**own, **{k: v for k, v in other.state_dict().items() if k in own}})
    elif can_grow(scale, wanted):
        grow(other, detector, torch.Generator().manual_seed(seed))
    else:
        targets = [scale, *(name for name in SCALES if can_grow(scale, name))]
        raise usage_error(
            f"--weights {path} is a model of scale {scale}, --model is {wanted}",
            f"Use --model {' or '.join(targets)}.",
        )
