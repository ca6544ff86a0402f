"""The recordings that tests read: those beside the project where they are there, and the ones it ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "streams"


def index() -> list[dict[str, Any]]:
    """All entries of the shared index; none where it is absent."""
    path = SHARED / "index.json"
    return json.loads(path.read_text()) if path.exists() else []


def shared(api: str) -> list[dict[str, Any]]:
    """The entries of the shared index for one API; none where it is absent."""
    return [entry for entry in index() if entry["api"] == api]


def body(entry: dict[str, Any]) -> bytes:
    """The recorded response body."""
    return (SHARED / str(entry["file"])).read_bytes()


def chunks(raw: bytes) -> list[dict[str, Any]]:
    """The JSON payloads of an event stream, read by a parser that is not ours: line by line, for whole bodies only."""
    lines = raw.decode().replace("\r\n", "\n").split("\n")
    payloads = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    return [json.loads(payload) for payload in payloads if payload != "[DONE]"]
