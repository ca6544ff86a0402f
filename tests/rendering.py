"""What a reader sees of Markdown, by a real parser: markdown-it-py with GitHub's tables and strikethrough, and footnotes."""

from __future__ import annotations

from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import table
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin

PICTURE = "\N{OBJECT REPLACEMENT CHARACTER}"

PARSER = MarkdownIt("commonmark", {"maxNesting": 100}).enable("strikethrough").use(footnote_plugin)
# As GitHub has it, the head of a table is text of a paragraph; markdown-it would take "- a | b" or "# a | b" for one.
PARSER.block.ruler.before("lheading", "table", table, {"alt": ["paragraph", "reference"]})
PARSER.disable("footnote_tail")  # a footnote is read where it stands, not at the end: so what is shown can be a beginning


def known(text: str) -> dict[str, Any]:
    """What a document defines: links and footnotes. A reference may come before its definition; see `seen`."""
    env: dict[str, Any] = {}
    PARSER.parse(text, env)
    return env


def seen(text: str, env: dict[str, Any] | None = None) -> str:
    """The text of all text, code and line breaks, blocks and cells on lines of their own. Pictures and footnote marks are one character.

    Marks of lists and rules, tags and blocks of HTML have no text. White space at ends of lines and of the document is not seen.

    Args:
        env: what is defined, apart from what the text itself defines.
    """
    given: dict[str, Any] = {"references": dict((env or {}).get("references", {}))}
    notes = (env or {}).get("footnotes", {}).get("refs", {})
    given["footnotes"] = {"refs": dict.fromkeys(notes, -1), "list": {}}
    blocks: list[str] = []
    for token in PARSER.parse(text, given):
        if token.type == "inline":
            blocks.append("".join(_inline(child) for child in token.children or ()))
        elif token.type in ("fence", "code_block"):
            blocks.append(token.content)
    lines = [line.rstrip() for block in blocks for line in block.split("\n")]
    return "\n".join(line for line in lines if line)


def _inline(token: Token) -> str:
    if token.type in ("text", "code_inline"):
        return token.content
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    return PICTURE if token.type in ("image", "footnote_ref") else ""
