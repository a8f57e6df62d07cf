"""Training: one procedure, one config."""

from medrov_cli.core.training.config import DistillationConfig, Progress, TrainConfig, TrainProgress
from medrov_cli.core.training.procedure import TrainResult, run_training

__all__ = ["DistillationConfig", "Progress", "TrainConfig", "TrainProgress", "TrainResult", "run_training"]
