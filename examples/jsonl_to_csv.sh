#!/bin/bash
# Convert detections to CSV by jq, one row per detection:
#
#   examples/jsonl_to_csv.sh scan.dcm smear.png > detections.csv
#
# A failed input is a row with its error code in the last column. The exit code is that of
# `medrov detect`: 3 if some inputs failed.
set -euo pipefail

if ! command -v jq > /dev/null; then
  echo "jsonl_to_csv.sh: jq is not installed; 'medrov detect --format csv' needs no jq" >&2
  exit 1
fi

if [ $# -eq 0 ]; then
  here=$(dirname "$0")
  set -- "$here/chest_ct.dcm" "$here/blood_smear.png" "$here/polyp.png"
fi

echo "path,frame,class,score,x1,y1,x2,y2,error"
medrov detect "$@" --format jsonl --offline | jq --raw-output '
  . as $record
  | if .error then [.path, null, null, null, null, null, null, null, .error.code]
    else .detections[] | [$record.path, $record.frame, .class, .score] + .box_xyxy + [null]
    end
  | @csv'
