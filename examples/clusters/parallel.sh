#!/bin/bash
# A sweep with GNU parallel, a shard a slot, here or on machines that share this directory:
#
#   examples/clusters/parallel.sh scenarios/sweeps/how_many.ron 8
#   HOSTS=one,two,three examples/clusters/parallel.sh scenarios/sweeps/how_many.ron 24
set -euo pipefail

sweep=$1
shards=$2
name=$(basename "$sweep" .ron)
there=(${HOSTS:+--sshlogin "$HOSTS" --workdir "$PWD"})
# A shard that fails is tried again and goes on where it was.
seq "$shards" | parallel --retries 3 "${there[@]}" \
    fleetsim sweep "$sweep" --shard "{}/$shards" --jobs 1 --resume --quiet
fleetsim merge results/"$name"-*-of-"$shards" --out "results/$name"
