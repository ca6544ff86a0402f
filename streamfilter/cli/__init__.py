"""The command line. It needs the extra `cli`; everything it does, the library does."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit: 0 if all went well, 1 if the input was bad, 2 if the command was, 130 if interrupted."""
    try:
        from streamfilter.cli.app import run_app
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit(f"streamfilter: the command line needs {error.name}: pip install 'streamfilter[cli]'")
    sys.exit(run_app())
