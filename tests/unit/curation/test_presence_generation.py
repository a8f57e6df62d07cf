"""Generated presence tables: one case a rule, and that it never contradicts the annotations."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.curation.presence_generation import PresenceCell, Reason, SourceFacts, generate_presence
from medrov_cli.core.curation.presence_writing import generate_for_dataset, write_presence
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.datasets.omnis import omnis_presence
from medrov_cli.core.datasets.presence import presence_from_annotations, read_presence
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.settings.data import PresenceSettings
from source_folders import Picture, read_coco, write_coco, write_source


def cells(
    *facts: SourceFacts, synonyms: dict[str, tuple[str, ...]] | None = None
) -> dict[tuple[str, str], PresenceCell]:
    classes = tuple(dict.fromkeys(name for own in facts for name in own.classes))
    generated = generate_presence(facts, classes, synonyms)
    return {(cell.source, cell.class_name): cell for cell in generated.cells}


def test_what_is_annotated_is_one() -> None:
    cell = cells(SourceFacts("a", Modality.CT, ("liver",)))["a", "liver"]
    assert (cell.value, cell.reason) == (1, Reason.ANNOTATED)


def test_another_source_of_the_modality_makes_it_possible() -> None:
    """The lexicon knows neither class."""
    found = cells(SourceFacts("a", Modality.CT, ("blob",)), SourceFacts("b", Modality.CT, ("smudge",)))
    assert (found["a", "smudge"].value, found["a", "smudge"].reason) == (0, Reason.SAME_MODALITY)
    assert found["a", "smudge"].text == "b annotates it, and has the same modality CT"


def test_the_lexicon_tells_modalities() -> None:
    found = cells(
        SourceFacts("ct", Modality.CT, ("liver",)),
        SourceFacts("us", Modality.ULTRASOUND, ("thyroid nodule",)),
        SourceFacts("eye", Modality.FUNDOSCOPY, ("optic disc",)),
    )
    assert (found["us", "liver"].value, found["us", "liver"].reason) == (0, Reason.LEXICON)
    assert (found["eye", "liver"].value, found["eye", "liver"].reason) == (-1, Reason.LEXICON)
    assert found["ct", "optic disc"].value == -1


def test_the_yaml_tells_the_lexicon_what_a_name_means() -> None:
    facts = (SourceFacts("a", Modality.CT, ("organ 6",)), SourceFacts("b", Modality.DERMOSCOPY, ("mole",)))
    assert cells(*facts)["b", "organ 6"].reason is Reason.OTHER_SCALE
    found = cells(*facts, synonyms={"organ 6": ("liver",)})["b", "organ 6"]
    assert (found.value, found.reason) == (-1, Reason.LEXICON)


@pytest.mark.parametrize(
    ("annotated", "other"),
    [
        ("left kidney", "kidney"),
        ("kidney", "left kidney"),
        ("odd tumor", "tumor"),
        ("platelets", "thrombocyte"),
    ],
)
def test_kinds_and_other_names_of_an_annotated_class_are_possible(annotated: str, other: str) -> None:
    """The other modality and scale do not count: what is boxed by one name is there by the other."""
    found = cells(
        SourceFacts("a", Modality.DERMOSCOPY, (annotated,)), SourceFacts("b", Modality.CT, (other,))
    )
    assert (found["a", other].value, found["a", other].reason) == (0, Reason.RELATED)


def test_left_and_right_are_not_kinds_of_each_other() -> None:
    found = cells(
        SourceFacts("a", Modality.DERMOSCOPY, ("left lung",)), SourceFacts("b", Modality.CT, ("right lung",))
    )
    assert found["a", "right lung"].reason is Reason.LEXICON


def test_unknown_classes_are_impossible_at_another_scale_alone() -> None:
    found = cells(
        SourceFacts("ct", Modality.CT, ("blob",)),
        SourceFacts("mr", Modality.MRI, ("smudge",)),
        SourceFacts("smear", Modality.MICROSCOPY, ("speck",)),
        SourceFacts("slide", Modality.HISTOPATHOLOGY, ("spot",)),
    )
    assert (found["ct", "smudge"].value, found["ct", "smudge"].reason) == (0, Reason.UNKNOWN)
    assert (found["slide", "speck"].value, found["slide", "speck"].reason) == (0, Reason.UNKNOWN)
    assert (found["ct", "speck"].value, found["ct", "speck"].reason) == (-1, Reason.OTHER_SCALE)
    assert (found["smear", "blob"].value, found["smear", "blob"].reason) == (-1, Reason.OTHER_SCALE)


def test_the_table_of_omnis_knows_its_own_datasets() -> None:
    """AbdomenAtlas is CT; the table says that it cannot show what a head CT does."""
    datasets, columns, table = omnis_presence()
    row = table[datasets.index("AbdomenAtlas")]
    head = "subdural brain hemorrhage"
    assert row[columns.index(head)] == -1
    assert row[columns.index("esophagus")] == 0
    facts = (
        SourceFacts("AbdomenAtlas", Modality.CT, ("liver",)),
        SourceFacts("mine", Modality.CT, (head, "esophagus", "spleen")),
    )
    found = cells(*facts)
    assert (found["AbdomenAtlas", head].value, found["AbdomenAtlas", head].reason) == (-1, Reason.OMNIS)
    assert found["AbdomenAtlas", "esophagus"].value == 0
    # 1 in the table, but these files have no boxes of it
    assert row[columns.index("spleen")] == 1
    assert found["AbdomenAtlas", "spleen"].value == 0
    assert found["mine", "liver"].reason is Reason.SAME_MODALITY


NAMES = (
    "liver",
    "left kidney",
    "kidney",
    "blob",
    "nuclei",
    "optic disc",
    "cyst, large",
    "platelet/thrombocyte",
)
facts_lists = st.lists(
    st.tuples(
        st.sampled_from(["BCCD", "AbdomenAtlas", "mine", "yours", "theirs"]),
        st.sampled_from(list(Modality)),
        st.lists(st.sampled_from(NAMES), unique=True, min_size=1).map(tuple),
    ),
    min_size=1,
    unique_by=lambda own: own[0],
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts_lists)
def test_a_draft_never_contradicts_the_annotations(tmp_path: Path, given_facts) -> None:
    facts = [SourceFacts(*own) for own in given_facts]
    classes = tuple(dict.fromkeys(name for own in facts for name in own.classes))
    generated = generate_presence(facts, classes)
    rows = [[classes.index(name) for name in own.classes] for own in facts]
    annotated = presence_from_annotations(rows, len(classes))
    write_presence(tmp_path / "p.csv", generated)
    table = read_presence(tmp_path / "p.csv", [own.name for own in facts], classes, annotated)
    assert ((table == 1) == (annotated == 1)).all()
    assert table.ravel().tolist() == [cell.value for cell in generated.cells]
    assert all(cell.text for cell in generated.cells)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write_source(tmp_path / "ct", [Picture("train", [("liver", 1, 1, 5, 5)])], ["liver"])
    write_source(tmp_path / "us", [Picture("train", [("kidney", 1, 1, 5, 5)])], ["kidney"], "ultrasound")
    path = tmp_path / "data.yaml"
    path.write_text("sources: [ct, us]\npresence: presence.csv\n")
    return path


def test_the_draft_of_a_yaml_is_what_the_yaml_takes(dataset: Path) -> None:
    result = generate_for_dataset(PresenceSettings(dataset, reasons=dataset.parent / "why.csv"))
    assert result.path == dataset.parent / "presence.csv"
    assert result.in_yaml
    assert load_dataset(dataset).presence.tolist() == [[1, 0], [0, 1]]
    with (dataset.parent / "why.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["source"], r["class"], r["value"], r["reason"]) for r in rows] == [
        ("ct", "liver", "1", "annotated"),
        ("ct", "kidney", "0", "lexicon"),
        ("us", "liver", "0", "lexicon"),
        ("us", "kidney", "1", "annotated"),
    ]


def test_a_class_that_only_a_detector_labelled_is_possible(dataset: Path) -> None:
    document = read_coco(dataset.parent / "ct")
    document["categories"].append({"id": 2, "name": "kidney", "source": "pseudo"})
    write_coco(dataset.parent / "ct", document)
    generate_for_dataset(PresenceSettings(dataset))
    assert load_dataset(dataset).presence.tolist() == [[1, 0], [0, 1]]


def test_a_table_edited_by_hand_is_not_replaced_unasked(dataset: Path) -> None:
    table = dataset.parent / "presence.csv"
    table.write_text("mine")
    with pytest.raises(MedrovError) as caught:
        generate_for_dataset(PresenceSettings(dataset))
    assert caught.value.code is ErrorCode.USAGE
    assert table.read_text() == "mine"
    generate_for_dataset(PresenceSettings(dataset, overwrite=True))
    first = table.read_bytes()
    generate_for_dataset(PresenceSettings(dataset, overwrite=True))
    assert table.read_bytes() == first
