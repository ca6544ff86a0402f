"""Logged streams through a pipeline again, on Ray Data: on one machine or many. Needs the extra `ray`.

What a row is and becomes is in `rows`, how lines are read and written in `lines`; how work is spread, retried and kept in memory
is Ray's own business, and not known here. Importing this imports neither Ray nor Arrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamfilter.declaration import is_count
from streamfilter.pipeline import Stage, as_stage
from streamfilter.plain import check_gives_text
from streamfilter.records import FIELD

if TYPE_CHECKING:
    from ray.data import Dataset

__all__ = ["map_streams", "read_lines", "write_lines"]

REPORTS = ("counts", "reason")
"""What the columns of reports are named, behind the name of the field."""


def map_streams(
    dataset: Dataset,
    pipeline: Stage[Any, Any],
    *,
    field: str = FIELD,
    json_in: str | None = None,
    actors: int | None = None,
    **options: Any,
) -> Dataset:
    r"""Send a field of each row through a pipeline, each row being a stream of its own. Nothing is run before the result is used.

    A row has what `filter_records` gives for it: in the field what came out of the pipeline, in `{field}_counts` how often which
    rule found something, as a list of `{rule, count}`. Of a bad row the field is null, and `{field}_reason` says why, never with
    its text; the job goes on. All other columns are as they were, and so is the order, as far as Ray keeps it.

    Args:
        dataset: rows.
        pipeline: stages over text. Each actor gets its own, once.
        field: the column that holds a text, or a list of texts (the chunks of a stream), or a list of a provider's chunks.
        json_in: a column that holds records as JSON; then `field` is one of theirs. Of what `read_lines` gave, a line that is no
            JSON is a bad row, where `ray.data.read_json` fails.
        actors: how many processes filter at most. By default as many as Ray sees work and room for. Leave a CPU to what reads and
            writes: a job whose actors have them all may wait for one forever.
        options: more arguments of `Dataset.map_batches`: what an actor needs (`num_cpus`, `memory`), say.

    Raises:
        ModuleNotFoundError: Ray Data is not installed.
        TypeError: the dataset is none, or the pipeline, or that gives values; or an option is not to be chosen.
        ValueError: it is known to have no such column, or to have the columns of a report already.

    Example:
        >>> import streamfilter as sf
        >>> from streamfilter.ray import map_streams
        >>> import ray  # doctest: +SKIP
        >>> rows = ray.data.from_items([{"id": 1, "text": "pin 1234"}])  # doctest: +SKIP
        >>> map_streams(rows, sf.Redact(r"\d{4}", to="####")).take_all()  # doctest: +SKIP
        [{'id': 1, 'text': 'pin ####', 'text_counts': [{'rule': 'redacted', 'count': 1}], 'text_reason': None}]
    """
    stage = as_stage(pipeline)
    check_gives_text(stage.stages, "map_streams")
    data = _ray_data()
    if not isinstance(dataset, data.Dataset):
        raise TypeError(f"{type(dataset).__name__} is no dataset: give what ray.data.read_parquet(...) or the like gives")
    if actors is not None and not is_count(actors):
        raise ValueError("actors is to be a number from 1")
    if taken := {"batch_format", "batch_size", "compute", "concurrency", "fn_constructor_kwargs"} & options.keys():
        raise TypeError(f"{', '.join(sorted(taken))} cannot be chosen: `actors` says how many processes filter")
    schema = dataset.schema(fetch_if_missing=False)
    if schema is not None and schema.names:
        _check_columns(schema.names, json_in or field, field)
    from streamfilter.ray.rows import FilterRows  # noqa: PLC0415  # needs Arrow

    filtered: Dataset = dataset.map_batches(
        FilterRows,
        fn_constructor_args=(stage, field, json_in),
        batch_format="pyarrow",
        batch_size=None,  # a block, which Ray keeps at some 128 MiB; any number of rows may be too much memory
        compute=data.ActorPoolStrategy(min_size=1, max_size=actors),
        **options,
    )
    return filtered


def read_lines(paths: str | list[str], *, column: str = FIELD, places: bool = False) -> Dataset:
    """Read files of lines, such as JSONL, for `map_streams(..., json_in=column)`.

    Each line is a row, as bytes; empty ones are none. Lines end with a line feed and nothing else, as JSONL has it. A file that is
    compressed is known by the end of its name, such as `.gz`.

    Args:
        paths: files, or directories of them, on any file system that Ray knows.
        column: what the column is named.
        places: whether the columns `path` and `line`, which counts from 1, say where a line stood: of a bad row nothing else does.

    Raises:
        ModuleNotFoundError: Ray Data is not installed.
        FileNotFoundError: there is no such file.
        ValueError: `column` has the name of a place.

    Example:
        >>> from streamfilter.ray import read_lines
        >>> read_lines("log.jsonl").take(1)  # doctest: +SKIP
        [{'text': b'{"id": 1, "text": "pin 1234"}'}]
    """
    data = _ray_data()
    if places and column in ("path", "line"):
        raise ValueError(f"column={column!r}: with places=True that column says where a line stood; choose another name")
    from streamfilter.ray.lines import LinesIn  # noqa: PLC0415  # needs Ray

    lines: Dataset = data.read_datasource(LinesIn(paths, column, places=places))
    return lines


def write_lines(dataset: Dataset, path: str, *, column: str = FIELD) -> None:
    """Write a column of texts as lines, into files that end with `.jsonl`: with `map_streams(..., json_in=column)`, JSONL again.

    Null and empty texts are left out: bad rows have no line. What `Dataset.write_json` would write goes through pandas, which
    shortens numbers.

    Args:
        dataset: rows.
        path: a directory, on any file system that Ray knows.
        column: which one.

    Raises:
        ModuleNotFoundError: Ray Data is not installed.
        ValueError: the dataset is known to have no such column.

    Example:
        >>> from streamfilter.ray import map_streams, read_lines, write_lines
        >>> lines = read_lines("log.jsonl")  # doctest: +SKIP
        >>> write_lines(map_streams(lines, pipeline, field="answer", json_in="text"), "clean")  # doctest: +SKIP
    """
    _ray_data()
    schema = dataset.schema(fetch_if_missing=False)
    if schema is not None and schema.names:
        _check_columns(schema.names, column)
    from streamfilter.ray.lines import LinesOut  # noqa: PLC0415  # needs Ray

    dataset.write_datasink(LinesOut(path, column))


def _ray_data() -> Any:
    try:
        import ray.data  # noqa: PLC0415  # an extra, and slow
    except ModuleNotFoundError as error:
        name = error.name or "ray"
        raise ModuleNotFoundError(f'{name} is missing: pip install "streamfilter[ray]"', name=name) from error
    return ray.data


def _check_columns(names: list[str], column: str, field: str | None = None) -> None:
    if column not in names:
        raise ValueError(f"there is no column {column!r}: there are {', '.join(map(repr, names))}")
    for report in REPORTS if field is not None else ():
        if f"{field}_{report}" in names:
            raise ValueError(f"there is a column '{field}_{report}' already, which the report would get: rename or drop it")
