#!/usr/bin/env bash
# An example SLURM job: training on every GPU of some nodes, one task a GPU.
#
#   sbatch --nodes=2 scripts/slurm.sh --config configs/resnet_sn.py --workdir runs/big \
#     --config.data.dir=DIR --config.train.batch_size=1024
#
# Submit from the repository, where scripts/test or scripts/demo has made .venv, on a file system
# that all nodes share. The same line, submitted again, goes on from the last checkpoint; so does a
# job that was preempted. docs/scaling.md says what else to change with the number of GPUs.
#
# One task a GPU is what JAX expects under SLURM, and it divides the reading of the data too. Adapt
# the three numbers 8 to the GPUs of a node, and the cores to what a node has.
#SBATCH --job-name=voxgan
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --output=voxgan-%j.log
# Later output is added where the job was preempted and starts again.
#SBATCH --open-mode=append
#SBATCH --requeue
# Two minutes before the time is over the tasks get SIGTERM: they save a checkpoint and end.
#SBATCH --signal=TERM@120
set -euo pipefail

# Through a proxy the processes would not find each other; training needs no other network.
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

cd "${SLURM_SUBMIT_DIR:?start this script with sbatch}"

# The parts of the data are those of the first start: they decide its order. Set NUM_SHARDS to go on
# with fewer or more tasks; their number must divide it, and it must divide the batch size.
shards=${NUM_SHARDS:-$SLURM_NTASKS}

# The tasks of a node see all its GPUs and take one each, so that these can reach one another. One
# task that fails must end the others, which wait for it.
srun --gpu-bind=none --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=1 --label \
  .venv/bin/python scripts/train.py "$@" --config.data.num_shards="$shards"
