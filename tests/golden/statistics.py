"""Writes statistics.csv: figures that fleetsim must agree with, from numpy 2.4.6 and scipy 1.17.1."""

import csv
import sys

import numpy
from scipy.stats import gmean

generator = numpy.random.default_rng(1)
cases = {
    "one value": [0.1],
    "two values": [3.0, 1.0],
    "all equal": [0.25] * 9,
    "one zero": [0.0, 0.5, 2.0, 8.0],
    "all zero": [0.0] * 5,
    "descending": [float(n) for n in range(100, 0, -1)],
    "every tenth": [n / 10 for n in range(1, 12)],
    "far apart": [1e-9, 1e9, 3.5, 1e-100, 1e100],
    "small spread on a large value": [1e8 + n / 8 for n in range(16)],
    "lognormal": generator.lognormal(-1.0, 1.5, 201).tolist(),
    "ties": generator.integers(1, 6, 150).astype(float).tolist(),
    # Too many to write out: n × 7919 mod 100003, over 64, for n from 1.
    "modular 100003": [n * 7919 % 100003 / 64 for n in range(1, 100003)],
}

out = csv.writer(sys.stdout, lineterminator="\n")
out.writerow("case values count mean std min max p50 p90 p95 p99 p999 geomean".split())
with numpy.errstate(divide="ignore"):
    for name, values in cases.items():
        written = [] if name.startswith("modular") else values
        figures = [numpy.mean(values), numpy.std(values), min(values), max(values)]
        figures += [numpy.percentile(values, p) for p in (50, 90, 95, 99, 99.9)]
        figures += [gmean(values)]
        out.writerow(
            [name, " ".join(map(repr, written)), len(values)] + [repr(float(f)) for f in figures]
        )
