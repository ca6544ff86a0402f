"""The texts: prose with forty secrets of three sorts, and prose with none. The same in every run.

What is in them is chosen so that no peer is measured on a form it does not claim: e-mail addresses have one-level domains
(llm-redacted knows no others), telephone numbers are valid and international (sether asks libphonenumber), keys end in a
letter or a digit, a secret stands between words and not between digits (sether takes digits before a card for part of it),
private keys are those of P-256 (226 characters: within the 256 that sether keeps by default).
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamfilter.detectors import luhn

CHARS = 12_012
"""The length of each text: 3,003 chunks of 4 characters."""
SECRETS = 40
_ALNUM = string.ascii_letters + string.digits
_WORDS = """
the a of to and in that it is was for on are with as his they at be this from have or by one had not but what all were we when
there can an your which their said if do will each about how up out them then she many some so these would other into has more two
like him see time could no make than first been its who now people my made over did down only way find use may water long little
very after words called just where most know 12 2024 3.5 e.g. (see) well-known https://example.com/a?b=c
""".split()
_FIRST = "nora liam mara jonas edith pavel quinn sofia tariq wanda".split()
_LAST = "quist abbot delgado okafor ferris lindgren moreau novak petrov sandoval".split()


@dataclass(frozen=True)
class Text:
    """A text, and the secrets in it."""

    name: str
    text: str
    secrets: tuple[str, ...] = ()


def prose(chars: int, rng: random.Random) -> str:
    """Sentences and paragraphs of common words, a few numbers and links; a little over so many characters."""
    out: list[str] = []
    while sum(map(len, out)) < chars:
        words = rng.choices(_WORDS, k=rng.randint(5, 18))
        out.append(" ".join(words).capitalize() + rng.choice((". ", ". ", "? ", ".\n\n")))
    return "".join(out)


def _take(rng: random.Random, chars: int, alphabet: str = _ALNUM) -> str:
    return "".join(rng.choices(alphabet, k=chars))


def _email(rng: random.Random) -> str:
    return f"{rng.choice(_FIRST)}.{rng.choice(_LAST)}{rng.randint(10, 99)}@{_take(rng, 7, string.ascii_lowercase)}.com"


def _phone(rng: random.Random) -> str:
    area, exchange, line = rng.choice((212, 312, 415, 617, 650)), rng.randint(220, 399), rng.randint(1000, 9999)
    return rng.choice((" ", "-")).join(("+1", str(area), str(exchange), str(line)))


def _card(rng: random.Random) -> str:
    digits = "4" + _take(rng, 14, string.digits)
    number = next(digits + last for last in string.digits if luhn(digits + last))
    return rng.choice(("", " ", "-")).join("".join(four) for four in zip(*[iter(number)] * 4, strict=True))


def _key(rng: random.Random) -> str:
    aws = "AKIA" + _take(rng, 16, string.ascii_uppercase + string.digits)
    return rng.choice((f"sk-{_take(rng, 31)}7", aws, f"ghp_{_take(rng, 36)}"))


def _long_key(rng: random.Random) -> str:
    """In the form of OpenAI's project keys: 164 characters."""
    return f"sk-proj-{_take(rng, 74)}T3BlbkFJ{_take(rng, 73)}7"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _jwt(rng: random.Random) -> str:
    """Signed with HS256 (RFC 7519): it can be told from prose only when its second dot has come."""
    claims = {"sub": _take(rng, 10), "name": f"{rng.choice(_FIRST)} {rng.choice(_LAST)}", "iat": rng.randrange(10**9, 2 * 10**9)}
    parts = [json.dumps(each, separators=(",", ":")).encode() for each in ({"alg": "HS256", "typ": "JWT"}, claims)]
    return ".".join(map(_base64, [*parts, rng.randbytes(32)]))[:-1] + "A"


def _pem(rng: random.Random) -> str:
    """A private key of the curve P-256 (RFC 5915, 7468): it is whole only when its last line has come."""
    body = base64.b64encode(rng.randbytes(121)).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN EC PRIVATE KEY-----", *lines, "-----END EC PRIVATE KEY-----"])


def _with(name: str, makers: Sequence[Callable[[random.Random], str]], rng: random.Random) -> Text:
    secrets = tuple(maker(rng) for maker in itertools.islice(itertools.cycle(makers), SECRETS))
    out, ahead = "", sum(map(len, secrets))
    for number, secret in enumerate(secrets):
        room = (CHARS - len(out) - ahead) // (SECRETS - number + 1)
        out += prose(room - 50, rng) + "See " + secret + rng.choice((" and ", ", then ", " for ")) + "the rest. "
        ahead -= len(secret)
    return Text(name, (out + prose(CHARS, rng))[:CHARS], secrets)


def texts() -> list[Text]:
    """The three texts with secrets: "short", "long" and "late"."""
    rng = random.Random(11)
    return [
        _with("short", (_email, _phone, _card, _key), rng),
        _with("long", (_long_key,), rng),
        _with("late", (_jwt, _pem), rng),
    ]


def clean() -> str:
    """Prose without a secret."""
    return prose(CHARS, random.Random(12))[:CHARS]
