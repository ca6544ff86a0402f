"""A log of answers, filtered on Ray Data: `python offline_ray.py logs clean`, on a laptop.

`logs` is a JSONL file or a directory of them, each line an object with a text, or a list of chunks, in `answer`. What comes out is
`clean/lines/*.jsonl`, and `clean/bad/*.parquet` with file, line and reason for each line that was bad. On a cluster, the lines that
are marked change; nothing else does.
"""

from __future__ import annotations

import sys

import ray
from ray.data.expressions import col

import streamfilter as sf
from streamfilter.detectors import EMAIL, PII
from streamfilter.ray import map_streams, read_lines, write_lines

PIPELINE = sf.Redact(EMAIL, *PII, to="[{rule}]") | sf.Normalize("NFC")


def clean(source: str, target: str) -> tuple[int, int]:
    """How many records were filtered, and how many were bad."""
    lines = read_lines(source, places=True)  # cluster: source is "s3://bucket/logs"
    done = map_streams(lines, PIPELINE, field="answer", json_in="text").materialize()
    bad = done.filter(expr=col("answer_reason").is_not_null())
    write_lines(done, f"{target}/lines")  # cluster: target is "s3://bucket/clean"
    number = bad.count()
    if number:
        bad.drop_columns(["text", "answer_counts"]).write_parquet(f"{target}/bad")
    return done.count() - number, number


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False)  # cluster: ray.init("auto"), on one of its machines
    good, wrong = clean(*sys.argv[1:])
    print(f"{good} records filtered, {wrong} bad")  # noqa: T201  # for people
