"""Measurement report of a study: document, observer, image library and groups (PS3.16, TID 1500)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from highdicom import sr
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from medrov_cli.core.base.versions import __version__
from medrov_cli.core.writers.dicom.class_codes import PRIVATE_SCHEME, PRIVATE_SCHEME_NAME
from medrov_cli.core.writers.dicom.plain_items import image_item, set_content
from medrov_cli.core.writers.dicom.report_groups import measurement_groups
from medrov_cli.core.writers.dicom.result_identity import (
    DEVICE_NAME,
    DEVICE_SERIAL_NUMBER,
    EQUIPMENT,
    MANUFACTURER,
    MODEL_NAME,
    SERIES_DESCRIPTION,
    content_moment,
    derive_uid,
    result_digest,
)
from medrov_cli.core.writers.dicom.result_objects import result_objects
from medrov_cli.core.writers.dicom.source_studies import SourceStudy
from medrov_cli.core.writers.dicom.unlisted_classes import restore_classes

SERIES_NUMBER = 9801
"""Series Number of reports: above those of scanners, so that results stand last."""

_CONTAINS = sr.RelationshipTypeValues.CONTAINS
_TITLE = Code("126000", "DCM", "Imaging Measurement Report")
_LANGUAGE = sr.CodedConcept("en-US", "RFC5646", "English (United States)")
_SOURCE = Code("260753009", "SCT", "Source")


def measurement_report(study: SourceStudy) -> Dataset:
    """Return the Comprehensive 3D SR of a study.

    UIDs, date and time follow from the images and the result, so that equal runs give equal bytes.
    """
    digest = result_digest([*study.records, *study.volumes])
    date, time = content_moment(study.headers)
    root = sr.ContainerContentItem(name=_TITLE, template_id="1500")
    root.ContentSequence = sr.ContentSequence(
        [
            *sr.LanguageOfContentItemAndDescendants(_LANGUAGE),
            *_observer(),
            sr.CodeContentItem(
                name=codes.DCM.ProcedureReported,
                value=codes.SCT.ImagingProcedure,
                relationship_type=sr.RelationshipTypeValues.HAS_CONCEPT_MOD,
            ),
        ]
    )
    report = sr.Comprehensive3DSR(
        evidence=[study.lead(), *study.headers[1:]],
        content=root,
        series_instance_uid=derive_uid("sr series", digest),
        series_number=SERIES_NUMBER,
        sop_instance_uid=derive_uid("sr", digest),
        instance_number=1,
        **EQUIPMENT,
        series_description=SERIES_DESCRIPTION,
        is_complete=True,
        content_date=date,
        content_time=time,
        specific_character_set="ISO_IR 192",
        coding_schemes=[
            CodingSchemeIdentificationItem(
                designator=PRIVATE_SCHEME, name=PRIVATE_SCHEME_NAME, version=__version__
            )
        ],
    )
    # Appended here, because the constructor copies its content and searches it for images.
    report.ContentSequence.append(_image_library(study))
    report.ContentSequence.append(
        _container(codes.DCM.ImagingMeasurements, measurement_groups(result_objects(study)))
    )
    restore_classes(report, study.unlisted)
    return report


def _observer() -> Iterator[sr.ContentItem]:
    """Yield the observer: this program, with the notice that its results are for research use only."""
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=derive_uid("device", __version__),
        name=DEVICE_NAME,
        manufacturer_name=MANUFACTURER,
        model_name=MODEL_NAME,
        serial_number=DEVICE_SERIAL_NUMBER,
    )
    yield from sr.ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)


def _container(name: Code, items: Iterable[Dataset]) -> sr.ContainerContentItem:
    container = sr.ContainerContentItem(name=name, relationship_type=_CONTAINS)
    found = list(items)
    if found:
        set_content(container, found)
    return container


def _image_library(study: SourceStudy) -> sr.ContainerContentItem:
    """Return all images that were read, one group a series (TID 1600)."""
    groups = []
    for series in study.series():
        group = _container(codes.DCM.ImageLibraryGroup, ())
        set_content(group, [image_item(one, _SOURCE, _CONTAINS.value) for one in series.instances])
        groups.append(group)
    return _container(codes.DCM.ImageLibrary, groups)
