"""Detection: one procedure, one config."""

from medrov_cli.core.inference.config import DetectConfig, Shard
from medrov_cli.core.inference.perimage import Phi
from medrov_cli.core.inference.procedure import run_detection
from medrov_cli.core.inference.tally import DetectionSummary

__all__ = ["DetectConfig", "DetectionSummary", "Phi", "Shard", "run_detection"]
