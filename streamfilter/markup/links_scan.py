"""What in a text may begin a link, for any renderer: the marks, and what they are followed by.

Only patterns and tables: which marks are looked for, where a target ends, which attributes lead or load. They are wider than any
one renderer's grammar, because what one takes for a link another takes for text.
"""

from __future__ import annotations

import re

import regex

_COLON = r"(?::|\\:|&colon;|&#0{0,6}58;?|&#x0{0,6}3a;?)"
_SLASH = r"(?:/|\\/|&sol;|&#0{0,6}47;?|&#x0{0,6}2f;?)"
_DOT = r"(?:\.|\\\.|&period;|&#0{0,6}46;?|&#x0{0,6}2e;?)"
_W = r"(?:w|&#0{0,6}(?:119|87);?|&#x0{0,6}[57]7;?)"
_OPEN = r"(?:\(|&lpar;|&#0{0,6}40;?|&#x0{0,6}28;?)"

BARE = regex.compile(
    rf"(?P<web>(?:https?|ftp|wss?)?{_COLON}{_SLASH}{_SLASH})|(?P<www>{_W}{{3}}{_DOT})|(?P<mail>(?:mailto|xmpp){_COLON})"
    rf"|(?P<style>(?:url\s*{_OPEN}|@import)[\s\"']*)|(?P<set>-set\s*{_OPEN})",
    regex.IGNORECASE,
)
"""The beginning of a URL in plain text, as itself, escaped for Markdown or for JSON, or as entities. And of one in a style."""

_WORDS = r"(?:https?|ftp|wss?|mailto|xmpp)(?=[:&\\]|\Z)|www(?=[.&\\]|\Z)|ww?(?=&|\Z)|url(?=[(&\s]|\Z)|@import|-set(?=[(&\s]|\Z)"
_OPEN_WORDS = r"(?:ht?|htt|ft?|ma|mai|mailt?|xm?|xmp|ws?|ur?|m|@|@i|@im|@imp|@impo|@impor|-|-s|-se)\Z"

MARK = re.compile(rf"[\[\]<&\\:]|{_WORDS}|{_OPEN_WORDS}", re.IGNORECASE)
"""Where something may begin. At the end of the text also the beginning of a word that is looked for."""

MARK_IN_TAG = re.compile(rf"[\[\]<&\\:=]|{_WORDS}|{_OPEN_WORDS}", re.IGNORECASE)

MARK_OR_WORD = re.compile(rf"{MARK.pattern}|(?P<word>[^\W_])", re.IGNORECASE)
MARK_OR_WORD_IN_TAG = re.compile(rf"{MARK_IN_TAG.pattern}|(?P<word>[^\W_])", re.IGNORECASE)
"""The same where every word may be the name of a host."""

DOMAIN = re.compile(r"(?:[\w.-]|&[\w#]*;?)+")
DOMAIN_NAME = re.compile(r"(?:[\w-]|&\w+;)+(?:\.|&#?\w+;?)(?:.*(?:\.|&#?\w+;?))?(?:[^\W\d_]{2}|xn--)", re.IGNORECASE)
"""The name of a host: what looks like a top level is of letters."""

LETTERS = re.compile(r"[\[\]<&\\:@!hHfFmMxXwWuU-]")
WORDS = re.compile(r"[\[\]<&\\:@!]|[wW][wW]|[uU][rR][lL]|-[sS][eE][tT]")
OPEN_WORDS = (
    *("h", "ht", "htt", "http", "https", "f", "ft", "ftp", "w", "ws", "wss", "u", "ur"),
    *("m", "ma", "mai", "mail", "mailt", "mailto", "x", "xm", "xmp", "xmpp", "-", "-s", "-se", "-set"),
)
"""Where nothing is open, a piece without any of the letters passes without a second look; and so does one without any of the words
that does not end in the beginning of one. (The words that are not here have a colon behind them.)"""

NO_HOST = frozenset(".,;:!?\"'()[]{}<>*`~/|=+#$%^")
"""With one of these behind it, `www.` is no beginning of a host."""

TAG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,63}")
BEFORE_TARGET = re.compile(r"[\s>]*")
"""Between `](` or `]:` and a target: blanks, a line break, and the marks of a quotation that the next line begins with."""

HTML_BLANK = re.compile(r"[\t\n\f\r ]*")
BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
LINE_BEGUN = re.compile(r"\n[ \t\r]*\Z")

ENDS: dict[str, re.Pattern[str]] = {
    "(": re.compile(r"[\s\x00-\x1f()]"),
    ":": re.compile(r"[\s\x00-\x1f]"),
    "<": re.compile(r"[>\n]"),
    "auto": re.compile(r"[\s<>]"),
    "=": re.compile(r"[\t\n\f\r >]"),
    '"': re.compile(r'"'),
    "'": re.compile(r"'"),
    "set": re.compile(r"[;)<>{}\n]"),
    "style": re.compile(r"[\s)\"']"),
    "mail": re.compile(r"[\s<>\"'`)\]]"),
    "bare": re.compile(r"[\s<>\"`\[\]|()]"),
}
"""Where a target ends, by what it began with. Those with parentheses end at one that closes more than was opened."""

MAIL_QUERY = re.compile(r"[^\s<>\"'`)\]?#]*[?#]")
"""A `mailto:` with a query. What it is followed by, up to a blank, may be one more of its fields."""

TARGET_ENDS = {**ENDS, "(": re.compile(r"[\s\x00-\x1f)]")}
"""Where a target ends at the latest, for its verdict: what is in parentheses may belong to its host."""

COUNTED = frozenset(("(", "bare"))

LEADING = frozenset(("action", "cite", "formaction", "href", "longdesc"))
"""Attributes with the URL that a click leads to. The `href` of a tag other than `<a>` loads."""

LOADING = frozenset(
    (
        *("background", "classid", "code", "codebase", "data", "dynsrc", "from", "icon", "lowsrc", "manifest", "poster", "profile"),
        *("src", "to", "xlink:href"),
    )
)
"""Attributes with a URL that is loaded without a click, or may be. `from` and `to` are those of animations in SVG."""

LISTS = frozenset(("archive", "attributionsrc", "imagesrcset", "ping", "srcset", "values"))
"""Attributes with several such URLs."""

PAINTS = frozenset(
    ("clip-path", "cursor", "fill", "filter", "marker", "marker-end", "marker-mid", "marker-start", "mask", "stroke")
)
"""Attributes of SVG that are read as a style is."""

WHOLE = LISTS | PAINTS | {"content", "srcdoc", "style"}
"""Attributes that can be judged only when they are complete."""

ATTRIBUTES = LEADING | LOADING | WHOLE
