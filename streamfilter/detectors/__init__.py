"""A catalogue of rules for what applications redact most.

Each rule says what it finds, where its form comes from, and what it mistakes. They are made for guards: between missing a secret
and redacting something harmless that looks like one, they choose the latter, unless that would touch ordinary prose.
"""

from __future__ import annotations

import difflib

from streamfilter.matching import Rule

__all__ = ["API_KEY", "CREDIT_CARD", "EMAIL", "NAMES", "PHONE", "by_name", "luhn"]

EMAIL = Rule(
    "email",
    r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+(?:xn--[a-zA-Z0-9-]{2,59}|[^\W\d_]{2,63})(?![\w-])",
)
"""An e-mail address: the dot-atom form of RFC 5321, section 4.1.2, without its rarer punctuation, and with letters of every script
(RFC 6531). Quoted local parts and address literals (`joe@[10.0.0.1]`) are not found. Not a false positive: anything of that form is
taken for an address, whether it exists or not."""

PHONE = Rule(
    "phone",
    r"(?<![\w+.-])(?:\+[1-9](?:[ .\-/()]{0,2}\d){6,14}|(?:\(\d{3}\)|\d{3})[ .-]?\d{3}[.-]\d{4})(?![\w-])",
)
"""A telephone number: international with its plus sign (7 to 15 digits, ITU-T E.164), grouped in any usual way; or North American
with area code and a separator before the last four digits. National numbers of other countries are not found: without a prefix
they cannot be told from other numbers."""


def luhn(text: str) -> bool:
    """Whether the digits of a text have a valid check digit (ISO/IEC 7812-1, annex B).

    Example:
        >>> luhn("4111 1111 1111 1111"), luhn("4111 1111 1111 1112")
        (True, False)
    """
    digits = [int(character) for character in text if character.isdecimal()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return bool(digits) and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


CREDIT_CARD = Rule(
    "credit_card",
    r"(?<![\w.-])(?:[2-6][0-9]{3}(?:[ -][0-9]{4}){3}|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5}|[2-6][0-9]{12,18})(?!\w)",
    check=luhn,
)
"""A payment card number: 13 to 19 digits in one piece, four groups of four, or 4-6-5 and 4-6-4 as on cards of 15 and 14 digits
(ISO/IEC 7812-1, issuers 2 to 6), with a valid check digit. Digits may follow behind a blank: an expiry date, a check number. One in
ten other numbers of that form passes the check."""

API_KEY = Rule(
    "api_key",
    r"(?<![A-Za-z0-9])(?:"
    r"sk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"
    r"|gh[pousr]_[A-Za-z0-9]{36,}"
    r"|github_pat_[A-Za-z0-9_]{22,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}"
    r"|(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|hf_[A-Za-z0-9]{30,}"
    r")",
)
"""A key of a well-known service, by its prefix: OpenAI and Anthropic (`sk-`), AWS, Google, GitHub, Slack, Stripe, Hugging Face.
Source: the services' own documentation of their key formats. Keys without a prefix are not found."""

_RULES = {rule.name: rule for rule in (EMAIL, PHONE, CREDIT_CARD, API_KEY)}

NAMES = tuple(_RULES)
"""The names of all rules, for files and the command line."""


def by_name(name: str) -> Rule:
    """The rule of this name, for files and the command line.

    Raises:
        ValueError: there is none; the message names the one that comes closest.

    Example:
        >>> by_name("emial")
        Traceback (most recent call last):
        ...
        ValueError: unknown rule 'emial': did you mean 'email'? There are email, phone, credit_card, api_key
    """
    if name in _RULES:
        return _RULES[name]
    close = difflib.get_close_matches(name, NAMES, 1)
    hint = f"did you mean {close[0]!r}? There are" if close else "there are"
    raise ValueError(f"unknown rule {name!r}: {hint} {', '.join(NAMES)}")
