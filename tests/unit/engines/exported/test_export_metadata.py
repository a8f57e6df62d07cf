"""What an exported model says about itself comes back as it was, or is refused."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.engines.exported.export_metadata import ExportMetadata, Suppression
from medrov_cli.core.settings.choices import ExportFormat, ExportPrecision, Modality
from medrov_cli.core.weights.metadata import ClassEntry
from weights_fixtures import made_up_calibration, metadata

CLASSES = (ClassEntry("polyp", ("polyp", "colon polyp"), (Modality.ENDOSCOPY,)), ClassEntry("liver"))


def made(**changes: Any) -> ExportMetadata:
    values: dict[str, Any] = {
        "format": ExportFormat.ONNX,
        "precision": ExportPrecision.INT8,
        "weights_sha256": "0" * 64,
        "weights": metadata(calibration=made_up_calibration()),
        "classes": CLASSES,
        "asked": True,
        "text_encoder": "minilm",
        "vocabulary_sha256": "1" * 64,
        "imgsz": 320,
        "created_by": "medrov test",
        "suppression": Suppression((0.1, 0.25), 0.7, 300),
        "content_sha256": "2" * 64,
        "quantisation": {"tool": "nncf"},
        "parity": {"score_max": 0.1},
    }
    return ExportMetadata(**(values | changes))


@given(
    form=st.sampled_from(ExportFormat),
    precision=st.sampled_from(ExportPrecision),
    imgsz=st.sampled_from([None, 32, 640]),
    is_open=st.booleans(),
    asked=st.booleans(),
)
def test_it_comes_back_as_it_was(
    form: ExportFormat, precision: ExportPrecision, imgsz: int | None, is_open: bool, asked: bool
) -> None:
    changes: dict[str, Any] = {"format": form, "precision": precision, "imgsz": imgsz, "asked": asked}
    if is_open:
        changes |= {"classes": None, "vocabulary_sha256": None, "suppression": None}
    before = made(**changes)
    after = ExportMetadata.from_json(before.to_json(), where="x")
    assert after.to_json() == before.to_json()
    assert after.classes == before.classes
    assert after.suppression == before.suppression
    assert dataclasses.replace(after, weights=before.weights) == before


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("schema",), "medrov.export/9"),
        (("format",), "tflite"),
        (("precision",), None),
        (("classes",), []),
        (("classes", 0, "modalities"), ["smell"]),
        (("input", "imgsz"), "big"),
        (("text", "form"), "half open"),
        (("nms", "thresholds"), [0.1]),
        (("weights", "metadata", "schema"), "other"),
    ],
)
def test_what_is_wrong_is_refused(keys: tuple[Any, ...], value: object) -> None:
    document = json.loads(made().to_json())
    target = document
    for key in keys[:-1]:
        target = target[key]
    target[keys[-1]] = value
    with pytest.raises(MedrovError) as caught:
        ExportMetadata.from_json(json.dumps(document), where="model.onnx")
    assert caught.value.code is ErrorCode.WEIGHTS_CORRUPT
    assert "model.onnx" in caught.value.message
