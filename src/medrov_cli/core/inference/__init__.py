"""Detection: one procedure, one config."""

from medrov_cli.core.inference.config import DetectConfig, Shard
from medrov_cli.core.inference.perimage import Phi
from medrov_cli.core.inference.procedure import run_detection
from medrov_cli.core.inference.tally import DetectionSummary
from medrov_cli.core.runtime.interface import EngineName, Precision

__all__ = ["DetectConfig", "DetectionSummary", "EngineName", "Phi", "Precision", "Shard", "run_detection"]
