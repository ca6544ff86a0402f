"""What a page would make of a text: real parsers render it, and every URL that is found is resolved as a browser resolves it.

markdown-it-py renders (with and without HTML, with and without linkify, and without its own list of bad schemes), and so does
Python-Markdown, which takes line breaks and control characters for parts of a target. html5lib is the HTML
standard's parser, tinycss2 that of CSS Syntax, ada the URL standard's. Nothing here uses the code under test.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import ada_url
import html5lib  # type: ignore[import-untyped]
import markdown  # type: ignore[import-untyped]
import tinycss2  # type: ignore[import-untyped]
from markdown_it import MarkdownIt

PAGE = "https://page.test/dir/"
HOSTS = {"example.com", "img.example.com"}
IMAGES = {"img.example.com"}
LEADS = {"href", "action", "formaction", "cite", "longdesc"}
LOADS = {"src", "poster", "background", "data", "xlink:href", "ping", "lowsrc", "dynsrc", "manifest", "codebase", "srcdoc"}
ANIMATES = {"from", "to", "by", "values"}
PAINTS = {"style", "clip-path", "cursor", "fill", "filter", "marker", "marker-end", "marker-mid", "marker-start", "mask", "stroke"}


def _renderer(preset: str, html: bool, linkify: bool, domains: bool = False) -> MarkdownIt:
    renderer = MarkdownIt(preset, {"html": html, "linkify": linkify})
    if linkify:
        renderer.enable("linkify")
        assert renderer.linkify is not None
        if not domains:
            renderer.linkify.set({"fuzzy_link": False}).add("//", None)
    renderer.validateLink = lambda url: True  # type: ignore[method-assign]  # a renderer that checks nothing
    return renderer


RENDERERS = [
    _renderer("commonmark", html=True, linkify=False),
    _renderer("gfm-like", html=False, linkify=True),
    _renderer("gfm-like", html=True, linkify=True),
]
"""As GitHub makes links of plain text: with a scheme, or `www.`, or of an address."""

EAGER = _renderer("gfm-like", html=False, linkify=True, domains=True)
"""With links of whatever looks like the name of a host, which is how it links `www.` as well."""


def pages(text: str) -> Iterator[str]:
    yield text  # into a page as it is
    for renderer in RENDERERS:
        yield renderer.render(text)
    yield markdown.markdown(text)


def urls(page: str) -> Iterator[tuple[str, bool]]:
    """Every URL of a page, and whether it is loaded without a click."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = html5lib.parseFragment(page, treebuilder="etree", namespaceHTMLElements=False)
    for element in tree.iter():
        if not isinstance(element.tag, str):
            continue
        tag = element.tag.rpartition("}")[2].lower()
        if tag == "style":
            yield from ((url, True) for url in styled((element.text or "") + "".join(child.tail or "" for child in element)))
        for name, value in element.attrib.items():
            attribute = (name if isinstance(name, str) else name[-1]).rpartition("}")[2].lower()
            if attribute in LEADS:
                yield value, attribute == "href" and tag not in ("a", "area")
            elif attribute in LOADS:
                yield value, True
            elif attribute in ("srcset", "imagesrcset"):
                yield from ((piece.split()[0], True) for piece in value.split(",") if piece.split())
            elif attribute in PAINTS:
                yield from ((url, True) for url in styled(value))
            elif attribute in ANIMATES and tag in ("set", "animate"):
                yield from ((url, True) for part in value.split(";") for url in (part, *styled(part)))
            elif attribute == "content" and (
                refresh := re.match(r"\s*[\d.]+\s*[;,]\s*(?:url\s*=\s*)?['\"]?(.*)", value, re.IGNORECASE | re.DOTALL)
            ):
                yield refresh[1], True


def styled(style: str) -> list[str]:
    """The URLs that a style loads: in functions, behind `@import`, and every string if one may be put into a function by its name."""
    loaded: list[str] = []
    strings: list[str] = []
    named: list[bool] = []

    def walk(nodes: Iterable[Any], *, loads: str) -> None:
        for node in nodes or ():
            if node.type == "url":
                loaded.append(node.value)
            elif node.type == "string":
                # `src()` and `image()` are in no browser: what they would do with other schemes is not asked.
                if loads == "all" or re.match(r"[\x00-\x20]*([/\\]|https?:)", node.value):
                    (loaded if loads else strings).append(node.value)
            elif node.type == "function":
                first = next((each for each in node.arguments if each.type != "whitespace"), None)
                if first is not None and first.type in ("hash", "literal"):
                    continue  # no image
                loading = "all" if node.lower_name == "url" or node.lower_name.endswith("image-set") else ""
                loading = loading or ("new" if node.lower_name in ("src", "image") else "")
                if loads and node.lower_name == "var":
                    named.append(True)
                walk(node.arguments, loads=loading or (loads if node.lower_name != "type" else ""))
            elif hasattr(node, "content"):
                walk(node.content, loads=loads)

    nodes = tinycss2.parse_component_value_list(style, skip_comments=True)
    walk(nodes, loads="")
    for at, node in enumerate(nodes):
        if node.type == "at-keyword" and node.lower_value == "import":
            walk([each for each in nodes[at + 1 :] if each.type != "whitespace"][:1], loads="all")
    return loaded + (strings if named else [])


def leads_out(url: str, loads: bool) -> bool:
    """Whether a browser on the page would go, or send something, to where it may not."""
    try:
        parsed = ada_url.URL(url, base=PAGE)
    except ValueError:
        return False  # a browser goes nowhere
    if parsed.protocol == "mailto:":
        box = parsed.pathname
        return loads or (bool(parsed.search) and box.rpartition("@")[2] not in HOSTS)
    if parsed.protocol in ("http:", "https:"):
        if parsed.username or parsed.password:
            return True
        host = parsed.hostname.removesuffix(".")
        if not re.fullmatch(r"[a-z0-9-]+|(.*\.)?[a-z0-9-]+\.[a-z0-9-]+|\[.*\]", host):
            return False  # nobody can register such a name
        if parsed.port not in ("", "80", "443"):
            return True
        return host != "page.test" and host not in (IMAGES if loads else HOSTS)
    scheme = parsed.protocol.removesuffix(":")
    if parsed.href == parsed.protocol or parsed.pathname.startswith(":"):
        return scheme in ("javascript", "data", "vbscript")
    return True


def leaks(text: str, domains: bool = False) -> list[str]:
    """The URLs in a text that lead out, for any reader."""
    found = [url for page in pages(text) for url, loads in urls(page) if leads_out(url, loads)]
    eager = [url for url, loads in urls(EAGER.render(text)) if leads_out(url, loads)]
    return found + [url for url in eager if domains or url.lower().startswith("http://www.")]
