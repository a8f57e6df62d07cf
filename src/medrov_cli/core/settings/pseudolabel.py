"""Settings of ``medrov pseudolabel`` and ``medrov pseudolabel apply``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.core.base.errors import excludes, usage_error
from medrov_cli.core.base.store_addresses import address_of
from medrov_cli.core.settings.choices import Modality, Split
from medrov_cli.core.settings.class_groups import ClassSettings
from medrov_cli.core.settings.cluster_groups import ClusterSettings
from medrov_cli.core.settings.field import argument, group, option, option_of
from medrov_cli.core.settings.groups import (
    DATA_PANEL,
    LEARNED_HELP,
    MODEL_PANEL,
    OUTPUT_PANEL,
    ModelSettings,
    RuntimeSettings,
)
from medrov_cli.core.settings.io_groups import DatasetSettings, OutputSettings, ReadSettings
from medrov_cli.core.settings.label_rule import LabelRule
from medrov_cli.core.settings.lists import parse_modality, parse_splits
from medrov_cli.core.settings.values import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudolabelSettings:
    """Settings of ``pseudolabel``.

    Attributes
    ----------
    data
        Dataset yaml; its split is not used.
    presence
        Presence table, or ``omnis``, instead of that of the yaml.
    splits
        Splits that are labelled.
    shard
        Part of the images; null: all.
    threads
        Number of files read in parallel.
    rule
        Conditions of a label.
    weights
        Names in the manifest, or ``.safetensors`` files.
    text_encoder
        Specification of the text encoder; null: that of each weights file.
    learned
        Files of learned classes, which replace the texts of their names, with the weights they belong to.
    runtime
        Settings of the network.
    output
        Folder of the new dataset; null in a dry run only.
    cluster
        Workers on several machines.
    dry_run
        Whether labels are counted only, without output.
    review
        HTML page for a review of the labels.
    """

    data: DatasetSettings = group(DatasetSettings, omit=("split",), metavar={"dataset": "DATASET"})
    presence: str | None = option(
        "--presence",
        default=None,
        before="--data-root",
        metavar="FILE",
        help="Presence table, or omnis, instead of that of the yaml; classes with 0 are labelled.",
        panel=DATA_PANEL,
    )
    splits: tuple[Split, ...] = option(
        "--splits",
        given_default="train",
        parse=parse_splits,
        before="--data-root",
        metavar="LIST",
        help="Splits to label, comma separated: train, val, test.",
        panel=DATA_PANEL,
    )
    shard: Shard | None = option(
        "--shard",
        default=None,
        parse=Shard.parse,
        metavar="I/N",
        help="Process every N-th image from the I-th; the last job of an --output writes the dataset.",
        panel=DATA_PANEL,
    )
    threads: int = option_of(ReadSettings, "threads", panel=DATA_PANEL)
    rule: LabelRule = group(LabelRule())
    weights: tuple[str, ...] = option(
        "--weights",
        "-w",
        default=(DEFAULT_WEIGHTS,),
        shows_default=False,
        metavar="NAME|FILE",
        help=f"Name or .safetensors file; may be repeated. Default: {DEFAULT_WEIGHTS}.",
        panel=MODEL_PANEL,
    )
    text_encoder: str | None = option_of(ModelSettings, "text_encoder")
    learned: tuple[Path, ...] = option_of(ClassSettings, "learned", help=LEARNED_HELP, panel=MODEL_PANEL)
    runtime: RuntimeSettings = group(
        RuntimeSettings(batch=8), help={"batch": "Images per forward pass."}, metavar={"batch": None}
    )
    output: OutputSettings = group(
        OutputSettings(), help={"folder": "Folder of the new dataset; images are not copied."}
    )
    cluster: ClusterSettings = group(ClusterSettings())
    dry_run: bool = option(
        "--dry-run",
        default=False,
        before="--resume",
        help="Count labels by source and class without writing files.",
        panel=OUTPUT_PANEL,
    )
    review: Path | None = option(
        "--review",
        default=None,
        before="--resume",
        metavar="FILE",
        help="HTML page to write for review: accept, reject or relabel each label.",
        panel=OUTPUT_PANEL,
    )

    def check(self) -> None:
        """Refuse invalid values and contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        if not self.weights or len(set(self.weights)) < len(self.weights):
            raise usage_error("--weights: the same weights are given twice", "Give each weights file once.")
        self.rule.check(len(self.weights))
        self.runtime.check()
        self.cluster.check(offline=self.runtime.offline, device=self.runtime.device)
        if self.dry_run:
            self._check_dry_run()
        elif self.output.folder is None:
            raise usage_error("--output is missing", "Give a folder for the new dataset, or --dry-run.")
        if self.output.folder is not None:
            self.output.check()
            if self.shard is not None and address_of(self.output.folder) is not None:
                raise excludes("--shard", f"--output {self.output.place}", "Shards share a folder of a disk.")

    def _check_dry_run(self) -> None:
        for flag, is_given in (
            ("--shard", self.shard is not None),
            ("--resume", self.output.resume),
            ("--review", self.review is not None),
        ):
            if is_given:
                raise excludes(flag, "--dry-run", "Leave one of them out.")


@dataclass(frozen=True, slots=True)
class ApplySettings:
    """Settings of ``pseudolabel apply``.

    Attributes
    ----------
    decisions
        File of decisions of the review page.
    labels
        Folder that was reviewed.
    output
        Folder of the new dataset.
    modality
        Modality of images whose modality is unknown.
    overwrite
        Whether to replace an earlier run in that folder.
    """

    decisions: Path = argument(
        metavar="FILE", help="File of decisions saved by the review page or the report of detections."
    )
    labels: Path = option(
        "--labels",
        metavar="DIR",
        help="Output folder of 'pseudolabel' or 'detect' that was reviewed.",
        panel=DATA_PANEL,
    )
    output: Path = option(
        "--output", "-o", metavar="DIR", help="Folder of the new dataset.", panel=OUTPUT_PANEL
    )
    modality: Modality | None = option(
        "--modality",
        default=None,
        parse=parse_modality,
        metavar="NAME",
        help="Modality of the images of 'detect' whose modality is unknown.",
        panel=DATA_PANEL,
    )
    overwrite: bool = option_of(OutputSettings, "overwrite")
    as_json: bool = option_of(OutputSettings, "as_json")
