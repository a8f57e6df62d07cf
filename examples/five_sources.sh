#!/bin/sh
# Build one dataset from five sources in five formats: masks, Pascal VOC, YOLO, COCO and NIfTI.
#
#   examples/five_sources.sh [FOLDER]
#
# The images are synthetic phantoms; with your own data, begin at "Convert". COUNT (images per source, at
# least 10) and VOLUMES are read from the environment.
set -eu

folder=${1:-runs/five-sources}
count=${COUNT:-20}

# Five sources in different formats.
medrov data phantom -o "$folder/sent" --count "$count" --modality x-ray --format masks
medrov data phantom -o "$folder/sent" --count "${VOLUMES:-5}" --modality ct --format nifti
medrov data phantom -o "$folder/drawn" --count "$count" --modality fundoscopy,endoscopy,microscopy
medrov data export "$folder/drawn/phantom_endoscopy" --to voc -o "$folder/sent/polyps_voc"
medrov data export "$folder/drawn/phantom_fundoscopy" --to yolo -o "$folder/sent/eyes_yolo"
medrov data export "$folder/drawn/phantom_smear" --to coco -o "$folder/sent/smears_coco"

# Convert: one source folder each.
convert() {
  name=$1
  shift
  medrov data convert "$@" --licence CC0 --source "synthetic phantoms" -o "$folder/data/$name"
}
convert chest "$folder/sent/phantom_xray" --from masks --modality x-ray --no-components
convert abdomen "$folder/sent/phantom_ct" --from nifti --modality ct --window soft --every 4
convert polyps "$folder/sent/polyps_voc" --from voc --modality endoscopy
convert eyes "$folder/sent/eyes_yolo" --from yolo --modality fundoscopy
convert smears "$folder/sent/smears_coco" --from coco --modality microscopy

# Masks and volumes have no splits: assign them by patient.
medrov data split "$folder/data/chest" --val 0.2 --test 0.2
medrov data split "$folder/data/abdomen" --val 0.2 --test 0.2

# Merge and check.
cat > "$folder/classes.yaml" <<'END'
rename: {platelets: platelet}
synonyms: {red blood cell: erythrocyte/red cell, colon polyp: polyp}
END
medrov data merge "$folder/data/chest" "$folder/data/abdomen" "$folder/data/polyps" \
  "$folder/data/eyes" "$folder/data/smears" --map "$folder/classes.yaml" --name five-sources \
  -o "$folder/dataset"
exec medrov data check "$folder/dataset/dataset.yaml"
