"""Declared replacements: what `to=` can be besides a text and a function.

They are values, so that stages with them are compared and pickled. They are called with each match, as a function is; nothing else
is known of them where they are used.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, SecretStr

from streamfilter.declaration import Declared, declared
from streamfilter.matching import Match

MIN_SALT_CHARS = 8
"""A shorter salt is found by trying all; 16 random characters are not."""

DIGEST_CHARS = 64
"""Of SHA-256 in hexadecimal."""


@declared
class Mask(Declared):
    r"""Show the last characters of a match, and of the others only how many there are.

    Every other character is masked, blanks and punctuation too: what stands between the digits of a number says what kind it is.
    A match of fewer than twice `keep_last` characters is masked whole, so never most of it shows.

    Args:
        keep_last: how many characters are shown.
        char: what stands for each of the others: one character.

    Raises:
        ValueError: `keep_last` is negative, or `char` is not one character.

    Example:
        >>> import streamfilter as sf
        >>> sf.Redact(r"\d{4,}", to=sf.Mask()).apply("card 4111111111111111, pin 12345")
        'card ••••••••••••1111, pin •••••'
    """

    keep_last: Annotated[int, Field(ge=0)] = dataclasses.field(default=4, kw_only=True)
    char: Annotated[str, Field(min_length=1, max_length=1)] = dataclasses.field(default="•", kw_only=True)

    if TYPE_CHECKING:

        def __init__(self, *, keep_last: int = ..., char: str = ...) -> None: ...

    def __call__(self, match: Match) -> str:
        text = str(match.group())
        masked = len(text) if len(text) < 2 * self.keep_last else len(text) - self.keep_last
        return self.char * masked + text[masked:]


@declared
class Hash(Declared):
    """Show a keyed hash of a match, as `[email:9f86d081884c]`: the same text has the same one, and can still be counted and joined.

    It is HMAC-SHA256 (RFC 2104) of the text in UTF-8, keyed with the salt, in hexadecimal, of which the first `chars` are shown.
    Who knows the salt can try texts, so keep it as a secret. Among a thousand texts, the chance that any two share
    the first 12 characters is one in five hundred million.

    Args:
        salt: the secret; at least 8 characters, better 16 random ones. It is not shown in a repr. A pickle holds it.
        chars: how much of the hash is shown, 8 to 64.

    Raises:
        ValueError: the salt is too short, or `chars` out of range.

    Example:
        >>> import streamfilter as sf
        >>> sf.Redact(sf.Rule("name", "Ann|Joe"), to=sf.Hash("0123456789abcdef")).apply("Ann, Joe, Ann")
        '[name:...], [name:...], [name:...]'
    """

    salt: SecretStr
    chars: Annotated[int, Field(ge=8, le=DIGEST_CHARS)] = dataclasses.field(default=12, kw_only=True)

    if TYPE_CHECKING:

        def __init__(self, salt: str | SecretStr, *, chars: int = ...) -> None: ...

    def compile(self) -> None:
        if len(self.salt.get_secret_value()) < MIN_SALT_CHARS:
            raise ValueError(f"salt: at least {MIN_SALT_CHARS} characters are needed, a shorter one is found by trying; better 16")

    def __call__(self, match: Match) -> str:
        import hmac  # noqa: PLC0415  # takes 3 ms, and who does not hash should not pay for it

        # `surrogatepass`, because what cannot be encoded would be quoted in the error.
        key, text = (each.encode("utf-8", "surrogatepass") for each in (self.salt.get_secret_value(), match.group()))
        return f"[{match.rule.name}:{hmac.digest(key, text, 'sha256').hex()[: self.chars]}]"
