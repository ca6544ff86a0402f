"""Lines of files as rows of Ray Data, and rows as lines of files. Where files are and what they are named is Ray's own business.

`ray.data.read_text` will not do for JSONL: it cuts at whatever Unicode calls the end of a line, which JSON may have in its texts,
and one byte that is no UTF-8 fails the job.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from ray.data.block import BlockAccessor
from ray.data.datasource import BlockBasedFileDatasink
from ray.data.datasource.file_based_datasource import FileBasedDatasource

READ_BYTES = 8 * 1024 * 1024
"""Bytes of a file that become one block of rows: few enough to be in memory several times, enough for the work per block."""


class LinesIn(FileBasedDatasource):
    """A row for each line that is not empty, as bytes.

    Args:
        paths: files, or directories of them.
        column: what the column is named.
        places: whether the columns `path` and `line` say where each stood.
    """

    def __init__(self, paths: str | list[str], column: str, *, places: bool = False) -> None:
        super().__init__(paths, include_paths=places)
        self._column = column
        self._places = places

    def _read_stream(self, f: Any, path: str) -> Iterator[pa.Table]:
        """Called by Ray for each file."""
        rest: list[bytes] = []
        first = 1
        while piece := f.read(READ_BYTES):
            head, newline, tail = piece.rpartition(b"\n")
            if newline:
                text = b"".join([*rest, head])
                yield self._block(text, first)
                first += 1 + text.count(b"\n")
                rest = []
            rest.append(tail)
        yield self._block(b"".join(rest), first)

    def _block(self, text: bytes, first: int) -> pa.Table:
        lines = [(number, line) for number, line in enumerate(text.split(b"\n"), first) if line.strip()]
        table = {self._column: pa.array([line for _, line in lines], pa.large_binary())}
        if self._places:
            table["line"] = pa.array([number for number, _ in lines], pa.int64())
        return pa.table(table)


class LinesOut(BlockBasedFileDatasink):
    """Each text of a column, and a line feed.

    Args:
        path: a directory.
        column: which one.
    """

    def __init__(self, path: str, column: str) -> None:
        super().__init__(path, file_format="jsonl")
        self._column = column

    def write_block_to_file(self, block: BlockAccessor, file: Any) -> None:
        """Called by Ray for each block, with the file that it gets."""
        for text in block.to_arrow().column(self._column).to_pylist():
            if text:
                file.write(text if isinstance(text, bytes) else text.encode())
                file.write(b"\n")

    def get_name(self) -> str:
        return "Lines"
