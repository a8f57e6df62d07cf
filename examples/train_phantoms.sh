#!/bin/sh
# Draw synthetic phantoms, and train a detector from random weights on them.
#
#   examples/train_phantoms.sh [FOLDER]
#
# COUNT (phantoms per source), EPOCHS and IMGSZ are read from the environment. The defaults show rising
# curves; a useful model needs real images and some hours.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-runs/phantom-model}

"${PYTHON:-python}" "$here/make_phantoms.py" --training "${COUNT:-100}" --seed 1 --output "$folder/data"
exec medrov train "$here/phantoms.yaml" \
  --data-root "$folder/data" \
  --output "$folder/run" \
  --name phantoms \
  --model n \
  --imgsz "${IMGSZ:-320}" \
  --epochs "${EPOCHS:-10}" \
  --offline \
  --resume
