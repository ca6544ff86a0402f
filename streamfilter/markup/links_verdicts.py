"""What a mark in a text begins is judged, as far as that has come: `None` where what follows decides.

It looks at a text from a mark on and knows where a target ends (`links_scan`); where that leads `links_urls` says. Nothing here
remembers anything, or knows what is done about a target that is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from string import ascii_letters
from unicodedata import category

import regex

from streamfilter.markup import links_scan as scan
from streamfilter.markup.links_urls import HOST_CHARS, WEB, Urls

OPEN_HOST = re.compile(r"[\x00-\x20]*(?:[a-z][a-z0-9+.-]*:)?(?://[^/?#\\]*|(?<=mailto:).*)", re.IGNORECASE | re.DOTALL)
"""A URL that ends with its host, or its last recipient."""

FIRST_LOOK = 80
"""Characters of a target that are looked at first: nearly always enough, and a flood of marks costs no long search for each."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts of one guard.

    Args:
        urls: what is allowed.
        max_hold: characters from a mark on, within which there must be a verdict.
    """

    urls: Urls
    max_hold: int

    def target(self, buf: str, mark: int, start: int, kind: str, over: bool, loads: bool, *, is_apart: bool = False) -> bool | None:
        """Whether the target is allowed that begins at `start`. `kind` says where it ends, `over` whether the text does here, and
        `is_apart` whether it may well be text in parentheses: then what leads nowhere else is."""
        limit = mark + self.max_hold
        urls = replace(self.urls, relative=True) if is_apart else self.urls
        verdict: bool | None = None
        for upto in (min(start + FIRST_LOOK, limit), limit):
            end = scan.TARGETS[kind].match(buf, start, upto).end()  # type: ignore[union-attr]  # it matches everywhere
            whole = end < min(upto, len(buf)) or (over and upto >= len(buf))
            target = buf[start:end]
            if "\n" in target:
                target = scan.LINE_BREAK.sub("", target)
            odd = scan.IN_STYLE.search(target) if kind == "style" else None
            if odd is not None:
                return bool(urls.judge(target[: odd.start()], False, loads))
            verdict = urls.judge(target, whole, loads)
            if verdict and kind in scan.WITH_BLANKS and OPEN_HOST.fullmatch(target):
                return self._ends(buf, end, limit, kind, over, is_mail="//" not in target)
            if verdict is not None:
                return verdict
        return None if len(buf) < limit and not over else False

    def _ends(self, buf: str, at: int, limit: int, kind: str, over: bool, *, is_mail: bool) -> bool | None:
        """Whether nothing makes another host of the one that has ended here, for those who take blanks for parts of a target."""
        depth = 1
        for found in scan.WITH_BLANKS[kind].finditer(buf, at, limit):
            mark = found[0]
            if mark == "@":
                return False
            depth += {"(": 1, ")": -1}.get(mark, 0)
            if mark == ">" or not depth or (mark in "/?#" and not is_mail):
                return True
        if len(buf) >= limit:
            return False
        return True if over else None

    def autolink(self, buf: str, at: int, colon: int, over: bool) -> bool | None:
        """Whether `<scheme:…>` is. Without the `>` it is plain text, in which only some schemes make a link."""
        verdict = self.target(buf, at, at + 1, "auto", over, loads=False)
        if verdict is not False or buf[at + 1 : colon].lower() in WEB:
            return verdict
        limit = at + self.max_hold
        end = scan.AUTO_END.search(buf, at + 1, limit)
        if end is None:
            return None if not over and len(buf) < limit else over
        return end[0] != ">"

    def value(self, name: str, buf: str, mark: int, start: int, kind: str, over: bool) -> bool | None:
        """Whether the value of an attribute is that means nothing before its end."""
        limit = mark + self.max_hold
        end = scan.ENDS[kind].search(buf, start, limit)
        if end is None and not over:
            return None if len(buf) < limit else False
        value = buf[start : end.start() if end else limit]
        joined = scan.LINE_BREAK.sub("", value)
        return self._whole(name, value) and (joined == value or self._whole(name, joined))

    def _whole(self, name: str, value: str) -> bool:
        if name in scan.LISTS:
            return self.urls.judge_all(value)
        if name in scan.PAINTS:
            return self.urls.judge_paint(value)
        if name in scan.ANIMATED:
            return self.urls.judge_animation(value)
        if name == "content":
            return self.urls.judge_refresh(value)
        return self.urls.judge_style(value) if name == "style" else not value

    def word(self, match: regex.Match[str], buf: str, over: bool, before: str) -> tuple[str, bool | None]:
        """Where what begins with a match of `BARE` ends, and whether it is allowed, behind these two characters."""
        at, end = match.span()
        limit = at + self.max_hold
        if match["style"] is not None:
            if buf.startswith("/*", end):  # a comment may hide how it goes on
                return "set", False
            if end == len(buf) and not over and end < limit:
                return "style", None
            return "style", self.target(buf, at, end, "style", over, loads=True)
        if match["set"] is not None:
            return "set", self.urls.judge_set(buf[end:limit], over or len(buf) >= limit)
        if match["string"] is not None:
            more = scan.MORE_SLASHES.match(buf, end, limit)
            host = more.end() if more else end
            return "string", self.urls.judge_string(buf[host : min(limit, host + HOST_CHARS + 1)], over or len(buf) >= limit)
        if match["mail"] is not None:
            verdict = self.target(buf, at, at, "mail", over, loads=False)
            if verdict and scan.MAIL_QUERY.match(buf, at):
                verdict = self.target(buf, at, at, "query", over, loads=False)
            return "mail", verdict
        if match["www"] is not None:
            following = buf[end : end + 1]
            if following and (following.isspace() or following in scan.NO_HOST):
                return "bare", True
            if not following:
                return "bare", True if over else None
            return "bare", self.urls.judge_bare("www." + buf[end : end + HOST_CHARS], over)
        scheme = match["web"][: -len(match["web"].lstrip(ascii_letters))].lower()
        is_closed = before[-1:] == "<" and before != "\\<"
        return "bare", self.urls.judge_bare(buf[end : end + HOST_CHARS + 2], over, scheme, is_closed=is_closed)

    def domain(self, buf: str, at: int, over: bool, before: str, *, is_after_name: bool) -> tuple[int, bool | None]:
        """Where a word ends that may be the name of a host, and whether it is allowed, behind these two characters.

        Args:
            is_after_name: whether what stands before an `@` is the name of an address, whose host stays.
        """
        limit = at + HOST_CHARS
        match = scan.DOMAIN.match(buf, at, limit)
        end = match.end() if match else at
        if end >= len(buf) and end < limit and not over:
            return end, None
        named = match is not None and scan.DOMAIN_NAME.match(match[0]) is not None and (before == "//" or before[-1:] != "/")
        if not named or (before[-1:] == "@" and is_after_name):
            return end, True
        # Some take what stands before a name for a part of it.
        joined = category(before[-1])[0] in "CMS" and before[-1] not in "\t\n\r$+<=>^`|~" if before else False
        return end, self.urls.judge_bare(buf[at : limit + 2], over) and not joined
