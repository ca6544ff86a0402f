"""`guard`: a client of a provider's SDK whose every call goes through pipelines.

What is guarded is the HTTP client beneath the SDK, not its methods: so every method, helper, parser, raw response and copied client
is covered alike, and what the SDK accumulates is filtered text. This module knows how each SDK comes to its HTTP client, how a
client is copied with another, and what of it goes past HTTP. No SDK is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypeVar, get_args

from streamfilter.context import AfterStop
from streamfilter.pipeline import Stage
from streamfilter.providers.guarding_calls import Guarding, Refused, Unknown
from streamfilter.providers.guarding_http import Carried, guarded, is_guarded
from streamfilter.providers.guarding_pipelines import Contexts, check_after_stop, checked

C = TypeVar("C")

FRAMEWORKS = {
    "langchain_core.language_models.chat_models.BaseChatModel": "langchain",
    "langchain_core.runnables.base.RunnableBindingBase": "langchain",
    "pydantic_ai.models.Model": "pydantic_ai",
}
"""Models of frameworks, by class, and the format whose module guards them."""

NO_SOCKET = "refused://a-guarded-client-opens-no-websocket"
"""Where a guarded client of OpenAI finds the server of its realtime methods. They go past HTTP, and so past the pipelines."""


def guard(
    client: C,
    *,
    request: Stage[str, str] | None = None,
    response: Stage[str, str] | None = None,
    context: Contexts = None,
    unknown: Unknown = "raise",
    after_stop: AfterStop = "close",
) -> C:
    """A client whose every call is filtered, streaming or not; in all else, and to type checkers, the client that it was.

    The client itself stays as it was; both use the same connections, and to close either closes both. Errors of stages reach the
    caller as they are, and are not tried again. `client.with_options(...)` gives a guarded client.

    Args:
        client: an `OpenAI`, `AsyncOpenAI`, `Anthropic`, `AsyncAnthropic` (or one made from these), or a `genai.Client`; or a chat
            model of LangChain (see `providers.langchain.guarded`) or a model of pydantic-ai (see `providers.pydantic_ai.guarded`).
        request: what all text in requests goes through: messages, tools, metadata.
        response: what all text in responses goes through.
        context: of all calls, or a function that makes one for each. Without one, and where it has no vault, each call has a vault
            of its own, which its request and its response share.
        unknown: what becomes of calls that are not known to carry no text, or carry it in a way that is not known here, such as
            uploads: `"raise"` refuses them before anything is sent, `"pass"` lets them pass unfiltered.
        after_stop: what happens to the source once a stage has ended a stream.

    Raises:
        TypeError: the client is none of these or is guarded already; there is no pipeline, or one is none of text stages, or must
            wait while the client is for plain code; the context is something else.
        ValueError: `unknown` or `after_stop` is something else; what is to make contexts takes arguments.

    Example:
        >>> import streamfilter as sf
        >>> sf.guard(object(), response=sf.Redact("a"))
        Traceback (most recent call last):
        TypeError: object is no client that can be guarded: an OpenAI, Anthropic or genai client, sync or async, or a model ...
    """
    if unknown not in get_args(Unknown):
        raise ValueError(f"unknown={unknown!r}: 'raise' or 'pass' is needed")
    given: dict[str, Any] = {"request": request, "response": response, "context": context, "after_stop": after_stop}
    sent, received = checked(request, response, context)
    kind = _kind(client)
    made: C
    if kind in FRAMEWORKS.values():
        options = given if kind == "langchain" else {**given, "unknown": unknown}
        made = import_module(f"streamfilter.providers.{kind}").guarded(client, **options)
        return made
    guarding = Guarding(
        request=sent,
        response=received,
        context=context,
        after_stop=check_after_stop(after_stop),
        unknown=unknown,
        carries=kind == "stainless",
    )
    made = _guarded_genai(client, guarding) if kind == "genai" else _guarded_stainless(client, guarding)
    return made


def _kind(client: object) -> str:
    if isinstance(client, type):
        raise TypeError(f"{client.__qualname__} is a class: give what it makes, {client.__qualname__}(...)")
    names = [f"{base.__module__}.{base.__qualname__}" for base in type(client).__mro__]
    for name in names:
        if name == "google.genai.client.Client":
            return "genai"
        if name in FRAMEWORKS:
            return FRAMEWORKS[name]
        if name.split(".")[0] in ("openai", "anthropic") and name.endswith((".SyncAPIClient", ".AsyncAPIClient")):
            return "stainless"
    raise TypeError(
        f"{type(client).__qualname__} is no client that can be guarded: an OpenAI, Anthropic or genai client, sync or async, "
        "or a model of LangChain or pydantic-ai is needed"
    )


# ---------------------------------------------------------------------- openai and anthropic


def _guarded_stainless(client: Any, guarding: Guarding) -> Any:
    """A copy of the client over a guarded HTTP client.

    The copy is of the very class that it was, because the SDKs tell their own clients by that. So what is another in it is set on
    the object: `request`, which all methods go through, and what makes further copies.
    """
    http = vars(client)["_client"]
    is_async = hasattr(http, "aclose")
    waiting = None if is_async else guarding.must_wait()
    if waiting is not None:
        raise TypeError(f"{waiting!r} must wait, which {type(client).__qualname__} cannot: guard the async client")
    return _marked(client.copy(http_client=guarded(http, guarding)), guarding)


def _marked(client: Any, guarding: Guarding) -> Any:
    copy, request = client.copy, client.request

    def copied(*args: Any, **options: Any) -> Any:
        http = options.get("http_client")
        if http is not None and not is_guarded(http):
            options["http_client"] = guarded(http, guarding)
        return _marked(copy(*args, **options), guarding)

    def requested(*args: Any, **options: Any) -> Any:
        try:
            return request(*args, **options)
        except Carried as carried:
            error = carried.error
        raise error

    async def awaited(*args: Any, **options: Any) -> Any:
        try:
            return await request(*args, **options)
        except Carried as carried:
            error = carried.error
        raise error

    client.copy = client.with_options = copied
    client.request = awaited if hasattr(vars(client)["_client"], "aclose") else requested
    if guarding.unknown == "raise" and hasattr(client, "websocket_base_url"):
        client.websocket_base_url = NO_SOCKET
    return client


# ---------------------------------------------------------------------- google-genai


def _guarded_genai(client: Any, guarding: Guarding) -> Any:
    """A client made by the SDK's own constructor, over a copy of the connections of the one that was given."""
    api = vars(client)["_api_client"]
    own = vars(api)
    goes_past = [getattr(api, name)() for name in ("_use_google_auth_sync", "_use_google_auth_async")]
    if getattr(own["_http_options"], "aiohttp_client", None) is not None or any(goes_past):
        raise TypeError("this genai client does not call through httpx, so it cannot be guarded: give it httpx clients")
    https = {name: guarded(own[name], guarding) for name in ("_httpx_client", "_async_httpx_client")}
    made_api: Any = object.__new__(type("BaseApiClient", (_GenaiApi, type(api)), {}))
    vars(made_api).update(own, **https, given=api, unknown=guarding.unknown)
    kind = type(client)
    fields = {"_get_api_client": staticmethod(lambda **_: made_api), "__del__": lambda _: None, "__module__": kind.__module__}
    made = type(kind.__name__, (kind,), fields)(debug_config=vars(client)["_debug_config"])
    made.given = client  # which closes the connections when nobody has it any more
    return made


class _GenaiApi:
    """What is another in the connections of a guarded client."""

    given: Any
    unknown: Unknown

    def _use_aiohttp(self) -> bool:
        return False  # httpx does as well, and is guarded

    def _websocket_base_url(self, *args: Any) -> Any:
        if self.unknown == "raise":
            raise Refused("live sessions go past HTTP, and so past the pipelines: unknown='pass' lets them pass as they are")
        return super()._websocket_base_url(*args)  # type: ignore[misc]

    def close(self) -> None:
        self.given.close()

    async def aclose(self) -> None:
        await self.given.aclose()

    def __del__(self) -> None:
        """The connections are the given client's, which closes them."""
