"""A catalogue of rules for what applications redact most.

Each rule says what it finds, where its form comes from, and what it mistakes. They are made for guards: between missing a secret
and redacting something harmless that looks like one, they choose the latter, unless that would touch ordinary prose.

A family of rules is loaded when one of it is asked for: who redacts e-mail addresses does not wait for bank accounts, and needs no
libraries for crypto-currencies.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from streamfilter.matching import Rule

if TYPE_CHECKING:
    from streamfilter.detectors.checks import entropy, luhn, mod97
    from streamfilter.detectors.credentials import AWS_SECRET_KEY, AZURE_SECRET, HIGH_ENTROPY, JWT, PASSWORD, PRIVATE_KEY
    from streamfilter.detectors.crypto import BITCOIN as BITCOIN
    from streamfilter.detectors.crypto import ETHEREUM as ETHEREUM
    from streamfilter.detectors.gitleaks import from_gitleaks
    from streamfilter.detectors.keys import (
        ANTHROPIC_KEY,
        API_KEY,
        AWS_ACCESS_KEY,
        GITHUB_TOKEN,
        GITLAB_TOKEN,
        GOOGLE_API_KEY,
        HUGGINGFACE_TOKEN,
        OPENAI_KEY,
        SLACK_TOKEN,
        STRIPE_KEY,
    )
    from streamfilter.detectors.money import CREDIT_CARD, IBAN
    from streamfilter.detectors.network import IPV4, IPV6, MAC, URL
    from streamfilter.detectors.people import EMAIL, PHONE, UK_NINO, US_SSN
    from streamfilter.detectors.phones import phone_number as phone_number
    from streamfilter.detectors.presidio import from_presidio

    PII: tuple[Rule, ...]
    SECRETS: tuple[Rule, ...]

__all__ = [
    "ANTHROPIC_KEY",
    "API_KEY",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AZURE_SECRET",
    "CREDIT_CARD",
    "EMAIL",
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
    "GOOGLE_API_KEY",
    "HIGH_ENTROPY",
    "HUGGINGFACE_TOKEN",
    "IBAN",
    "IPV4",
    "IPV6",
    "JWT",
    "MAC",
    "NAMES",
    "OPENAI_KEY",
    "PASSWORD",
    "PHONE",
    "PII",
    "PRIVATE_KEY",
    "SECRETS",
    "SLACK_TOKEN",
    "STRIPE_KEY",
    "UK_NINO",
    "URL",
    "US_SSN",
    "by_name",
    "entropy",
    "from_gitleaks",
    "from_presidio",
    "luhn",
    "mod97",
    "named",
]

_FAMILIES = {
    "people": "EMAIL PHONE US_SSN UK_NINO",
    "money": "CREDIT_CARD IBAN",
    "network": "IPV4 IPV6 MAC URL",
    "keys": """API_KEY OPENAI_KEY ANTHROPIC_KEY AWS_ACCESS_KEY GOOGLE_API_KEY GITHUB_TOKEN GITLAB_TOKEN SLACK_TOKEN STRIPE_KEY
        HUGGINGFACE_TOKEN""",
    "credentials": "JWT PRIVATE_KEY AWS_SECRET_KEY AZURE_SECRET PASSWORD HIGH_ENTROPY",
    "crypto": "BITCOIN ETHEREUM",
}
_FUNCTIONS = {
    "entropy": "checks",
    "luhn": "checks",
    "mod97": "checks",
    "from_gitleaks": "gitleaks",
    "from_presidio": "presidio",
    "phone_number": "phones",
}
_PLACES = {name: family for family, names in _FAMILIES.items() for name in names.split()} | _FUNCTIONS

_TUPLES = {
    "PII": "EMAIL IBAN CREDIT_CARD US_SSN UK_NINO PHONE MAC IPV6 IPV4",
    "SECRETS": "PRIVATE_KEY JWT API_KEY AWS_SECRET_KEY AZURE_SECRET PASSWORD HIGH_ENTROPY",
}
"""Specific before general: where two match at one place, the first wins. No web addresses: most are public pages. No addresses of
crypto-currencies: they need libraries, and what a tuple finds must not depend on what is installed. One rule for the keys of all
services, so that a key is reported once and under a name that stays when its service changes its form."""

_FIRST = ("email", "phone", "credit_card", "api_key")
NAMES = (*_FIRST, *(name for names in _FAMILIES.values() for name in names.lower().split() if name not in _FIRST))
"""The names of all rules, for files and the command line; what is asked for most stands first."""


def __getattr__(name: str) -> Any:
    if name in _TUPLES:
        value: object = tuple(__getattr__(each) for each in _TUPLES[name].split())
    elif name in _PLACES:
        value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_PLACES})


def by_name(name: str) -> Rule:
    """The rule of this name, for files and the command line.

    Raises:
        ValueError: there is none, and the message names the one that comes closest; or the libraries that it needs are missing.

    Example:
        >>> by_name("emial")
        Traceback (most recent call last):
        ...
        ValueError: unknown rule 'emial': did you mean 'email'? There are email, phone, credit_card, api_key, ...
    """
    if name in NAMES:
        try:
            return cast("Rule", __getattr__(name.upper()))
        except ImportError as missing:
            raise ValueError(f"rule {name!r} cannot be used: {missing}") from missing
    raise ValueError(_unknown(name, NAMES))


def named(name: str) -> tuple[Rule, ...]:
    """The rules that a name stands for, in files: those of the tuple, for "PII" and "SECRETS", or the one rule.

    Raises:
        ValueError: as of `by_name`.

    Example:
        >>> [rule.name for rule in named("SECRETS")]
        ['private_key', 'jwt', 'api_key', 'aws_secret_key', 'azure_secret', 'password', 'high_entropy']
        >>> [rule.name for rule in named("email")]
        ['email']
    """
    if name in _TUPLES:
        return cast("tuple[Rule, ...]", __getattr__(name))
    if name not in NAMES:
        raise ValueError(_unknown(name, (*_TUPLES, *NAMES)))
    return (by_name(name),)


def _unknown(name: str, names: tuple[str, ...]) -> str:
    spelled = {each.lower(): each for each in names}
    same = [each for each in spelled if name and name.lower() in each]
    close = sorted(same, key=len)[:1] or difflib.get_close_matches(name.lower(), spelled, 1)
    hint = f"did you mean {spelled[close[0]]!r}? There are" if close else "there are"
    return f"unknown rule {name!r}: {hint} {', '.join(names)}"
