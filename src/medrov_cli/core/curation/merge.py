"""Merge of source folders to one dataset: ``dataset.yaml`` and a generated presence table.

A source with unchanged classes stays in its folder, and the yaml refers to it by a relative path. A source
with changed classes is written below the output: its annotations, and its images as hard links, or as copies
on file systems without hard links. The inputs are never changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.files import bring_file, whole_file
from medrov_cli.core.base.name_collisions import collision_key
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.curation.class_map import ClassMap, read_class_map
from medrov_cli.core.curation.presence_generation import SourceFacts, generate_presence
from medrov_cli.core.curation.presence_writing import write_presence
from medrov_cli.core.datasets.coco import write_document
from medrov_cli.core.datasets.coco_records import CocoCategory, CocoDocument
from medrov_cli.core.datasets.source_kinds import stated_kinds
from medrov_cli.core.datasets.source_set import UNSPLIT, OpenSource, annotated_names, open_source, split_of
from medrov_cli.core.datasets.sources import ANNOTATIONS, IMAGES, invalid, is_pseudo
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.identity import Refusal
from medrov_cli.core.runs.kind import RunKind
from medrov_cli.core.settings.data import MergeSettings

DATASET = "dataset.yaml"
PRESENCE = "presence.csv"
RECORD = "merge.json"
"""Name of the file with the document that ``--json`` prints."""

SCHEMA = "medrov.data.merge/1"

MERGED = RunKind(
    taken=Refusal(
        f"{{folder}}/{DATASET} already exists",
        "Give another --output, or --overwrite to replace it and its presence.csv.",
    ),
    marks=(DATASET,),
)
"""Kind of the folder of a merged dataset, which may contain other files."""


@dataclass(frozen=True, slots=True)
class MergedSource:
    """One source of the merged dataset.

    Attributes
    ----------
    path
        Its folder, relative to the output.
    rewritten
        Whether its classes changed, so that it is written below the output.
    renamed
        New names of renamed classes by their old names.
    dropped
        Dropped classes.
    kind
        Kind of its images; empty without a table of kinds.
    """

    name: str
    path: str
    rewritten: bool
    images: int
    boxes: int
    classes: tuple[str, ...]
    renamed: Mapping[str, str]
    dropped: tuple[str, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Merged:
    """The merged dataset."""

    name: str
    classes: tuple[str, ...]
    sources: tuple[MergedSource, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the document of schema ``medrov.data.merge/1``."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "dataset": DATASET,
            "presence": PRESENCE,
            "classes": list(self.classes),
            "sources": [
                {
                    "name": own.name,
                    "path": own.path,
                    "rewritten": own.rewritten,
                    "images": own.images,
                    "boxes": own.boxes,
                    "classes": list(own.classes),
                    "renamed": dict(own.renamed),
                    "dropped": list(own.dropped),
                    "kind": own.kind or None,
                }
                for own in self.sources
            ],
        }


def merge_sources(settings: MergeSettings, progress: Progress = no_progress) -> Merged:
    """Merge several source folders to one dataset.

    The output contains ``presence.csv``, ``merge.json``, a folder for each source with changed classes, and
    ``dataset.yaml``, which is written last.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID`` if a source cannot be used, two sources have one name, or the map does not fit;
        ``USAGE`` if the output contains a dataset; ``OUTPUT_FAILED``.
    """
    RunFolder(settings.output, MERGED).check(None, resume=False, overwrite=settings.overwrite)
    sources = [open_source(folder) for folder in settings.sources]
    _check_sources(sources)
    chosen = read_class_map(settings.class_map, sources) if settings.class_map is not None else ClassMap()
    kinds = stated_kinds(settings.kinds, [(source.name, source.modality) for source in sources])
    mapped = [_mapped(source, chosen) for source in sources]
    changed = [source for source, document in zip(sources, mapped, strict=True) if document is not None]
    kind = replace(MERGED, files=tuple(source.name for source in changed))
    with RunFolder(settings.output, kind) as folder:
        folder.claim(None, resume=False, overwrite=settings.overwrite)
        return _write(settings, sources, kinds, mapped, chosen, progress)


def _write(
    settings: MergeSettings,
    sources: Sequence[OpenSource],
    kinds: Sequence[str],
    mapped: Sequence[CocoDocument | None],
    chosen: ClassMap,
    progress: Progress,
) -> Merged:
    """Write the sources with changed classes, and the files of the dataset, into the claimed folder."""
    output = settings.output
    changed = [source for source, document in zip(sources, mapped, strict=True) if document is not None]
    total = sum(len(source.images) for source in changed)
    done = 0
    merged = []
    for source, kind, document in zip(sources, kinds, mapped, strict=True):
        if document is not None:
            _write_source(output / source.name, source, document)
            done += len(source.images)
            progress(done, total, "images")
        merged.append(_merged_source(source, kind, document, chosen, output))
    classes = tuple(dict.fromkeys(c for own in merged for c in own.classes))
    result = Merged(settings.name or output.resolve().name, classes, tuple(merged))
    facts = [
        SourceFacts(source.name, source.modality, annotated_names((document or source.document).categories))
        for source, document in zip(sources, mapped, strict=True)
    ]
    write_presence(output / PRESENCE, generate_presence(facts, classes, chosen.synonyms))
    with whole_file(output / RECORD) as temporary:
        text = json.dumps(result.as_dict(), indent=2, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    _write_yaml(output / DATASET, result, chosen)
    return result


def _check_sources(sources: Sequence[OpenSource]) -> None:
    names = [collision_key(source.name) for source in sources]
    for source in sources:
        if collision_key(source.name) in map(collision_key, (DATASET, PRESENCE, RECORD)):
            raise invalid(
                f"{source.name!r} is the name of a file of the output",
                "Rename the folder: the folder is the name of its source.",
            )
        if names.count(collision_key(source.name)) > 1:
            raise invalid(
                f"two folders have the name {source.name!r}",
                "Rename one of them: the folder is the name of its source.",
            )
        lacking = [image for image in source.images if split_of(image) == UNSPLIT]
        if lacking:
            raise invalid(
                f"{source.where(lacking[0])} and {len(lacking) - 1} other(s) have no split",
                f"Run 'medrov data split' on the folder {source.name} first.",
            )


def _mapped(source: OpenSource, chosen: ClassMap) -> CocoDocument | None:
    """Return the source's document with its new classes, or null if they do not change.

    A class that is joined of several is annotated if one of them is; it has the record of the first of these.
    """
    new = {old: chosen.new_name(source.name, old) for old in source.classes}
    if all(old == name for old, name in new.items()):
        return None
    joined: dict[str, CocoCategory] = {}
    for category in source.document.categories:
        name = new[category.name]
        if name is not None and (name not in joined or is_pseudo(joined[name]) > is_pseudo(category)):
            joined[name] = category.replaced(name=name)
    id_of = {
        category.id: joined[name].id
        for category in source.document.categories
        if (name := new[category.name]) is not None
    }
    annotations = tuple(
        own.with_category(id_of[own.category_id]) for own in source.annotations if own.category_id in id_of
    )
    return replace(source.document, categories=tuple(joined.values()), annotations=annotations)


def _write_source(folder: Path, source: OpenSource, document: CocoDocument) -> None:
    if folder.resolve() == source.folder.resolve():
        raise usage_error(
            f"{folder} is both input and output",
            "Give an --output that is not the folder of the sources.",
        )
    for image in source.images:
        _link(source.path_of(image), folder / IMAGES / image.file_name)
    write_document(folder / ANNOTATIONS, document.parts)


def _link(original: Path, target: Path) -> None:
    if not original.is_file():
        raise invalid(f"{original} is missing", "Run 'medrov data check' on the source first.")
    if target.exists() and target.samefile(original):
        return
    bring_file(original, target, link=True)


def _merged_source(
    source: OpenSource, kind: str, document: CocoDocument | None, chosen: ClassMap, output: Path
) -> MergedSource:
    new = {old: chosen.new_name(source.name, old) for old in source.classes}
    here = os.path.relpath(source.folder.resolve(), output.resolve())
    return MergedSource(
        name=source.name,
        path=Path(here).as_posix() if document is None else source.name,
        rewritten=document is not None,
        images=len(source.images),
        boxes=len((document or source.document).annotations),
        classes=tuple(dict.fromkeys(name for name in new.values() if name is not None)),
        renamed={old: name for old, name in new.items() if name is not None and name != old},
        dropped=tuple(old for old, name in new.items() if name is None),
        kind=kind,
    )


def _write_yaml(path: Path, merged: Merged, chosen: ClassMap) -> None:
    document: dict[str, Any] = {
        "name": merged.name,
        "root": ".",
        "sources": [
            {"path": own.path, "name": own.name, **({"kind": own.kind} if own.kind else {})}
            for own in merged.sources
        ],
    }
    if chosen.synonyms:
        document["classes"] = {name: "/".join(texts) for name, texts in chosen.synonyms.items()}
    document["presence"] = PRESENCE
    with whole_file(path) as temporary:
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
