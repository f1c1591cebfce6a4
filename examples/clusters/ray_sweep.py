"""A sweep on a Ray cluster: a task a shard. Each machine needs `fleetsim` and the files of the sweep.

    python examples/clusters/ray_sweep.py scenarios/sweeps/how_many.ron --shards 8
"""

import argparse
import pathlib
import shutil
import subprocess
import tempfile

import ray


@ray.remote(num_cpus=1, max_retries=3)
def run_shard(sweep: str, shard: int, shards: int) -> bytes:
    """Runs one shard and returns its journal, which is all that `merge` needs."""
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            ["fleetsim", "sweep", sweep, "--shard", f"{shard}/{shards}",
             "--jobs", "1", "--quiet", "--out", f"{out}/shard"],
            check=True,
        )
        return pathlib.Path(out, "shard", "sweep.jsonl").read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep", type=pathlib.Path)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    out = options.out or pathlib.Path("results", options.sweep.stem)

    ray.init()
    sweep = str(options.sweep.resolve())
    shards = range(1, options.shards + 1)
    journals = ray.get([run_shard.remote(sweep, shard, options.shards) for shard in shards])

    parts = pathlib.Path(tempfile.mkdtemp())
    directories = []
    for shard, journal in zip(shards, journals):
        directory = parts / str(shard)
        directory.mkdir()
        (directory / "sweep.jsonl").write_bytes(journal)
        directories.append(str(directory))
    subprocess.run(["fleetsim", "merge", *directories, "--out", str(out)], check=True)
    shutil.rmtree(parts)


if __name__ == "__main__":
    main()
