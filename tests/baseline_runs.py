"""The runs of ``baseline.py``: a name and a command line each.

A command line is what follows ``medrov``. Paths are relative to the working folder, in which ``inputs/`` has
what ``baseline_inputs.py`` makes. ``@`` is the folder that the run writes, ``@NAME/...`` one that an earlier
run has written; by these names ``--only`` knows what a run needs.
"""

from __future__ import annotations

from collections.abc import Iterator

from baseline_data_runs import DATA, OTHER, TRAIN, refusals
from baseline_inputs import write_decisions
from baseline_run import Run

GROUPS = {
    "": "detect train eval export benchmark doctor data pseudolabel weights learn send merge",
    "data": "convert merge split check stats presence export phantom",
    "pseudolabel": "apply",
    "weights": "list show verify import pull prepare",
}
ALL_FORMATS = "-f jsonl,json,csv,coco,yolo,png"
CLASSES = '-c "colon polyp, optic disc/disc, red blood cell, lung nodule, left lung, vertebra"'
FEW = "inputs/examples inputs/omnis/drions inputs/omnis/bccd"
CHECKED = "--imgsz 64 --images 64"


def helps() -> Iterator[Run]:
    """The help of every command and group."""
    yield Run("help", "--help")
    yield Run("version", "--version")
    for group, names in GROUPS.items():
        for name in names.split():
            command = f"{group} {name}".strip()
            yield Run(f"help-{command.replace(' ', '-')}", f"{command} --help")


DETECT = (
    Run("detect-dicom", f"detect inputs/formats/dicom -o @ {ALL_FORMATS} --json"),
    Run("detect-series", f"detect inputs/formats/dicom_series -o @ {ALL_FORMATS} --window lung"),
    Run("detect-nifti", f"detect inputs/formats/nifti -o @ {ALL_FORMATS} --imgsz 128 --conf 0.05"),
    Run("detect-coronal", "detect inputs/examples/ct_volume.nii.gz --axis coronal --window soft --imgsz 128"),
    Run("detect-sagittal", "detect inputs/examples/ct_volume.nii.gz --axis sagittal --imgsz 128 -f csv -o @"),
    Run("detect-images", f"detect inputs/omnis -o @ {ALL_FORMATS}"),
    Run(
        "detect-resume",
        f"detect inputs/omnis -o @detect-images {ALL_FORMATS} --resume",
        records="detect-images",
    ),
    Run("detect-refused", "detect inputs/omnis -o @detect-images", records="detect-images"),
    Run(
        "detect-changed", "detect inputs/omnis -o @detect-images --resume --conf 0.4", records="detect-images"
    ),
    Run("detect-classes", f"detect inputs/omnis {CLASSES} -o @ {ALL_FORMATS} --conf 0.1 --json"),
    Run("detect-overwrite", f"detect {FEW} -o @detect-classes --overwrite", records="detect-classes"),
    Run("detect-classes-file", f"detect {FEW} --classes-file inputs/classes.txt -f jsonl"),
    Run("detect-classes-stdin", f"detect {FEW} --classes-file - -f jsonl", stdin="polyp\ncell/blood cell\n"),
    Run(
        "detect-paths-stdin",
        "detect - -f jsonl",
        stdin="inputs/examples/polyp.png\ninputs/examples/chest_ct.dcm\n",
    ),
    Run("detect-table", f"detect {FEW}"),
    Run("detect-json", f"detect {FEW} --json"),
    Run("detect-stdout-jsonl", f"detect {FEW} -f jsonl"),
    Run("detect-stdout-json", f"detect {FEW} -f json"),
    Run("detect-stdout-coco", f"detect {FEW} -f coco"),
    Run("detect-timings", f"detect {FEW} -f jsonl --timings"),
    Run("detect-selection", f"detect {FEW} -f jsonl --conf 0.02 --iou 0.3 --max-det 7"),
    Run("detect-raw-scores", f"detect {FEW} -f jsonl --raw-scores --conf 0.05"),
    Run(
        "detect-batch",
        "detect inputs/examples inputs/omnis/drions -f jsonl --batch 3 --threads 1 --imgsz 192",
    ),
    Run(
        "detect-window-tag", "detect inputs/formats/dicom/CT_small.dcm inputs/examples -f jsonl --window tag"
    ),
    Run("detect-window-hu", f"detect inputs/examples -o @ {ALL_FORMATS} --window 400,40"),
    Run("detect-phi-hash", "detect inputs/formats/dicom/CT_small.dcm inputs/examples -f jsonl --phi hash"),
    Run("detect-phi-keep", f"detect inputs/ct/slices inputs/examples -o @ {ALL_FORMATS} --phi keep"),
    Run("detect-phi-drop", "detect inputs/ct/slices -f jsonl --phi drop"),
    Run("detect-shard-1", "detect inputs/omnis -o @ --shard 1/3"),
    Run("detect-shard-3", "detect inputs/omnis -o @ --shard 3/3 --resume"),
    Run("detect-broken", f"detect inputs/broken -o @ {ALL_FORMATS}"),
    Run("detect-broken-json", "detect inputs/broken --json"),
    Run("detect-strict", "detect inputs/broken -o @ --strict"),
    Run("detect-openvino", f"detect {FEW} -f jsonl --engine openvino", has_own_cache=True),
    Run("detect-onnx", f"detect {FEW} -f jsonl --engine onnx", has_own_cache=True),
    Run("detect-torch", f"detect {FEW} -f jsonl --engine torch"),
    Run("detect-torch-classes", f"detect {FEW} -f jsonl --engine torch {CLASSES} --imgsz 256"),
    Run("detect-bf16", f"detect {FEW} -f jsonl --precision bf16 --imgsz 128"),
)


EXPORT = (
    Run("export-onnx", f"export --to onnx -o @/m.onnx {CHECKED} --json"),
    Run(
        "export-onnx-nms",
        f"export --to onnx -o @/m.onnx {CHECKED} --nms -c 'polyp, nodule/lung nodule' --dynamic",
    ),
    Run("export-onnx-open", f"export --to onnx -o @/m.onnx {CHECKED} --open"),
    Run("export-openvino", f"export --to openvino -o @/m {CHECKED} --json"),
    Run(
        "export-openvino-data",
        f"export --to openvino -o @/m {CHECKED} --data inputs/three.yaml --split train",
    ),
    Run("export-torchscript", f"export --to torchscript -o @/m.torchscript {CHECKED}"),
    Run("export-refused", "export --to onnx -o @export-onnx/m.onnx", records="export-onnx"),
    Run("detect-exported", f"detect {FEW} -w @export-onnx/m.onnx -o @ {ALL_FORMATS}"),
    Run("detect-exported-nms", f"detect {FEW} -w @export-onnx-nms/m.onnx -f jsonl"),
    Run("detect-exported-open", f"detect {FEW} -w @export-onnx-open/m.onnx {CLASSES} -f jsonl"),
    Run("detect-exported-openvino", f"detect {FEW} -w @export-openvino/m -f jsonl"),
    Run("detect-exported-classes", f"detect {FEW} -w @export-onnx/m.onnx -c polyp"),
)

EVAL = (
    Run("eval", "eval inputs/three.yaml -o @ --bootstrap 100 --synonyms --verify --json"),
    Run(
        "eval-resume",
        "eval inputs/three.yaml -o @eval --bootstrap 100 --synonyms --verify --resume",
        records="eval",
    ),
    Run(
        "eval-table",
        "eval inputs/three.yaml --bootstrap 0 --split val --hit centre --engine torch --imgsz 128",
    ),
    Run(
        "eval-plain",
        "eval inputs/three.yaml -o @ --bootstrap 20 --plain --compare @eval/report.json --conf 0.05",
    ),
    Run(
        "eval-predictions",
        "eval inputs/three.yaml -o @ --predictions @eval/predictions.json --bootstrap 20",
    ),
    Run(
        "detect-evaluated",
        "detect inputs/sources/smdg_fundus/images -o @ -f coco --conf 0.01 -c 'optic disc,optic cup'",
    ),
    Run(
        "eval-detect-coco",
        "eval inputs/fundus.yaml -o @ --predictions @detect-evaluated/detections.coco.json --bootstrap 20",
    ),
    Run("eval-truth", "eval inputs/three.yaml --export-truth @/truth.json --json"),
    Run(
        "eval-fit",
        "eval inputs/three.yaml --split val --fit @/fitted.safetensors --imgsz 128 --bootstrap 0",
    ),
    Run(
        "eval-fit-isotonic",
        "eval inputs/three.yaml --split train --fit @/fitted.safetensors --calibration isotonic"
        " --absent-limit 0.5 --imgsz 64 --bootstrap 0 --json",
    ),
    Run(
        "eval-fitted",
        "eval inputs/three.yaml -w @eval-fit-isotonic/fitted.safetensors --imgsz 64 --bootstrap 0",
    ),
    Run("detect-fitted", f"detect {FEW} -w @eval-fit-isotonic/fitted.safetensors -f jsonl"),
    Run("eval-exported", "eval inputs/three.yaml -w @export-onnx/m.onnx -o @ --bootstrap 0"),
    Run("eval-unreadable", "eval inputs/broken.yaml --json"),
)

PSEUDOLABEL = (
    Run("pseudolabel", "pseudolabel inputs/incomplete.yaml -o @ --score 0.05 --review @/review.html --json"),
    Run(
        "pseudolabel-dry",
        "pseudolabel inputs/incomplete.yaml --dry-run --score 0.02 --splits val,test --flip",
    ),
    Run(
        "pseudolabel-views",
        "pseudolabel inputs/incomplete.yaml -o @ --score 0.03 --splits val --flip --scales 0.8,1.0 --agree 2"
        " --imgsz 160",
    ),
    Run(
        "pseudolabel-calibrated",
        "pseudolabel inputs/incomplete.yaml -o @ --score 0.2 --calibrated --splits test",
    ),
    Run(
        "pseudolabel-shard-1",
        "pseudolabel inputs/incomplete.yaml -o @ --score 0.05 --splits test --shard 1/2",
    ),
    Run(
        "pseudolabel-shard-2",
        "pseudolabel inputs/incomplete.yaml -o @pseudolabel-shard-1 --score 0.05 --splits test --shard 2/2",
        records="pseudolabel-shard-1",
    ),
    Run("pseudolabel-refused", "pseudolabel inputs/incomplete.yaml -o @pseudolabel", records="pseudolabel"),
    Run(
        "pseudolabel-apply",
        "pseudolabel apply decisions.json --labels @pseudolabel -o @",
        before=write_decisions,
    ),
    Run(
        "pseudolabel-apply-other", "pseudolabel apply decisions.json --labels @pseudolabel-views -o @ --json"
    ),
    Run("pseudolabel-check", "data check @pseudolabel/dataset.yaml"),
)


RUNS = (*helps(), *DETECT, *DATA, *EXPORT, *EVAL, *PSEUDOLABEL, *TRAIN, *OTHER, *refusals())
"""All runs; one that reads another's folder comes after it."""
