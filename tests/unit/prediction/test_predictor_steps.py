"""From the engine's output to a record, with numbers computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fake_engines import FakeEngine
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.open_predictor import PredictorParts
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.records.detect_json import item_to_record, record_to_detections
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import Frame, Identifiers, ModelIdentity, hash_uid
from medrov_cli.core.settings.choices import Modality, Phi
from medrov_cli.core.settings.groups import SelectionSettings

MODEL = ModelIdentity("m", "0", "0", "minilm", "torch-cpu", 64)
SCORING = Scoring(np.full(10, 0.25))
SELECTION = SelectionSettings(iou=0.5, max_det=10)
CT, ENDOSCOPY = Modality.CT, Modality.ENDOSCOPY


def class_list(*, asked: bool = False) -> ClassList:
    modalities = (frozenset({CT}), frozenset({ENDOSCOPY}), frozenset[Modality]())
    return ClassList(("nodule", "polyp", "thing"), ((), (), ()), modalities, np.eye(3, 512), asked, "minilm")


def frame(**fields: Any) -> Frame:
    # 128 x 64 source pixels: half their size in the model, with 16 rows of border above and below
    return Frame(np.zeros((64, 128, 3), np.uint8), "a.dcm", **fields)


def record_of(
    boxes: Any, scores: Any, classes: ClassList | None = None, phi: Phi = Phi.DROP, **fields: Any
) -> dict[str, Any]:
    parts = PredictorParts(FakeEngine(64), classes or class_list(), SCORING, SELECTION, identity=MODEL)
    predictor = Predictor(parts)
    if "identifiers" in fields:
        fields["identifiers"] = fields["identifiers"].limit_to(phi)
    prepared = predictor.prepare(frame(**fields))
    boxes, scores = np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32).reshape(-1, 3)
    return item_to_record(predictor.finish(prepared, Candidates(boxes, scores)))


def test_boxes_come_back_to_source_pixels_and_millimetres() -> None:
    record = record_of([[10, 26, 20, 36]], [[0.9, 0, 0]], pixel_spacing_mm=(0.5, 0.25))
    (found,) = record["detections"]
    assert (found["class"], found["score"]) == ("nodule", 0.9)
    assert found["box_xyxy"] == [20, 20, 40, 40]  # x: 10 * 2; y: (26 - 16) * 2
    assert found["size_mm"] == [5, 10]  # 20 columns of 0.25 mm, 20 rows of 0.5 mm


def test_without_spacing_there_are_no_millimetres() -> None:
    (found,) = record_of([[10, 26, 20, 36]], [[0.9, 0, 0]])["detections"]
    assert found["size_mm"] is None


def test_boxes_are_cut_to_the_image_and_dropped_in_its_border() -> None:
    boxes = [[-5, 20, 70, 60], [0, 0, 64, 15]]  # the second lies in the grey above the image
    (found,) = record_of(boxes, [[0.9, 0, 0], [0.8, 0, 0]])["detections"]
    assert found["box_xyxy"] == [0, 8, 128, 64]


def test_scores_and_boxes_are_rounded() -> None:
    (found,) = record_of([[10.00123, 26, 20, 36]], [[0.123456789 + 0.5, 0, 0]])["detections"]
    assert found["score"] == 0.62346
    assert found["box_xyxy"][0] == 20.0


def test_boxes_that_are_not_numbers_are_dropped() -> None:
    assert record_of([[np.nan, 26, 20, 36]], [[0.9, 0, 0]])["detections"] == []


def test_the_better_of_two_overlapping_boxes_stays() -> None:
    boxes = [[10, 26, 20, 36], [11, 26, 21, 36], [40, 26, 50, 36]]
    record = record_of(boxes, [[0.5, 0, 0], [0.9, 0, 0], [0.3, 0, 0]])
    assert [found["score"] for found in record["detections"]] == [pytest.approx(0.9), pytest.approx(0.3)]


@pytest.mark.parametrize(
    ("modality", "names"),
    [
        (None, ["nodule", "polyp", "thing"]),
        (CT, ["nodule", "thing"]),
        (ENDOSCOPY, ["polyp", "thing"]),
        (Modality.MRI, ["thing"]),
    ],
)
def test_a_vocabulary_is_limited_to_what_the_modality_can_show(
    modality: Modality | None, names: list[str]
) -> None:
    record = record_of([[10, 26, 20, 36]], [[0.9, 0.8, 0.7]], modality=modality)
    assert [found["class"] for found in record["detections"]] == names
    assert record["warnings"] == []


def test_what_the_user_names_is_always_searched_and_warned_about() -> None:
    record = record_of(
        [[10, 26, 20, 36]], [[0.9, 0.8, 0.7]], class_list(asked=True), modality=CT, warnings=("No header.",)
    )
    assert [found["class"] for found in record["detections"]] == ["nodule", "polyp", "thing"]
    assert record["warnings"][0] == "No header."
    (warning,) = record["warnings"][1:]
    assert "'polyp'" in warning
    assert "CT" in warning
    assert "'nodule'" not in warning
    assert "'thing'" not in warning


UIDS = Identifiers("1.2.3", "1.2.4", "1.2.5", "ID-4711", "SECRET^NAME")


def test_by_default_the_patient_is_dropped_and_uids_stay() -> None:
    record = record_of([], [], identifiers=UIDS)
    assert record["study_uid"] == "1.2.3"
    assert "4711" not in str(record)
    assert "SECRET" not in str(record)


def test_keep_keeps_the_patient() -> None:
    record = record_of([], [], phi=Phi.KEEP, identifiers=UIDS)
    assert (record["patient_id"], record["patient_name"]) == ("ID-4711", "SECRET^NAME")


def test_hash_replaces_uids_by_others_that_are_always_the_same() -> None:
    record = record_of([], [], phi=Phi.HASH, identifiers=UIDS)
    found = [record[key] for key in ("study_uid", "series_uid", "instance_uid")]
    assert len(set(found)) == 3
    assert not {"1.2.3", "1.2.4", "1.2.5"} & set(found)
    assert "patient_id" not in record
    # printf 1.2.3 | sha256sum | head -c 32, as a decimal number
    assert found[0] == "2.25.261189956532771003411213951354307305753"
    assert hash_uid(None) is None


def test_equal_classes_have_equal_identities() -> None:
    assert class_list().sha256 == class_list().sha256
    other = ClassList(("a",), ((),), (frozenset(),), np.eye(1, 512), True, "minilm")
    assert other.sha256 != class_list().sha256


def test_a_record_gives_its_detections_again() -> None:
    boxes = [[10, 26, 20, 36], [30, 26, 40, 36], [0, 0, 64, 15]]  # the last lies in the border
    record = record_of(boxes, [[0.9, 0, 0], [0, 0.8123456, 0], [0, 0, 0.7]])
    found = record_to_detections(record, class_list().names)
    assert found.class_names == ("nodule", "polyp")
    assert found.boxes_xyxy.tolist() == [[20, 20, 40, 40], [60, 20, 80, 40]]
    assert found.scores.tolist() == [0.9, 0.81235]
    assert found.model == MODEL
    assert (found.frame.path, found.frame.height, found.frame.width) == ("a.dcm", 64, 128)
    assert item_to_record(found)["detections"] == record["detections"]
