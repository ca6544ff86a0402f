"""What in a text may begin a link, for any renderer: the marks, and what they are followed by.

Only patterns and tables: which marks are looked for, where a target ends, which attributes lead or load. They are wider than any
one renderer's grammar, because what one takes for a link another takes for text.
"""

from __future__ import annotations

import re

import regex

_COLON = r"(?::|\\:|&colon;|&#0*58;?|&#x0*3a;?)"
_SLASH = r"(?:/|\\/|&sol;|&#0*47;?|&#x0*2f;?)"
_DOT = r"(?:\.|\\\.|&period;|&#0*46;?|&#x0*2e;?)"
_W = r"(?:w|&#0*(?:119|87);?|&#x0*[57]7;?)"
_OPEN = r"(?:\\?\(|&lpar;|&#0*40;?|&#x0*28;?)"


def _spelled(name: str) -> str:
    """A name in CSS, each of its characters as itself or escaped (CSS Syntax 3, 4.3.7), and that perhaps escaped for Markdown."""
    codes = ((each, f"{ord(each.lower()):x}", f"{ord(each.upper()):x}") for each in name)
    return "".join(
        rf"(?:{each}|\\{{1,2}}(?:{each}|0{{0,4}}(?:{lower}|{upper})(?:\r\n|[ \t\n\f\r])?))" for each, lower, upper in codes
    )


_SLASH_IN_STRING = r"(?:/|\\{1,2}(?:/|u00(?:2f|5c)|0{0,4}(?:2f|5c)(?:\r\n|[ \t\n\f\r])?)|\\\\)"
_BLANK_IN_STRING = r"(?:[\x00-\x20]|\\{1,2}(?:\r\n|[\n\f\r]|0{0,4}(?:20|[01]?[0-9a-f])(?![0-9a-f])(?:\r\n|[ \t\n\f\r])?))"

BARE = regex.compile(
    rf"(?P<web>(?:https?|ftp|wss?)?{_COLON}{_SLASH}{_SLASH})|(?P<www>{_W}{{3}}{_DOT})|(?P<mail>(?:mailto|xmpp){_COLON})"
    rf"|(?P<style>(?:{_spelled('url')}\s*{_OPEN}|@{_spelled('import')})[\s\"']*)|(?P<set>{_spelled('-set')}\s*{_OPEN})"
    rf"|(?P<string>[\"']{_BLANK_IN_STRING}*+{_SLASH_IN_STRING}[\t\n\r]*+{_SLASH_IN_STRING})",
    regex.IGNORECASE,
)
"""The beginning of a URL in plain text, as itself, escaped for Markdown or for JSON, or as entities. And of one in a style, or
without a scheme in any string: which function of a style, attribute or script will take that for a URL, only its reader knows."""

MORE_SLASHES = regex.compile(rf"(?:{_SLASH_IN_STRING}|[\t\n\r])*+", regex.IGNORECASE)

_WORDS = r"""(?:
    (?<![A-Za-z])(?:
        (?<=[\[\]<&\\:=]) | (?<=["'])(?=[\x00-\x20/\\]|\Z) | (?<=-)(?=[sS\\]|\Z) | (?<=@)(?=[iI\\]|\Z)
    ) |
    (?i:(?=[amrstw&\\]|\Z)(?:
        (?<=h)(?:ttps?(?=[:&\\]|\Z)|(?:tt?)?\Z) | (?<=f)(?:tp(?=[:&\\]|\Z)|t?\Z) |
        (?<=u)(?:rl(?=[(&\\\s]|\Z)|r?(?=\\|\Z)) | (?<=w)(?:ss?(?=[:&\\]|\Z)|ww(?=[.&\\]|\Z)|w?(?=&|\Z)) |
        (?<=m)(?:ailto(?=[:&\\]|\Z)|(?:a(?:i(?:lt?)?)?)?\Z) | (?<=x)(?:mpp(?=[:&\\]|\Z)|(?:mp?)?\Z)
    )))"""
_FIRSTS = "<&:\"'@fFhHmMuUwWxX\\\\\\[\\]-"

# A class of first characters: with that `re` looks for them alone, and tries the rest only there, which the next one mostly ends.
MARK = re.compile(rf"[{_FIRSTS}]{_WORDS}", re.VERBOSE)
"""Where something may begin. At the end of the text also the beginning of a word that is looked for."""

STOPS = re.compile(rf"[!{_FIRSTS}](?:{_WORDS}|(?<=!)\Z)", re.VERBOSE).search
"""The same, and an exclamation mark at the end, behind which a bracket begins an image."""

MARK_IN_TAG = re.compile(rf"[={_FIRSTS}]{_WORDS}", re.VERBOSE)

MARK_OR_WORD = re.compile(rf"{MARK.pattern}|(?P<word>[^\W_])", re.VERBOSE)
MARK_OR_WORD_IN_TAG = re.compile(rf"{MARK_IN_TAG.pattern}|(?P<word>[^\W_])", re.VERBOSE)
"""The same where every word may be the name of a host."""

MARKS = (MARK, MARK_IN_TAG)
WORDS_AND_MARKS = (MARK_OR_WORD, MARK_OR_WORD_IN_TAG)
"""What is looked for outside of tags, and inside."""

DOMAIN = re.compile(r"(?:[\w.-]|&[\w#]*;?)+")
DOMAIN_NAME = re.compile(r"(?:[\w-]|&\w+;)+(?:\.|&#?\w+;?)(?:.*(?:\.|&#?\w+;?))?(?:[^\W\d_]{2}|xn--)", re.IGNORECASE)
"""The name of a host: what looks like a top level is of letters."""

USER_END = re.compile(r"[\s()\[\]]")
"""What no reader takes for a part of a user's name before a host."""

NO_HOST = frozenset(".,;:!?\"'()[]{}<>*`~/|=+#$%^")
"""With one of these behind it, `www.` is no beginning of a host."""

TAG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,63}")
BEFORE_TARGET = re.compile(r"[\s\x00-\x1f>]*")
"""Between `](` or `]:` and a target: blanks, a line break, and the marks of a quotation that the next line begins with. And what
browsers take away before a URL, if a renderer gives it to them: Python-Markdown does."""

HTML_BLANK = re.compile(r"[\t\n\f\r ]*")
QUOTE = re.compile(r"[\"']")
BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
LINE_BEGUN = re.compile(r"\n[ \t\r]*\Z")

ENDS: dict[str, re.Pattern[str]] = {
    "(": re.compile(r"[\s\x00-\x1f()]"),
    ":": re.compile(r"[\s\x00-\x1f]"),
    "<": re.compile(r"[>\n]"),
    "auto": re.compile(r"[\x00-\x20<>]"),
    "=": re.compile(r"[\t\n\f\r >]"),
    '"': re.compile(r'"'),
    "'": re.compile(r"'"),
    "set": re.compile(r"[;)<>{}\n]"),
    "style": re.compile(r"[\s)\"']"),
    "string": re.compile(r"[\s<>\"']"),
    "mail": re.compile(r"[\s<>\"'`)\]]"),
    "bare": re.compile(r"[\s<>\"`\[\]|()]"),
    "run": re.compile(r"[ \t\n\r]"),
}
"""Where a target ends, by what it began with. Those with parentheses end at one that closes more than was opened."""

MAIL_QUERY = re.compile(r"[^\s<>\"'`)\]?#]*[?#]")
"""A `mailto:` with a query. What it is followed by, up to a blank, may be one more of its fields."""

_BREAK = r"[\t\r]|\n(?:[^\S\n]|>)*+(?!\n)"

TARGETS = {
    **{kind: re.compile(f"[^{end.pattern.removeprefix('[').removesuffix(']')}]*+") for kind, end in ENDS.items()},
    "(": re.compile(rf"(?:[^\t-\r )]++|{_BREAK})*+"),
    ":": re.compile(r"[^\t-\r ]*+"),
    "<": re.compile(rf"(?:[^\n>]++|{_BREAK})*+"),
    "auto": re.compile(rf"(?:[^\x00-\x20<>]++|{_BREAK})*+"),
    "style": re.compile(r"[^ \n\f\r)\"']*+"),
}
TARGETS["query"] = TARGETS["auto"]
"""A target as far as it may reach, for its verdict: what is in parentheses may belong to its host, and no reader minds a tab. Nor
do browsers mind a line break, and Python-Markdown takes one for a part of the target. Blanks beyond ASCII are a part of it."""

LINE_BREAK = re.compile(r"\n(?:[^\S\n]|>)*")
"""A line break in a target, with what a list or a quotation has at the beginning of its next line."""

IN_STYLE = re.compile(r"[\\<]")
"""In a target in a style, an escape or the beginning of what is no part of it may hide how it goes on."""

BLUNTED = (
    re.compile(r"(?!)"),
    re.compile(r"&(?:#|apos|bsol|colon|commat|lpar|NewLine|quot|sol|Tab)"),
    re.compile(r"&[A-Za-z#]|<[A-Za-z!?/]"),
)
"""What is taken out of no style, a style, and one of SVG or MathML. In the last, entities are read, and tags, comments and CDATA
part words that are joined without them; in the others a renderer of Markdown may read entities before there is a style."""

MAX_BLUNTED = 8
"""Characters in which that is seen."""

FOREIGN = frozenset(("svg", "math"))
STYLE_END = re.compile(r"</style[\t\n\f\r />]", re.IGNORECASE)

WITH_BLANKS = {"(": re.compile(r"[@/?#()]"), "auto": re.compile(r"[@/?#>]")}
"""What may end the host, or the target, of those that go on over blanks for Python-Markdown and others."""

AUTO_END = re.compile(r"[\n >]")
"""The end of `<scheme:`, or that it has none: to some readers other blanks and a `<` are in it."""

BARE_KINDS = frozenset(("auto", "bare", "mail"))
"""What is its own text."""

KEPT_MARKS = 3
"""Marks at the end of a URL in plain text that belong to the sentence, and stay: `?!` and the like."""

COUNTED = frozenset(("(", "bare"))

LEADING = frozenset(("action", "cite", "formaction", "href", "longdesc"))
"""Attributes with the URL that a click leads to. The `href` of a tag other than `<a>` loads."""

LOADING = frozenset(
    (
        *("background", "classid", "code", "codebase", "data", "dynsrc", "icon", "lowsrc", "manifest", "poster", "profile"),
        *("src", "xlink:href", "xml:base"),
    )
)
"""Attributes with a URL that is loaded without a click, or may be."""

LISTS = frozenset(("archive", "attributionsrc", "imagesrcset", "ping", "srcset"))
"""Attributes with several such URLs."""

ANIMATED = frozenset(("by", "from", "to", "values"))
"""Attributes of animations in SVG, whose values are those of any other attribute, which may be named later."""

PAINTS = frozenset(
    (
        *("clip-path", "color-profile", "cursor", "fill", "filter"),
        *("marker", "marker-end", "marker-mid", "marker-start", "mask", "stroke"),
    )
)
"""Attributes of SVG that are read as a style is."""

WHOLE = LISTS | PAINTS | ANIMATED | {"content", "srcdoc", "style"}
"""Attributes that can be judged only when they are complete."""

ATTRIBUTES = LEADING | LOADING | WHOLE
