"""A reader in a process of its own: `python failing_reader.py URL MODEL`. It prints the filtered text of one answer as it comes.

Interrupted or terminated, it leaves as applications do: its task is cancelled. What it says of that goes to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

import openai

import streamfilter as sf


async def main(url: str, model: str) -> None:
    """Print what is released, at once."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:
        source = await client.chat.completions.create(model=model, messages=[], stream=True)
        try:
            async with sf.Redact(r"[\w.]+@example\.org", to="[email]")(sf.text_of(source)) as stream:
                async for text in stream:
                    sys.stdout.write(text)
                    sys.stdout.flush()
        finally:
            sys.stderr.write(f"closed {source.response.is_closed}\n")


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except BrokenPipeError:
        sys.stderr.write("nobody reads\n")
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.close()
        sys.exit(1)
    except asyncio.CancelledError:
        sys.exit(143)
