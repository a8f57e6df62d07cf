"""Settings of ``medrov detect``."""

from __future__ import annotations

from dataclasses import dataclass

from medrov_cli.core.base.errors import excludes, requires, usage_error
from medrov_cli.core.settings.choices import (
    OUTPUT_FORMATS_HELP,
    STDIN,
    Axis,
    Phi,
    parse_formats,
    parse_planes,
)
from medrov_cli.core.settings.class_groups import ClassSettings
from medrov_cli.core.settings.cluster_groups import ClusterSettings
from medrov_cli.core.settings.field import argument, check_ranges, group, option, option_of
from medrov_cli.core.settings.groups import (
    CLASSES_PANEL,
    INPUT_PANEL,
    OUTPUT_PANEL,
    ModelSettings,
    RuntimeSettings,
    SelectionSettings,
)
from medrov_cli.core.settings.io_groups import OutputSettings, ReadSettings
from medrov_cli.core.settings.like_example import LikeExample, parse_likes
from medrov_cli.core.settings.tile_groups import TILES_PANEL, ShardUnit, TileJob, TileMode, TileSettings
from medrov_cli.core.settings.values import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSettings:
    """Settings of ``detect``; the order of the fields is that of the keys of ``run.json``.

    Attributes
    ----------
    inputs
        Files, folders, patterns; ``-`` for a list on standard input.
    ends_with_null
        Whether a null character ends each path on standard input, instead of a line end.
    weights
        Name in the manifest, a ``.safetensors`` file, or a model of ``medrov export``.
    classes
        Classes; null or empty: the vocabulary of the weights.
    like
        Examples of classes, in addition to the classes, or alone.
    selection
        Selection of detections from candidates.
    read
        Settings of reading.
    planes
        Planes in which volumes are searched, whose findings vote; empty: that of the slices alone.
    text_encoder
        Specification of the text encoder of ``classes``; null: that of the weights.
    runtime
        Settings of the network.
    formats
        Output formats, in addition to the JSON lines of every folder.
    shard
        Part of the inputs; null: all.
    tiles
        Tiles of slides and large images.
    shard_by
        What the jobs of ``shard`` share out: the inputs, or the tiles of each image.
    strict
        Whether the run stops at the first input that fails.
    output
        Output settings.
    cluster
        Workers on several machines.
    phi
        DICOM identifiers that may leave the program.
    per_slice
        Whether the table on a terminal has the detections of each slice of a volume, instead of its findings.
    timings
        Whether the time of each image is written; without it, equal runs give equal bytes.
    """

    inputs: tuple[str, ...] = argument(
        metavar="INPUT...", help="Images, folders or patterns; - reads a list of paths from stdin."
    )
    ends_with_null: bool = option(
        "--null",
        "-0",
        default=False,
        before="--threads",
        help="The paths on stdin end with a null character, as 'find -print0' writes them.",
        panel=INPUT_PANEL,
    )
    weights: str = option_of(
        ModelSettings,
        "weights",
        before="--text-encoder",
        help="Name from 'medrov weights list', .safetensors file, or model of 'medrov export'.",
    )
    classes: ClassSettings = group(ClassSettings())
    like: tuple[LikeExample, ...] = option(
        "--like",
        default=(),
        given=list[str],
        parse=parse_likes,
        metavar="EXAMPLE",
        help="Class by example: IMAGE:x1,y1,x2,y2[=NAME]; may be repeated. Boxes of a name are averaged.",
        panel=CLASSES_PANEL,
    )
    selection: SelectionSettings = group(
        SelectionSettings(), metavar={"conf": "SCORE", "iou": "IOU", "max_det": "N"}
    )
    read: ReadSettings = group(
        ReadSettings(),
        help={"axis": "Plane of the slices of a volume file: axial, coronal or sagittal."},
        metavar={"axis": "PLANE", "threads": "N"},
    )
    planes: tuple[Axis, ...] = option(
        "--planes",
        default=(),
        before="--threads",
        given=list[str],
        parse=parse_planes,
        metavar="LIST",
        help="Search volumes also in these planes and merge the findings: axial,coronal,sagittal.",
        panel=INPUT_PANEL,
        affects_result=True,
        is_always_recorded=False,
    )
    text_encoder: str | None = option_of(ModelSettings, "text_encoder")
    runtime: RuntimeSettings = group(
        RuntimeSettings(),
        help={"engine": "Engine: auto, openvino, onnx or torch. auto: openvino on a CPU, torch on a GPU."},
        metavar={"engine": "ENGINE"},
    )
    formats: tuple[str, ...] = option(
        "--format",
        "-f",
        default=(),
        before="--resume",
        given=list[str],
        parse=parse_formats,
        metavar="LIST",
        help=f"Output formats, comma separated: {OUTPUT_FORMATS_HELP}.",
        panel=OUTPUT_PANEL,
        affects_result=True,
        recorded="recorded_formats",
    )
    shard: Shard | None = option(
        "--shard",
        default=None,
        before="--threads",
        parse=Shard.parse,
        metavar="I/N",
        help="Process every N-th input, starting with the I-th, as one of N parallel jobs.",
        panel=INPUT_PANEL,
        affects_result=True,
    )
    tiles: TileSettings = group(TileSettings(), metavar={"overlap": "SHARE"})
    shard_by: ShardUnit = option(
        "--shard-by",
        default=ShardUnit.INPUTS,
        help="What --shard shares out: the inputs, or rows of tiles of each image.",
        panel=TILES_PANEL,
        affects_result=True,
    )
    strict: bool = option(
        "--strict",
        default=False,
        before="--threads",
        help="Stop at the first input that fails.",
        panel=INPUT_PANEL,
    )
    output: OutputSettings = group(OutputSettings())
    cluster: ClusterSettings = group(ClusterSettings())
    phi: Phi = option(
        "--phi",
        default=Phi.DROP,
        help="DICOM identifiers: UIDs (drop), hashed UIDs (hash), or UIDs, patient name and id (keep).",
        panel=OUTPUT_PANEL,
        affects_result=True,
    )
    per_slice: bool = option(
        "--per-slice",
        default=False,
        before="--json",
        help="Print the detections of each slice of a volume on a terminal, not its findings.",
        panel=OUTPUT_PANEL,
    )
    timings: bool = option(
        "--timings",
        default=False,
        before="--json",
        help="Write the time of each image in ms. Without it, equal runs give equal bytes.",
        panel=OUTPUT_PANEL,
        affects_result=True,
    )

    @property
    def tile_job(self) -> TileJob:
        """Return the tiles that this job searches."""
        return TileJob(settings=self.tiles, shard=self.shard if self.shard_by is ShardUnit.TILES else None)

    @property
    def recorded_formats(self) -> list[str]:
        """Return the formats of an output folder, sorted."""
        return sorted({"jsonl", *self.formats})

    def check(self) -> None:
        """Refuse invalid values and contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        check_ranges(self)
        self.classes.check()
        if self.classes.reads_stdin and STDIN in self.inputs:
            raise usage_error("--classes-file and the inputs both read stdin", "Use a file.")
        if self.ends_with_null and STDIN not in self.inputs:
            raise requires("--null", "the input -", "Add - to the inputs.")
        self.runtime.check()
        self.tiles.check()
        if self.shard_by is ShardUnit.TILES and self.shard is None:
            raise requires("--shard-by tiles", "--shard", "Add --shard I/N.")
        if self.shard_by is ShardUnit.TILES and self.tiles.tile.mode is TileMode.OFF:
            raise excludes("--shard-by tiles", "--tile off")
        if self.text_encoder is not None and self.classes.is_empty:
            raise requires("--text-encoder", "--classes", "Add --classes.")
        if self.planes and self.cluster.on is not None:
            raise excludes("--planes", "--on", "Search the planes on one machine.")
        if self.planes and self.shard_by is ShardUnit.TILES:
            raise excludes("--planes", "--shard-by tiles", "Share out the inputs.")
        self.output.check()
        self.cluster.check(offline=self.runtime.offline, device=self.runtime.device)
