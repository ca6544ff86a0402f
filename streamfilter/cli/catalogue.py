"""`rules`: the catalogue of rules, each with something that it finds. All of that is made up, or published for tests."""

from __future__ import annotations

from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamfilter import detectors
from streamfilter.text.replace import Redact

_HEX = "9f86d081884c7d659a2feaa0c55ad015"
_MIXED = "q8Zr2Lx7Vb1Nw5TkHd3s"

EXAMPLES = {
    "email": "write to joe@example.com",
    "phone": "call +44 20 7946 0958",
    "us_ssn": "SSN 123-45-6789",
    "uk_nino": "NINO AB 12 34 56 C",
    "credit_card": "card 4111 1111 1111 1111",
    "iban": "to GB82 WEST 1234 5698 7654 32",
    "ipv4": "from 203.0.113.77",
    "ipv6": "from 2001:db8::1",
    "mac": "device 00:1a:2b:3c:4d:5e",
    "url": "see https://example.com/a?b=c",
    # Put together from two texts, so that who scans this file for keys finds none.
    "api_key": "key " + "ghp_" + "a1B2" * 9,
    "openai_key": "key " + "sk-proj-" + "a1B2" * 12,
    "anthropic_key": "key " + "sk-ant-api03-" + "a1B2" * 23 + "aA",
    "aws_access_key": "key " + "AKIA" + "IOSFODNN7EXAMPLE",
    "google_api_key": "key " + "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "github_token": "token " + "ghp_" + "a1B2" * 9,
    "gitlab_token": "token " + "glpat-" + "x1" * 10,
    "slack_token": "token " + "xoxb-" + "123456789012-1234567890123-" + "a1B2" * 6,
    "stripe_key": "key " + "sk_live_" + "a1B2" * 6,
    "huggingface_token": "token " + "hf_" + "aBcD" * 8 + "eF",
    "jwt": "token " + "eyJhbGciOiJIUzI1NiJ9" + ".e30.c2ln",
    "private_key": "-----BEGIN " + "PRIVATE KEY-----\n" + "a1B2" * 16 + "\n-----END " + "PRIVATE KEY-----",
    "aws_secret_key": "aws_secret_access_key=" + "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY",
    "azure_secret": "AccountKey=" + "a1B2" * 21 + "aB==",
    "password": "password=hunter2",
    "high_entropy": "token: " + _HEX,
    "bitcoin": "to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "ethereum": "to 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
}
"""By the name of a rule, a text in which it finds something. The addresses are those of the Bitcoin Wiki and of ERC-55, the keys of
AWS those of its documentation."""

SHOWN_CHARS = 48


class Entry(NamedTuple):
    """A rule of the catalogue."""

    name: str
    group: str
    example: str
    becomes: str
    pattern: str
    missing: str


def entries() -> list[Entry]:
    """The catalogue, in the order of its names. A rule whose libraries are not installed says which are missing."""
    groups = {rule.name: group for group in ("PII", "SECRETS") for rule in detectors.named(group)}
    found: list[Entry] = []
    for name in detectors.NAMES:
        example = EXAMPLES[name]
        try:
            rule = detectors.by_name(name)
        except ValueError as error:
            found.append(Entry(name, groups.get(name, ""), example, "", "", str(error)))
            continue
        found.append(Entry(name, groups.get(name, ""), example, Redact(rule).apply(example), rule.pattern, ""))
    return found


def listed() -> list[dict[str, Any]]:
    """The catalogue, as JSON has it."""
    return [{key: each or None for key, each in entry._asdict().items()} for entry in entries()]


def show(console: Console) -> None:
    """Print the catalogue."""
    table = Table("rule", "of", "example", "becomes", title="Rules by name", title_justify="left")
    for entry in entries():
        table.add_row(entry.name, entry.group, _short(entry.example), _short(entry.missing or entry.becomes))
    console.print(table)
    console.print("PII and SECRETS stand for all rules of a kind, in files and after --redact.", highlight=False)


def _short(text: str) -> Text:
    line = text.replace("\n", "⏎")
    return Text(line if len(line) <= SHOWN_CHARS else f"{line[: SHOWN_CHARS - 1]}…")
