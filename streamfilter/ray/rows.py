"""Rows of an Arrow table through a pipeline: the table again, and what was found beside each row.

What a row's text becomes is decided where records are filtered; here only what a table can hold of it. No error quotes a value,
which Arrow's own do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from streamfilter.pipeline import Stage
from streamfilter.records import filter_json, filter_records

COUNTS = pa.list_(pa.struct([("rule", pa.string()), ("count", pa.int64())]))
"""The type of counts. A map would become pairs without names in JSON, and the fields of a struct would differ between batches."""

Row = tuple[Any, dict[str, int], str]


class FilterRows:
    """What one actor does: it has one pipeline, and gets tables.

    Args:
        stage: the pipeline.
        field: what is filtered.
        json_in: the column whose records have that field; None if it is itself a column.
    """

    def __init__(self, stage: Stage[Any, Any], field: str, json_in: str | None) -> None:
        self._stage = stage
        self._field = field
        self._json_in = json_in

    def __call__(self, table: pa.Table) -> pa.Table:
        """The same rows, filtered, with their reports."""
        name = self._field if self._json_in is None else self._json_in
        at = table.schema.get_field_index(name)
        column = table.column(at) if at >= 0 else pa.nulls(table.num_rows)
        values = column.to_pylist()
        if at < 0:
            rows: list[Row] = [(None, {}, f"the column {name!r} is missing")] * len(values)
        else:
            rows = list(self._filtered(values) if self._json_in is None else self._filtered_json(values))
        array, rows = _array(rows, column.type)
        table = table.set_column(at, table.schema.field(at).with_nullable(True), array) if at >= 0 else table
        counts = [[{"rule": rule, "count": count} for rule, count in counts.items()] for _, counts, _ in rows]
        for report, of_type, told in (
            ("counts", COUNTS, counts),
            ("reason", pa.string(), [reason or None for _, _, reason in rows]),
        ):
            if f"{self._field}_{report}" in table.column_names:
                raise ValueError(
                    f"there is a column '{self._field}_{report}' already, which the report would get: rename or drop it"
                )
            table = table.append_column(f"{self._field}_{report}", pa.array(told, of_type))
        return table

    def _filtered(self, values: Sequence[object]) -> Iterator[Row]:
        records = ({self._field: value} for value in values)
        for done in filter_records(self._stage, records, field=self._field):
            yield None if done.record is None else done.record[self._field], done.counts, done.reason

    def _filtered_json(self, values: Sequence[object]) -> Iterator[Row]:
        lines = (value if isinstance(value, str | bytes) else b"" for value in values)
        for value, done in zip(values, filter_json(self._stage, lines, field=self._field), strict=True):
            if not isinstance(value, str | bytes):
                yield None, {}, f"the column {self._json_in!r} holds {type(value).__name__}: records as JSON are needed"
            elif done.line is None:
                yield None, {}, done.reason
            else:
                yield done.line if isinstance(value, bytes) else done.line.decode(), done.counts, ""


def _array(rows: list[Row], of_type: pa.DataType) -> tuple[pa.Array, list[Row]]:
    """What came out as a column of the type that what went in had. A row that does not fit it is bad."""
    values = [value for value, _, _ in rows]
    is_text = pa.types.is_string(of_type) or pa.types.is_large_string(of_type)
    try:
        array = pa.array(values, of_type)
        if is_text or _said(array.to_pylist()) == _said(values):
            return array, rows
    except Exception:  # noqa: S110  # Arrow has many errors, and they quote the value. Half a surrogate pair fits into no table
        pass
    checked = [row if _fits(row[0], of_type) else (None, {}, "what came out does not fit the type of the column") for row in rows]
    return pa.array([value for value, _, _ in checked], of_type), checked


def _fits(value: object, of_type: pa.DataType) -> bool:
    try:
        return bool(_said(pa.array([value], of_type).to_pylist()) == _said([value]))
    except Exception:
        return False


def _said(value: Any) -> Any:
    """Without what is null: a struct has every field that any of its column has."""
    if isinstance(value, dict):
        return {key: _said(each) for key, each in value.items() if each is not None}
    return [_said(each) for each in value] if isinstance(value, list) else value
