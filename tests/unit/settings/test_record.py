"""Settings as JSON: keys, order, groups and values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.settings.choices import Phi
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.settings.evaluate import EvaluateSettings
from medrov_cli.core.settings.field import group, option
from medrov_cli.core.settings.groups import SelectionSettings
from medrov_cli.core.settings.io_groups import DatasetSettings
from medrov_cli.core.settings.record import as_json_value, results_record, whole_record
from medrov_cli.core.settings.teacher_groups import DistillationSettings, ProposalSettings
from medrov_cli.core.settings.train import TrainSettings, config_record
from medrov_cli.core.settings.values import HitRule, Shard


@dataclass(frozen=True)
class Inner:
    factor: float = option("--factor", default=2.0, affects_result=True)
    speed: int = option("--speed", default=1)


@dataclass(frozen=True)
class Outer:
    loud: bool = option("--loud", default=False, affects_result=True, key="voice", recorded="voice")
    inner: Inner = group(Inner(factor=3.0))
    plain: int = 4

    @property
    def voice(self) -> str:
        return "loud" if self.loud else "soft"


def test_a_results_record_is_flat_and_holds_what_affects_a_result() -> None:
    assert results_record(Outer()) == {"voice": "soft", "factor": 3.0}
    assert list(results_record(Outer(loud=True)).values()) == ["loud", 3.0]


def test_a_whole_record_holds_every_field_and_objects_for_groups() -> None:
    expected = {"voice": "soft", "inner": {"factor": 3.0, "speed": 1}, "plain": 4}
    assert whole_record(Outer()) == expected
    assert whole_record(Outer(), leave_out=("plain", "loud")) == {"inner": expected["inner"]}


def test_values_are_recorded_as_options_take_them() -> None:
    values = (Path("a/b"), Shard(2, 4), HitRule(0.5), Phi.HASH, (1, "x"), None, True)
    assert as_json_value(values) == ["a/b", "2/4", "iou:0.5", "hash", [1, "x"], None, True]


def test_the_settings_of_a_detection_run_have_their_keys_in_order() -> None:
    settings = DetectSettings(
        inputs=("scan.dcm",),
        selection=SelectionSettings(conf=0.5),
        formats=("png", "csv"),
        shard=Shard(1, 3),
    )
    assert json.dumps(results_record(settings)) == (
        '{"weights": "medrov-n", "conf": 0.5, "raw_scores": false, "iou": 0.7, "max_det": 300, '
        '"literal": false, "window": "auto", "axis": "axial", "precision": "fp32", '
        '"formats": ["csv", "jsonl", "png"], '
        '"shard": "1/3", "tile": "auto", "overlap": 0.2, "mpp": null, "region": null, "search_glass": false, '
        '"shard_by": "inputs", "phi": "drop", "timings": false}'
    )


def test_the_settings_of_an_evaluation_have_their_keys_in_order() -> None:
    settings = EvaluateSettings(data=DatasetSettings(dataset=Path("d.yaml")), plain=True)
    assert json.dumps(results_record(settings)) == (
        '{"conf": 0.001, "iou": 0.6, "max_det": 300, "literal": false, "protocol": "plain", '
        '"hit": "iou:0.5", "bootstrap": 1000, "seed": 0, "synonyms": false, "precision": "fp32"}'
    )


def test_the_config_of_a_training_run_says_which_losses_it_uses() -> None:
    record = config_record(TrainSettings(Path("d.yaml"), Path("out")))
    assert record["pseudo_labels"] is None
    assert record["distillation"] is None
    assert record["negatives"] == {"random": True, "federated": True, "background": False, "hard": False}
    assert record["schedule"]["optimizer"] == "muon"
    assert not record.keys() & {"preset", "as_json", "uses_pseudo_labels"}
    rules = ProposalSettings(min_score=0.8)
    teacher = DistillationSettings("medrov-n", 2.0)
    settings = TrainSettings(
        Path("d.yaml"), Path("out"), uses_pseudo_labels=True, pseudo_rules=rules, distiller=teacher
    )
    record = config_record(settings)
    assert record["pseudo_labels"]["min_score"] == 0.8
    assert record["distillation"] == {"weights": "medrov-n", "gain": 2.0}
