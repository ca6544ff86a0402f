"""`Links` in the table of laws: texts of few characters, for which its meaning can be written down in some lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import ada_url

import streamfilter as sf
from streamfilter.testing.laws import AnyStage


def _host(target: str) -> str:
    try:
        return ada_url.URL(target, base="https://page/").hostname
    except ValueError:
        return "?"


def _targets(links: set[str], images: set[str], *, stop: bool = False) -> Callable[[str], str]:
    """Inline links of the characters `[]()!/ab` and blanks: only `//host` leads away. `///` is refused, though browsers read it."""

    def means(text: str) -> str:
        out, at, brackets = "", 0, list[bool]()
        while at < len(text):
            if re.search(r"\n[ ]*\n\Z", text[:at]):
                brackets.clear()
            if text[at] == "[":
                brackets.append(text[at - 1 : at] == "!")
            if text[at] != "]":
                out, at = out + text[at], at + 1
                continue
            image = brackets.pop() if brackets else False
            link = re.compile(r"\]\(\s*([^\s)]*)").match(text, at)
            target = link[1] if link else ""
            if link and target[:2] == "//" and (target[:3] == "///" or _host(target) not in (images if image else links | images)):
                out += text[at : link.start(1)]
                if stop:
                    return out
                out += "#"
                at, depth = link.start(1), 0
                while at < len(text) and not text[at].isspace() and (text[at] != ")" or depth):
                    depth += {"(": 1, ")": -1}.get(text[at], 0)
                    at += 1
            else:
                out, at = out + "]", at + 1
        return out

    return means


def _bare(text: str) -> str:
    """URLs of the characters `:/a. `, of which only those to the host `a` stay."""

    def verdict(match: re.Match[str]) -> str:
        raw = re.match(r"[^\s/]*", match[1])[0]  # type: ignore[index]
        fine = raw[0] == "a" and raw[1:2] != "a" and not re.search(r"\..*a", raw) if raw else match[1][:1] != "/"
        if fine:
            return ":" + re.sub(r"://(\S*)", verdict, match[0][1:])
        kept = re.search(r"\.{0,3}\Z", match[0][3:])
        return "[link]" + (kept[0] if kept else "")

    return re.sub(r"://(\S*)", verdict, text)


def _domains(text: str) -> str:
    """Words of the characters `ab1.`: those that end like the name of a host, in letters, count; only `a.b` stays."""

    def verdict(match: re.Match[str]) -> str:
        word, dots = match[2], len(match[2]) - len(match[2].rstrip("."))
        name = word.rstrip(".")
        if not re.match(r"[ab1]+\.(.*\.)?[ab]{2}", name) and not re.match(r"[ab1]+\.(.*\.)?[ab]{2}", word):
            return match[0]
        return match[0] if name == "a.b" else match[1] + "[link]" + "." * min(dots, 3)

    return re.sub(r"(\.*)([ab1][ab1.]*)", verdict, text)


LAWFUL3: list[tuple[AnyStage, Callable[[str], str], Sequence[str]]] = [
    (sf.Links(["a"]), _targets({"a"}, set()), [*"[](/a) \n", "[a](//a)", "](//aa"]),
    (sf.Links(["a"], images=["b"]), _targets({"a"}, {"b"}), [*"![](/ab)", "![a](//a)", "![](//b)", "](//ab"]),
    (sf.Links(["a"], action="stop"), _targets({"a"}, set(), stop=True), [*"[](/a) ", "[a](//a)", "](//aa"]),
    (sf.Links(["a"]), _bare, [*":/a. ", "://a", "://a.a"]),
    (sf.Links(["a.b"], domains=True), _domains, [*"ab. 1", "a.b", "b.aa", "1.ab."]),
]
