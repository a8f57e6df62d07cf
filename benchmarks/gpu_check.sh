#!/usr/bin/env bash
# Check and time medrov on a GPU: one command, at most eight minutes, no network.
#
#     benchmarks/gpu_check.sh [--output FOLDER] [--seconds 440] [--device cpu --tiny]
#
# It needs torch, numpy, opencv-python(-headless), safetensors and ultralytics, and nothing else of medrov's
# dependencies. It writes gpu_check.json and gpu_check.md; the exit code is 1 if the GPU gives other results
# than the CPU.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$root/src:$root/benchmarks${PYTHONPATH:+:$PYTHONPATH}" MEDROV_OFFLINE=1
exec "${PYTHON:-python3}" "$root/benchmarks/gpu_check.py" "$@"
