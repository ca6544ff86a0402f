"""The command line. It needs the extra `cli`; everything it does, the library does."""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["main"]

INTERRUPTED = 130
"""The exit code of what a keyboard interrupt ended, as shells count it (128 + SIGINT)."""


def main() -> None:
    """Run the command line and exit: 0 if all went well, 1 if the input was bad, 2 if the command was, 130 if interrupted."""
    # Loading takes half a second, and ending some time too. Then nothing is open, and an interrupt has nothing to tell.
    is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not where a shell has it ignored
    if is_usual:
        signal.signal(signal.SIGINT, _leave)
    try:
        from streamfilter.cli.app import run_app
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit(f"streamfilter: the command line needs {error.name}: pip install 'streamfilter[cli]'")
    try:
        if is_usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run_app()
        if is_usual:
            signal.signal(signal.SIGINT, _leave)
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)
