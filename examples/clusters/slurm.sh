#!/bin/bash
# A sweep as a Slurm array job: task I runs shard I of N. A task that is requeued goes on where it was.
#
#   sbatch --array=1-8 examples/clusters/slurm.sh scenarios/sweeps/how_many.ron
#   # when it is through:
#   fleetsim merge results/how_many-*-of-8 --out results/how_many
#SBATCH --job-name=fleetsim
#SBATCH --cpus-per-task=2
#SBATCH --requeue
set -euo pipefail

sweep=$1
shard=$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
fleetsim sweep "$sweep" --shard "$shard" --jobs "${SLURM_CPUS_PER_TASK:-1}" --resume --quiet
