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
from urllib.parse import unquote

import regex

HOST_CHARS = 300
"""A host name has at most 253 characters (RFC 1035); with a port and some room. What is longer is refused."""

SCHEME_CHARS = 64
"""No registered scheme has half as many. What is longer before its colon is no scheme to which anything answers."""

WEB = frozenset(("http", "https", "ws", "wss", "ftp"))
"""The special schemes of the URL Standard that have a host."""

NEVER = frozenset(("about", "blob", "data", "file", "filesystem", "jar", "javascript", "livescript", "vbscript", "view-source"))
"""Schemes that run or show what the URL itself says, or read what is local: no host could make them safe."""

MAX_PORT = 65_535

_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21"}
_BLANKS = "".join(map(chr, range(33)))
_BREAKS = re.compile(r"[\t\n\r]")
_SCHEME = re.compile(r"[A-Za-z0-9+.\-]*")
_ENTITY = re.compile(r"&(?:#[0-9A-Za-z]*|[0-9A-Za-z]*)")
_AUTHORITY_END = re.compile(r"[/?#\\]")
_NO_AUTHORITY = re.compile(r"[\x00-\x20\x7f@%&<>^|\[\]]")
_HOST = re.compile(r"([\w-]+(?:\.[\w-]+)*)\.?(?::(\d{0,5}))?")
_BARE_END = re.compile(r"[<>/?#\\\[\]^|\s]")
_USER_END = re.compile(r"[ \t\n\r@/?#]")
_BARE_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*(?::\d{1,5})?")
_MAILBOX = re.compile(r"[\w.!$'*+=^`{|}~-]+@([\w-]+(?:\.[\w-]+)*)")
_HEADER = re.compile(r"(?i)(?:^|[?&;#\r\n])(?:(?!in-reply-)[\w-]*-)?(?:to|b?cc)[=:]([^?&#]*)")
_NO_HEADER = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x20\\\u200b]")
_QUOTE = re.compile(r"""["'`()\[\]<>]""")
_STRING = r"""(?:"[^"\\\n<>]*"|'[^'\\\n<>]*')"""
_SET = regex.compile(rf"""(?:[^"'()\\<>{{}}]|{_STRING}|\((?:[^"'()\\<>{{}}]*|\s*{_STRING}\s*)\))*\)""")
_FUNCTION = re.compile(r"(?i)(?<![\w-])(?!(?:url|type|[\w-]*-gradient)\s*\()[\w-]+\s*\(")
_STRING_END = re.compile(r"[/?#\"'\s<>]")
_MAY_LEAD = re.compile(r"[^!-~]|[.\\&%]")
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
        if match[2]:
            if not match[2].isascii() or int(match[2]) > MAX_PORT:
                raise ValueError(f"{entry!r}: a port is at most {MAX_PORT}")
            name = f"{match[1]}:{int(match[2])}"
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
        return any(name in self.images or (not loads and name in self.links) for name in _names(match[1], match[2], scheme))

    def _mailto(self, text: str, whole: bool) -> bool | None:
        end = re.search(r"[?#]", text)
        boxes = text[: end.start()] if end else text
        if len(boxes) > HOST_CHARS or (end and not self._boxes(boxes)):
            return False
        if not whole:  # every field of the query may name one more recipient
            return None
        if end is None:
            return self._boxes(boxes)
        fields = text[end.start() :]
        found = [*_recipients(fields), *_recipients(html.unescape(fields))]
        return bool(boxes or any(found)) and all(map(self._boxes, found))

    def _boxes(self, text: str) -> bool:
        """Whether all of these addresses, perhaps none, are at allowed hosts."""
        found = [_MAILBOX.fullmatch(box) for box in text.split(",")] if text else []
        return all(match is not None and (match[1] in self.images or match[1] in self.links) for match in found)

    def judge_bare(self, text: str, whole: bool, scheme: str = "", *, is_closed: bool = False) -> bool | None:
        """Whether a URL in plain text is allowed, of which this is what follows the two slashes.

        Where it ends is for whoever makes a link of it to say, and they disagree; so what follows the host must not make another
        host of it, whichever characters they take in.

        Args:
            scheme: what stands before the slashes, in lower case; `""` where that is not known, or was judged before.
            is_closed: whether a `>` ends it for every reader of Markdown, as it stands behind a `<`.
        """
        text = text[: HOST_CHARS + 1]
        end = _BARE_END.search(text)
        if end is None and (not whole or len(text) > HOST_CHARS):
            return False if len(text) > HOST_CHARS or re.search(r"[@%&]", text) else None
        raw = text[: end.start()] if end else text
        # Where one reader ends a URL, another takes what follows for the rest of a user's name: all but blanks of ASCII.
        if end and end[0] not in " \t\n\r/?#" and not (is_closed and end[0] == ">" and raw):
            user = _USER_END.search(text, end.start())
            if user is None and (not whole or len(text) > HOST_CHARS):
                return False if len(text) > HOST_CHARS else None
            if user is not None and user[0] == "@":
                return False
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
        if scheme and scheme not in self.schemes:
            return False
        host, _, port = match[0].partition(":")
        return any(name in self.links or name in self.images for name in _names(host, port, scheme))

    def judge_all(self, value: str) -> bool:
        """Whether all of several URLs are allowed that load, as in `srcset`."""
        pieces = [piece for piece in re.split(r"[\s,]+", html.unescape(value)) if piece]
        return all(re.fullmatch(r"[\d.]+[wxh]", piece) or self.judge(piece, True, True) for piece in pieces)

    def judge_style(self, value: str) -> bool:
        """Whether a style loads nothing: no function or rule that could, and no escape that could spell one."""
        return not re.search(
            r"(?i)\\|/\*|url|image(-set)?\s*\(|import|src\s*\(|expression|behavior|binding|//", html.unescape(value)
        )

    def judge_paint(self, value: str) -> bool:
        """Whether all URLs in an attribute of SVG are allowed that load (`fill="url(#a)"`), and no escape could spell one."""
        value = html.unescape(value)
        targets = re.findall(r"(?i)url\s*\(([^)]*)", value)
        odd = re.search(r"(?i)\\|/\*|image\s*\(|-set\s*\(|src\s*\(|@import", value)
        return not odd and all(self.judge(target.strip(" \t\n\f\r\"'"), True, True) for target in targets)

    def judge_animation(self, value: str) -> bool:
        """Whether the values of an animation in SVG are, as those of any attribute: each as a URL that loads, all as a style."""
        # With its entities too: a mark of one may be taken out, and the rest of it divides the list.
        forms = (value, html.unescape(value))
        pieces = (piece for form in forms for piece in (*form.split(";"), *re.split(r"[\s,;\"'()]+", form)))
        return self.judge_paint(value) and all(self.judge(piece, True, True) for piece in pieces)

    def judge_string(self, text: str, whole: bool) -> bool | None:
        """Whether a string is allowed that begins with two slashes, of which this is what follows these.

        Names of one label are nobody's to register, and most such strings are no URLs: they begin a path (`"//div[@id]"`) or a
        comment.
        """
        end = _STRING_END.search(text)
        if end is None and not whole and len(text) <= HOST_CHARS:
            return None
        host = text[: end.start()] if end else text
        last = host.rpartition("@")[2]
        if not _MAY_LEAD.search(host) and not (last[:1].isdigit() or (last[:1] == "[" and ":" in last)):
            return True
        return bool(self.schemes & {"https", "http"}) and self._authority(host, True, "https", loads=False) is True

    def judge_set(self, value: str, whole: bool) -> bool | None:
        """Whether all strings of an `image-set` are allowed, of which this is what follows the parenthesis: they load."""
        if value[:1] == "#":  # no image
            return True
        match = _SET.match(value, partial=True)
        if match is None or match.partial:
            return None if match and not whole else False
        if _FUNCTION.search(match[0]):  # what it gives, nobody knows
            return False
        strings = re.findall(_STRING, match[0])
        return html.unescape(match[0]) == match[0] and all(self.judge(string[1:-1], True, True) for string in strings)

    def judge_refresh(self, value: str) -> bool:
        """Whether the `content` of a `<meta>` is no refresh, or one to where the page may lead."""
        match = re.match(r"""\s*[\d.]+\s*[;,\s]\s*(?:url\s*=)?\s*["']?(.*)""", html.unescape(value), re.IGNORECASE | re.DOTALL)
        return match is None or bool(self.judge(match[1], True, True))


def _names(host: str, port: str | None, scheme: str) -> list[str]:
    """What a list of hosts may call this one: with its port, and without it if it is the scheme's own."""
    usual = {_PORTS[scheme]} if scheme else set(_PORTS.values())
    ports = {port.lstrip("0") or "0"} if port else usual
    return [*(f"{host}:{one}" for one in ports), *([host] if ports & usual else [])]


def _recipients(fields: str) -> list[str]:
    """The header fields that name recipients, for readers that decode before they separate as for those that do so after."""
    for _ in range(2):
        fields = unquote(fields)
    found: list[str] = []
    for match in _HEADER.finditer(_NO_HEADER.sub("", fields)):
        # What ends a sentence or a quotation belongs to no address; but it may not end for every reader.
        head, *tail = _QUOTE.split(match[1], maxsplit=1)
        found.append(head.rstrip(".,;:!*_~"))
        found += [
            piece.lower().removeprefix("mailto:") for piece in re.split(rf"{_QUOTE.pattern}|,", "".join(tail)) if "@" in piece
        ]
    return found


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
