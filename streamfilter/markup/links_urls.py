"""Where a URL leads, read as a browser reads it, and refused wherever two readers could disagree.

Sources: the URL Standard (https://url.spec.whatwg.org), the tokens of CommonMark and of HTML for escapes and entities. A beginning
of a URL is judged as soon as nothing that may follow could change the verdict: `None` says that this is not yet so. Nothing here
knows where in a text a URL stands, or what is done about one that is refused.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

HOST_CHARS = 300
"""A host name has at most 253 characters (RFC 1035); with a port and some room. What is longer is refused."""

SCHEME_CHARS = 64
"""No registered scheme has half as many. What is longer before its colon is no scheme to which anything answers."""

WEB = frozenset(("http", "https", "ws", "wss", "ftp"))
"""The special schemes of the URL Standard that have a host."""

NEVER = frozenset(("about", "blob", "data", "file", "filesystem", "jar", "javascript", "livescript", "vbscript", "view-source"))
"""Schemes that run or show what the URL itself says, or read what is local: no host could make them safe."""

_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21"}
_BLANKS = "".join(map(chr, range(33)))
_BREAKS = re.compile(r"[\t\n\r]")
_SCHEME = re.compile(r"[A-Za-z0-9+.\-]*")
_ENTITY = re.compile(r"&(?:#[0-9A-Za-z]*|[0-9A-Za-z]*)")
_AUTHORITY_END = re.compile(r"[/?#\\]")
_NO_AUTHORITY = re.compile(r"[\x00-\x20\x7f@%&<>^|\[\]]")
_HOST = re.compile(r"([\w-]+(?:\.[\w-]+)*)\.?(?::(\d{0,5}))?")
_BARE_END = re.compile(r"[<>/?#\\\[\]^|\s]")
_BARE_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*(?::\d{1,5})?")
_MAILBOX = re.compile(r"[\w.!$'*+=^`{|}~-]+@([\w-]+(?:\.[\w-]+)*)")
_LEADS_ON = re.compile(r"[@%&\\]")
_NO_LABEL = re.compile(r"[\x00-,/:-@\[-`{-\x7f]")
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


@dataclass(frozen=True)
class Hosts:
    """A list of hosts, compiled: names as they are, and endings for all that is below a name."""

    names: frozenset[str]
    endings: tuple[str, ...]

    def __contains__(self, host: str) -> bool:
        host = unicodedata.normalize("NFC", host.lower())
        return host in self.names or (bool(self.endings) and host.endswith(self.endings))


def hosts(entries: Iterable[str]) -> Hosts:
    """Compile a list of hosts.

    Raises:
        ValueError: an entry is no host; the message says what would be right.

    Example:
        >>> allowed = hosts(["example.com", "*.example.org"])
        >>> "Example.com" in allowed, "www.example.com" in allowed, "a.example.org" in allowed, "example.org" in allowed
        (True, False, True, False)
    """
    names: set[str] = set()
    endings: list[str] = []
    for entry in entries:
        below = entry.startswith("*.")
        name = unicodedata.normalize("NFC", entry.removeprefix("*.").lower())
        match = _HOST.fullmatch(name)
        if match is None or name != name.rstrip(".:"):
            raise ValueError(f"{entry!r} is no host: write 'example.com', '*.example.com' for all below it, or 'example.com:8080'")
        for form in {name, _punycode(entry, name)}:
            if below:
                endings.append(f".{form}")
            else:
                names.add(form)
    return Hosts(frozenset(names), tuple(sorted(endings)))


def _punycode(entry: str, name: str) -> str:
    """The same host in ASCII. Where IDNA 2003 and UTS 46 disagree, nobody could say which host is meant."""
    if name.isascii():
        return name
    try:
        if set(name) & set("ßς\u200c\u200d") or unicodedata.normalize("NFKC", name) != name:
            raise UnicodeError
        return name.encode("idna").decode()
    except UnicodeError:
        raise ValueError(f"{entry!r} has more than one reading: write the host in its ASCII form, with xn--") from None


@dataclass(frozen=True)
class Urls:
    """What is allowed, and the verdicts.

    Args:
        links: where links may lead.
        images: where things may be loaded from without a click.
        schemes: in lower case.
        relative: whether URLs of the page's own host are allowed.
    """

    links: Hosts
    images: Hosts
    schemes: frozenset[str]
    relative: bool

    def judge(self, text: str, whole: bool, loads: bool = False) -> bool | None:
        r"""Whether a URL is allowed, of which this is the beginning or the whole.

        Args:
            loads: whether it is loaded without a click.

        Example:
            >>> urls = Urls(hosts(["example.com"]), hosts([]), frozenset({"https"}), relative=True)
            >>> urls.judge("https://exam", False), urls.judge("https://example.com/", False), urls.judge("https://exam/", False)
            (None, True, False)
            >>> urls.judge("java\nscript:", False), urls.judge("notes.txt", True)
            (False, True)
        """
        # The URL Standard takes away blanks and controls before a URL, tabs and line breaks anywhere. Those behind it too; but here
        # they are part of it, and refused where they matter: else a verdict would depend on whether they have come.
        text = _BREAKS.sub("", text.lstrip(_BLANKS))
        size = len(_SCHEME.match(text)[0])  # type: ignore[index]  # it matches everywhere
        if size > SCHEME_CHARS:
            return self.relative
        if size == len(text):
            return (self.relative or not text) if whole else None
        following = text[size]
        if following == ":" and text[0].isalpha():
            return self._absolute(text[:size].lower(), text[size + 1 :], whole, loads)
        if following == "#" and not size:
            return True
        odd = self._odd(text, size, whole)
        if odd is not False:
            return None if odd is None else False
        if following == "/" and not size:
            if len(text) == 1 and not whole:
                return None
            if text[1:2] == "/":
                return self._authority(text[2:], whole, "https", loads) if self.schemes & {"https", "http"} else False
            if text[1:2] in ("\\", "&"):
                return False
        return self.relative

    def _odd(self, text: str, at: int, whole: bool) -> bool | None:
        """Whether the character that ends what could be a scheme is another one to another reader."""
        character = text[at]
        rest = text[at + 1 : at + 2]
        if character == "&":  # perhaps an entity
            match = _ENTITY.match(text, at)
            entity = match[0] if match else "&"
            if at + len(entity) == len(text) and not whole and len(entity) < SCHEME_CHARS:
                return None
            entity += text[at + len(entity) : at + len(entity) + 1].replace(":", "").replace("/", "")
            return html.unescape(entity) != entity or len(entity) >= SCHEME_CHARS
        if character == "\\":  # an escape in Markdown, a slash to a browser, and itself to others
            if not at:
                return True
            return (None if not whole else False) if not rest else rest in ":&\\/+.-"
        if character.isascii():
            return not " " <= character < "\x7f"
        like = unicodedata.normalize("NFKC", character)
        return unicodedata.category(character)[0] in "CZM" or any(part.isascii() and not part.isalnum() for part in like)

    def _absolute(self, scheme: str, rest: str, whole: bool, loads: bool) -> bool | None:
        if scheme in NEVER:
            return False
        if scheme in WEB:
            if scheme not in self.schemes:
                return False
            if not rest.startswith("//"):
                return None if not whole and "//".startswith(rest) else False
            return self._authority(rest[2:], whole, scheme, loads)
        if scheme == "mailto":
            return False if loads or scheme not in self.schemes else self._mailto(rest, whole)
        if scheme in self.schemes:
            return not loads
        if not rest:  # `Note:` leads nowhere
            return True if whole else None
        return rest[0] == ":"  # `std::string` does not either

    def _authority(self, text: str, whole: bool, scheme: str, loads: bool) -> bool | None:
        end = _AUTHORITY_END.search(text)
        host = text[: end.start()] if end else text
        if _NO_AUTHORITY.search(host) or len(host) > HOST_CHARS or (end and end[0] == "\\"):
            return False
        if end is None and not whole:
            return None
        return self._allows(host, scheme, loads)

    def _allows(self, host: str, scheme: str, loads: bool) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name, port = match[1], match[2]
        if port and port != _PORTS[scheme]:
            name = f"{name}:{port}"
        return name in self.images or (not loads and name in self.links)

    def _mailto(self, text: str, whole: bool) -> bool | None:
        end = re.search(r"[?#]", text)
        if end is None and not whole:
            return False if len(text) > HOST_CHARS else None
        boxes = text[: end.start()] if end else text
        if len(boxes) > HOST_CHARS:
            return False
        found = [_MAILBOX.fullmatch(box) for box in boxes.split(",")] if boxes else []
        return all(match is not None and self._allows(match[1], "https", False) for match in found)

    def judge_bare(self, text: str, whole: bool) -> bool | None:
        """Whether a URL in plain text is allowed, of which this is what follows the two slashes.

        Where it ends is for whoever makes a link of it to say, and they disagree; so what follows the host must not make another
        host of it, whichever characters they take in.
        """
        text = text[: HOST_CHARS + 1]
        end = _BARE_END.search(text)
        if end is None and (not whole or len(text) > HOST_CHARS):
            return False if len(text) > HOST_CHARS or re.search(r"[@%&]", text) else None
        raw = text[: end.start()] if end else text
        if not raw:
            return end is None or end[0] not in "/\\["
        if end and end[0] == "\\":
            rest = text[end.end() : end.end() + 1]
            if not rest and not whole:
                return None
            if rest in _PUNCTUATION and rest:
                return False
        match = _BARE_HOST.match(raw)
        if match is None:
            return raw[0] not in "&%@.:" and not _leads_on(raw)
        if _leads_on(raw[match.end() :]):
            return False
        host, _, port = match[0].partition(":")
        name = host if port in ("", "80", "443") else match[0]
        return name in self.links or name in self.images

    def judge_all(self, value: str) -> bool:
        """Whether all of several URLs are allowed that load, as in `srcset`."""
        pieces = [piece for piece in re.split(r"[\s,]+", html.unescape(value)) if piece]
        return all(re.fullmatch(r"[\d.]+[wxh]", piece) or self.judge(piece, True, True) for piece in pieces)

    def judge_style(self, value: str) -> bool:
        """Whether a style loads nothing: no function or rule that could, and no escape that could spell one."""
        return not re.search(
            r"(?i)\\|/\*|url|image(-set)?\s*\(|import|src\s*\(|expression|behavior|binding|//", html.unescape(value)
        )

    def judge_refresh(self, value: str) -> bool:
        """Whether the `content` of a `<meta>` is no refresh, or one to where the page may lead."""
        match = re.match(r"""\s*[\d.]+\s*[;,\s]\s*(?:url\s*=)?\s*["']?(.*)""", html.unescape(value), re.IGNORECASE | re.DOTALL)
        return match is None or bool(self.judge(match[1], True, True))


def _leads_on(tail: str) -> bool:
    """Whether a host, together with what follows it, could be another host.

    It could be below a name that somebody can register. Such a name has two labels, of letters, digits and `-` once they are in
    ASCII; so the host of `example.com).evil.org` is another, that of `example.com).evil` is none.
    """
    if any(unicodedata.category(character)[0] in "CMS" and character not in "$+<=>^`|~" for character in tail):
        return True
    labels = re.split(r"[.。]", unicodedata.normalize("NFKC", tail))
    more = sum(re.search(r"\w", label) is not None for label in labels[1:])
    return _LEADS_ON.search(tail) is not None or more > 1 or (more == 1 and not _NO_LABEL.search(labels[0]))
