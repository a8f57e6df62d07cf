"""Phantoms as sources: the boxes of the files are those of the drawings, in every form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.curation.phantom_folders import PhantomSource
from medrov_cli.core.curation.phantoms import run_phantoms
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.datasets.readers.dicom_csv import read as read_table
from medrov_cli.core.datasets.readers.masks import read as read_masks
from medrov_cli.core.datasets.readers.nifti import read as read_volumes
from medrov_cli.core.datasets.readers.protocol import Reader
from medrov_cli.core.datasets.sample_images import load_image
from medrov_cli.core.phantoms.abdomen import abdomen_volume
from medrov_cli.core.phantoms.kinds import KINDS, ct_slice, phantom_seed
from medrov_cli.core.records.annotations import AnnotatedImage
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.settings.data import PhantomSettings
from medrov_cli.core.settings.data_convert import ReaderSettings

Rows = list[tuple[Any, ...]]


def written(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def images_of(read: Reader, path: Path, **options: Any) -> list[AnnotatedImage]:
    return [image for unit in read(ReaderSettings(path, **options)).units for image in unit.read()]


def rows(image: AnnotatedImage) -> Rows:
    return sorted((a.class_name, *a.box_xywh) for a in image.annotations)


def drawn_rows(objects: Any) -> Rows:
    boxes = [(drawn.class_name, *drawn.box_xyxy) for drawn in objects]
    return sorted((name, x1, y1, x2 - x1, y2 - y1) for name, x1, y1, x2, y2 in boxes)


@pytest.mark.slow
def test_source_folders_of_all_nine_modalities_are_a_dataset(tmp_path: Path) -> None:
    sources = run_phantoms(PhantomSettings(tmp_path, count=2, seed=4))
    assert [source.modality for source in sources] == list(Modality)
    names = [source.name for source in sources]
    (tmp_path / "data.yaml").write_text(f"sources: [{', '.join(names)}]\n")
    dataset = load_dataset(tmp_path / "data.yaml")
    assert [source.modality for source in dataset.sources] == list(Modality)
    samples = dataset.samples["train"]
    assert len(samples) == 18
    assert len({sample.case for sample in samples}) == 18
    for sample in samples:
        kind = KINDS[sample.source_id]
        phantom = kind.draw(phantom_seed(4, sample.image_id - 1))
        assert np.array_equal(load_image(sample), phantom.pixels)
        found = [
            (dataset.classes[label], *box)
            for label, box in zip(sample.labels, sample.boxes_xyxy.tolist(), strict=True)
        ]
        assert found == [(drawn.class_name, *drawn.box_xyxy) for drawn in phantom.objects]
    boxes = {source.name: source.boxes for source in sources}
    assert sum(boxes.values()) == sum(len(sample.labels) for sample in samples)


def test_the_same_seed_gives_the_same_bytes_and_a_longer_run_begins_with_them(tmp_path: Path) -> None:
    config = PhantomSettings(tmp_path / "a", count=2, modalities=(Modality.MRI,))
    for name, changes in {"a": {}, "b": {}, "long": {"count": 3}, "other": {"seed": 1}}.items():
        run_phantoms(replace(config, output=tmp_path / name, **changes))  # type: ignore[arg-type]
    first, again, longer, other = (written(tmp_path / name) for name in ("a", "b", "long", "other"))
    assert first == again
    pictures = {name: data for name, data in first.items() if name.endswith(".png")}
    assert len(pictures) == 2
    assert pictures.items() <= longer.items()
    assert not set(pictures.values()) & set(other.values())


def test_a_run_goes_on_with_its_own_folder_alone(tmp_path: Path) -> None:
    config = PhantomSettings(tmp_path, count=2, modalities=(Modality.MRI,))
    run_phantoms(config)
    whole = written(tmp_path)
    (tmp_path / "phantom_mri" / "annotations.json").unlink()
    (tmp_path / "phantom_mri" / "images" / "phantom_mri_1000001.png").unlink()
    for other in (config, replace(config, resume=True, count=1)):
        with pytest.raises(MedrovError) as caught:
            run_phantoms(other)
        assert caught.value.code is ErrorCode.USAGE
    run_phantoms(replace(config, resume=True))
    assert written(tmp_path) == whole
    run_phantoms(replace(config, modalities=(Modality.XRAY,)))  # another folder


@pytest.mark.slow
def test_masks_have_the_boxes_of_the_drawings(tmp_path: Path) -> None:
    modalities = (Modality.XRAY, Modality.FUNDOSCOPY)
    sources = run_phantoms(PhantomSettings(tmp_path, count=2, modalities=modalities, format="masks"))
    for source in sources:
        (kind,) = (kind for kind in KINDS if kind.name == source.name)
        found = images_of(read_masks, tmp_path / source.name, components=False)
        assert len(found) == 2
        for index, image in enumerate(found):
            phantom = kind.draw(phantom_seed(0, index))
            assert np.array_equal(image.read(), phantom.pixels)
            assert rows(image) == drawn_rows(phantom.objects)


def test_slices_and_their_table_have_the_boxes_of_the_drawings(tmp_path: Path) -> None:
    (source,) = run_phantoms(PhantomSettings(tmp_path, count=2, format="dicom"))
    folder = tmp_path / source.name
    found = images_of(read_table, folder / "boxes.csv", images=folder / "images")
    drawn = [ct_slice(phantom_seed(0, index)) for index in range(2)]
    assert [rows(image) for image in found] == [drawn_rows(phantom.objects) for phantom in drawn]
    assert source.boxes == sum(len(phantom.objects) for phantom in drawn)
    assert len({image.case for image in found}) == 2
    files = sorted((folder / "images").iterdir())
    dataset = pydicom.dcmread(files[0])
    assert dataset.PatientName == "SYNTHETIC^PHANTOM"
    assert dataset.BurnedInAnnotation == "YES"
    assert len({pydicom.dcmread(file).SOPInstanceUID for file in files}) == 2


def test_volumes_have_the_boxes_of_the_drawings(tmp_path: Path) -> None:
    (source,) = run_phantoms(PhantomSettings(tmp_path, count=1, format="nifti"))
    found = images_of(read_volumes, tmp_path / source.name, components=False)
    drawn = abdomen_volume(phantom_seed(0, 0), slices=24, size=160).slices
    assert len(found) == len(drawn) == 24
    assert [rows(image) for image in found] == [drawn_rows(objects) for objects in drawn]
    classes = ("liver", "left kidney", "right kidney", "aorta", "vertebra")
    assert source == PhantomSource("phantom_ct", Modality.CT, 1, sum(map(len, drawn)), classes)


@pytest.mark.parametrize("form", ["dicom", "nifti"])
def test_forms_of_ct_refuse_other_modalities(tmp_path: Path, form: Any) -> None:
    with pytest.raises(MedrovError, match="for CT, not for MRI") as caught:
        run_phantoms(PhantomSettings(tmp_path / "out", format=form, modalities=(Modality.CT, Modality.MRI)))
    assert caught.value.code is ErrorCode.USAGE
    assert not (tmp_path / "out").exists()


def test_the_document_says_that_it_is_synthetic(tmp_path: Path) -> None:
    (source,) = run_phantoms(PhantomSettings(tmp_path, count=1, modalities=(Modality.DERMOSCOPY,)))
    info = json.loads((tmp_path / source.name / "annotations.json").read_text())["info"]
    assert (info["modality"], info["licence"]) == ("dermoscopy", "CC0 (synthetic, ours)")
    assert "synthetic" in info["notes"]
