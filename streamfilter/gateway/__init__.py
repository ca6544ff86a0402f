"""A reverse proxy in front of a provider's API, which filters what goes through it: `streamfilter serve`, or `Gateway` in Python.

Clients change their `base_url` and nothing else. What filters bodies is `StreamFilterMiddleware`; here is what a proxy has to know
besides: where requests may go, which headers may pass, how long things may take, how many there may be.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamfilter.gateway.entrance import Gateway, Others
    from streamfilter.gateway.limits import Limits
    from streamfilter.gateway.serving import serve

__all__ = ["Gateway", "Limits", "Others", "serve"]

_LATE = {"Gateway": "entrance", "Others": "entrance", "Limits": "limits", "serve": "serving"}
_EXTRA = frozenset({"httpcore2", "prometheus_client", "uvicorn"})


if not TYPE_CHECKING:  # a type checker would take any name for one of this module's

    def __getattr__(name: str) -> object:
        """Import what is asked for; an extra that is absent is named."""
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415

        try:
            return getattr(import_module(f"streamfilter.gateway.{_LATE[name]}"), name)
        except ModuleNotFoundError as error:
            if error.name not in _EXTRA:
                raise
            raise ModuleNotFoundError(
                f'the gateway needs {error.name}: pip install "streamfilter[gateway]"', name=error.name
            ) from None
