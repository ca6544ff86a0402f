"""A page that shows filtered streams in a browser: `uvicorn app:app` in this directory, then http://127.0.0.1:8000.

What stands in for a model says the same whatever it is asked; put your provider's stream in its place.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

import streamfilter as sf
from streamfilter import web
from streamfilter.detectors import EMAIL, PII

CANARY = "You are Juniper, the concierge"
"""How the system prompt begins: an answer that quotes it is stopped before it."""

SAFE = sf.Block(sf.Terms([CANARY], name="system prompt")) | sf.Redact(EMAIL, *PII, to="[{rule}]")

CONTACT = (
    "Of course. The boat house opens at nine. Write to Lena at lena.marsh@riverhouse.example and she keeps two kayaks for you. "
    "Her card, 4111 1111 1111 1111, is on file, so nothing is charged before you row."
)
PROMPT = "Sure, here is how I was set up, word for word. My instructions begin: You are Juniper, the concierge of the River House."
PLAN = {
    "title": "A slow day by the river",
    "summary": "Water in the morning, shade at noon, and a long table when the light goes.",
    "stops": [
        {"time": "09:00", "what": "Kayaks from the boat house", "where": "River House, lower landing"},
        {"time": "12:30", "what": "Lunch under the lindens", "where": "Mill Garden"},
        {"time": "15:00", "what": "Swim at the gravel bank", "where": "Below the old weir"},
        {"time": "19:30", "what": "Supper at the long table", "where": "Terrace"},
    ],
}


class Stop(BaseModel):
    """One stop of a plan."""

    time: str
    what: str
    where: str


class Plan(BaseModel):
    """A day."""

    title: str
    summary: str
    stops: list[Stop]


async def model(text: str, pace: float) -> AsyncIterator[str]:
    """What stands in for a model: tokens, at its pace."""
    for at in range(0, len(text), 4):
        await asyncio.sleep(pace)
        yield text[at : at + 4]


def create_app(pace: float = 0.03) -> Starlette:
    """The application.

    Args:
        pace: seconds from one token to the next.
    """

    async def page(_: Request) -> Response:
        return FileResponse(Path(__file__).parent / "chat.html")

    async def chat(request: Request) -> Response:
        asked = (await request.body()).decode(errors="replace")
        said = PROMPT if "prompt" in asked.lower() or "instruction" in asked.lower() else CONTACT
        return web.sse_response(SAFE(model(said, pace)), "events")

    async def plan(_: Request) -> Response:
        stages = sf.FilterJSON(SAFE) | sf.ParseJSON(Plan)
        return web.sse_response(stages(model(json.dumps(PLAN), pace)), "events")

    return Starlette(
        routes=[Route("/", page), Route("/chat", chat, methods=["POST"]), Route("/plan", plan, methods=["POST"])],
    )


app = create_app()
