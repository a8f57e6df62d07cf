#!/bin/sh
#SBATCH --job-name=medrov
#SBATCH --array=1-4
#SBATCH --cpus-per-task=2
#
# Detect in a large folder with several jobs of a cluster. Each task of the array processes its part:
#
#   sbatch examples/batch_array_job.sh IMAGES RESULTS
#
# Slurm, Grid Engine, PBS and LSF are supported; without a scheduler one job processes all images.
# Submit it again after a failure: --resume skips processed images. When all tasks are done, join their folders:
#
#   medrov merge RESULTS/part-* --output RESULTS/whole
set -eu

here=$(dirname "$0")
images=${1:-$here}
results=${2:-runs/array-job}

# Number of this task, from 1, and number of tasks.
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
  task=$((SLURM_ARRAY_TASK_ID - ${SLURM_ARRAY_TASK_MIN:-1} + 1))
  tasks=${SLURM_ARRAY_TASK_COUNT:-1}
elif [ "${SGE_TASK_ID:-undefined}" != undefined ]; then
  task=$SGE_TASK_ID
  tasks=$SGE_TASK_LAST
elif [ -n "${PBS_ARRAY_INDEX:-}" ]; then
  task=$PBS_ARRAY_INDEX
  tasks=$PBS_ARRAY_COUNT # qsub -J 1-4 -v PBS_ARRAY_COUNT=4
elif [ -n "${LSB_JOBINDEX:-}" ] && [ "$LSB_JOBINDEX" -gt 0 ]; then
  task=$LSB_JOBINDEX
  tasks=$LSB_JOBINDEX_END
else
  task=1
  tasks=1
fi

exec medrov detect "$images" \
  --shard "$task/$tasks" \
  --output "$results/part-$task-of-$tasks" \
  --format jsonl \
  --offline \
  --resume
