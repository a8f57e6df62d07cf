"""The runs of ``baseline.py`` for datasets, training, weights and the machine, and its refusals."""

from __future__ import annotations

from collections.abc import Iterator

from baseline_run import Run

ABOUT = "--licence CC0 --source phantoms --json -o @"
QUICK = "--imgsz 64 --epochs 2 --batch 4 --workers 0 --device cpu --precision fp32 --optimizer adamw --seed 3"
TOOLS = ("coco", "yolo", "voc", "label-studio", "cvat")

DATA = (
    Run("phantoms", "data phantom -o @ --count 10 --modality ct,endoscopy,microscopy --seed 5"),
    Run("phantoms-all", "data phantom -o @ --count 1 --json"),
    Run("phantoms-masks", "data phantom -o @ --count 6 --modality x-ray --format masks"),
    Run("phantoms-dicom", "data phantom -o @ --count 6 --modality ct --format dicom"),
    Run("phantoms-nifti", "data phantom -o @ --count 2 --modality ct --format nifti"),
    Run("phantoms-resume", "data phantom -o @phantoms-dicom --count 6 --modality ct --format dicom --resume"),
    *(
        Run(f"data-export-{tool}", f"data export @phantoms/phantom_endoscopy --to {tool} -o @ --json")
        for tool in TOOLS
    ),
    *(
        Run(
            f"data-convert-{tool}",
            f"data convert @data-export-{tool} --from {tool} --modality endoscopy {ABOUT}",
        )
        for tool in TOOLS
    ),
    Run(
        "data-convert-resume",
        f"data convert @data-export-voc --from voc --modality endoscopy {ABOUT}data-convert-voc --resume",
        records="data-convert-voc",
    ),
    Run(
        "data-convert-masks",
        f"data convert @phantoms-masks/phantom_xray --from masks --modality x-ray --no-components {ABOUT}",
    ),
    Run(
        "data-convert-parts",
        f"data convert @phantoms-masks/phantom_xray --from masks --modality x-ray --min-area 30"
        f" --case '(\\d+)' {ABOUT}",
    ),
    Run(
        "data-convert-nifti",
        f"data convert @phantoms-nifti/phantom_ct --from nifti --modality ct --window soft --every 4 {ABOUT}",
    ),
    Run(
        "data-convert-organs",
        "data convert inputs/formats/segmented --from nifti --modality ct --axis coronal"
        f" --every 9 --skip-empty {ABOUT}",
    ),
    Run(
        "data-convert-csv",
        f"data convert @phantoms-dicom/phantom_ct --from dicom-csv --csv @phantoms-dicom/phantom_ct/boxes.csv"
        f" --modality ct {ABOUT}",
    ),
    Run(
        "data-convert-rsna",
        f"data convert inputs/ct/slices --from dicom-csv --csv inputs/ct/boxes.csv --labels liver"
        f" --modality ct {ABOUT}",
    ),
    Run(
        "data-convert-seg",
        f"data convert inputs/ct/segmentation.dcm --from dicom-seg --images inputs/ct/slices"
        f" --modality ct {ABOUT}",
    ),
    Run(
        "data-convert-rtstruct",
        f"data convert inputs/ct/structures.dcm --from rtstruct --images inputs/ct/slices"
        f" --modality ct {ABOUT}",
    ),
    Run(
        "data-convert-alone",
        f"data convert inputs/formats/dicom/liver.dcm --from dicom-seg --images inputs/ct/slices"
        f" --modality ct {ABOUT}",
    ),
    Run(
        "data-convert-real",
        f"data convert inputs/sources/chest_ct_organs --from coco --modality ct --drop-repeats {ABOUT}",
    ),
    Run(
        "data-split",
        "data split @phantoms/phantom_ct -o @/annotations.json --val 0.2 --test 0.3 --seed 1 --json",
    ),
    Run(
        "data-split-place",
        "data split @data-convert-masks --val 0.2 --test 0.2",
        records="data-convert-masks",
    ),
    Run(
        "data-split-real",
        "data split inputs/sources/acdc_cardiac -o @/annotations.json --keep-test --no-join-copies",
    ),
    Run(
        "data-split-repair",
        "data split inputs/sources/chest_ct_organs -o @/annotations.json --repair --hamming 16"
        " --correlation 0.8",
    ),
    Run(
        "merge",
        "data merge @phantoms/phantom_ct @phantoms/phantom_smear @data-convert-cvat @data-convert-nifti"
        " --map inputs/class_map.yaml --name merged -o @ --json",
    ),
    Run(
        "merge-refused", "data merge @phantoms/phantom_ct @phantoms/phantom_smear -o @merge", records="merge"
    ),
    Run("merge-copies", "data merge @phantoms/phantom_endoscopy @data-convert-cvat @data-convert-masks -o @"),
    Run("data-check", "data check @merge/dataset.yaml --json"),
    Run("data-check-copies", "data check @phantoms/phantom_endoscopy @data-convert-cvat @data-convert-seg"),
    Run("data-check-real", "data check inputs/three.yaml --json"),
    Run("data-stats", "data stats @merge/dataset.yaml --html @/stats.html --per-class 2"),
    Run("data-stats-real", "data stats inputs/three.yaml --html @/stats.html --per-class 1 --seed 4 --json"),
    Run("data-presence", "data presence @merge/dataset.yaml -o @/presence.csv --reasons @/reasons.csv"),
    Run(
        "data-presence-real",
        "data presence inputs/three.yaml -o @/presence.csv --reasons @/reasons.csv --json",
    ),
    Run("data-export-dataset", "data export @merge/dataset.yaml --to yolo -o @ --split val --link-images"),
)

TRAIN = (
    Run("train", f"train @merge/dataset.yaml -o @ {QUICK}"),
    Run("train-resume", f"train @merge/dataset.yaml -o @train {QUICK} --resume --json", records="train"),
    Run("train-refused", f"train @merge/dataset.yaml -o @train {QUICK}", records="train"),
    Run("train-stopped", f"train @merge/dataset.yaml -o @ {QUICK} --save-steps 1", is_interrupted=True),
    Run(
        "train-continued",
        f"train @merge/dataset.yaml -o @train-stopped {QUICK} --save-steps 1 --resume",
        records="train-stopped",
    ),
    Run(
        "train-weights",
        f"train @merge/dataset.yaml -o @ {QUICK} --epochs 1 -w medrov-n --freeze backbone --pseudo-labels"
        " --pseudo-after 0 --pseudo-score 0.01 --appearance medical --multi-scale 0.5 --accumulate 2 --json",
    ),
    Run(
        "train-distill",
        f"train @merge/dataset.yaml -o @ {QUICK} --epochs 1 --distill medrov-n --no-text-adapter"
        " --balance class --negatives random,background,hard --average-decay 0 --name small",
    ),
    Run(
        "detect-trained",
        "detect inputs/examples -w @train/best.safetensors -f jsonl --conf 0.001 --max-det 20",
    ),
    Run(
        "eval-trained", "eval @merge/dataset.yaml -w @train/best.safetensors -o @ --split val --bootstrap 20"
    ),
    Run("weights-show-trained", "weights show @train/best.safetensors"),
    Run("weights-verify-trained", "weights verify @train/best.safetensors --json"),
)

OTHER = (
    Run("weights-list", "weights list"),
    Run("weights-list-json", "weights list --json"),
    Run("weights-show", "weights show medrov-n"),
    Run("weights-show-json", "weights show medrov-n --json"),
    Run("weights-verify", "weights verify medrov-n"),
    Run("weights-verify-json", "weights verify medrov-n --json"),
    Run("weights-pull", "weights pull medrov-n --json"),
    Run("weights-import", "weights import inputs/classes.txt -o @/m.safetensors"),
    Run("doctor", "doctor --json", shape_only=True),
    Run("benchmark", "benchmark --images 4 --rounds 1 --imgsz 64 --classes 3 --json", shape_only=True),
)

REFUSED = (
    "detect",
    "detect absent.png",
    "detect inputs/examples -f gif",
    "detect inputs/examples -f png",
    "detect inputs/examples --window wide",
    "detect inputs/examples --shard 4/3",
    "detect inputs/examples -c polyp --classes-file inputs/classes.txt",
    "detect inputs/examples --imgsz 100",
    "detect inputs/examples -w absent",
    "detect inputs/examples --resume",
    "detect inputs/examples -o @ --resume --overwrite",
    "detect inputs/examples --conf 2",
    "detect inputs/examples --device tpu",
    "detect inputs/examples --text-encoder word2vec",
    "detect inputs/examples --engine onnx --device cuda",
    "detect inputs/examples --no-such-option",
    "search",
    "train absent.yaml -o @",
    "train inputs/broken.yaml -o @ --imgsz 100",
    "train inputs/broken.yaml -o @ --batch 5 --accumulate 2",
    "train inputs/broken.yaml -o @ --negatives soft",
    "eval inputs/broken.yaml --predictions absent.json",
    "eval inputs/broken.yaml --hit none",
    "eval inputs/broken.yaml --resume",
    "export --to coreml --precision int8",
    "export --to torchscript --nms -o @/m.torchscript",
    "pseudolabel inputs/broken.yaml",
    "pseudolabel inputs/broken.yaml -o @ --agree 5",
    "data convert absent --from voc --modality ct --licence CC0 -o @",
    "data convert inputs/examples --from masks --modality smell --licence CC0 -o @",
    "data split inputs/examples --val 0.9 --test 0.9",
    "data merge absent -o @",
    "data phantom -o @ --modality smell",
    "weights show absent",
    "weights pull absent",
    "benchmark --rounds 2 --seconds 3",
)


def refusals() -> Iterator[Run]:
    """Command lines that end with an error, for people and as JSON."""
    for number, command in enumerate(REFUSED, 1):
        yield Run(f"refused-{number:02}", command)
        yield Run(f"refused-{number:02}-json", f"{command} --json")
