"""What the checks of the catalogue compute: check digits, and whether a string looks like an address, a token, or noise.

Each takes the text of a match and says yes or no. They know nothing of rules and streams, raise nothing, and are named functions,
so that rules with them can be pickled and compared.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import math
from collections import Counter
from itertools import pairwise

MIN_ENTROPY = 2.9
"""Bits per character below which a string is not taken for random. Of random strings of 20 hexadecimal digits 99 in 100 have
more."""

MIN_CHANGES = 0.2
"""How often the kind of character must change in a random string. In random hexadecimal and base64 it changes at 0.45 of the
places, in names, paths, dates and version numbers at less than 0.2."""


def luhn(text: str) -> bool:
    """Whether the digits of a text have a valid check digit (ISO/IEC 7812-1, annex B).

    Example:
        >>> luhn("4111 1111 1111 1111"), luhn("4111 1111 1111 1112")
        (True, False)
    """
    digits = [int(character) for character in text if character.isdecimal()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return bool(digits) and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def mod97(text: str) -> bool:
    """Whether the letters and digits of a text have valid check digits as an IBAN has them (ISO 13616-1, which takes them from
    ISO/IEC 7064, MOD 97-10): the first four characters moved to the end, letters read as 10 to 35, the number is 1 modulo 97.

    Example:
        >>> mod97("GB82 WEST 1234 5698 7654 32"), mod97("GB82 WEST 1234 5698 7654 33")
        (True, False)
    """
    plain = "".join(character for character in text if character.isalnum())
    if not plain.isascii() or not 4 < len(plain) <= 34:  # of the longest IBAN
        return False
    return int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1


def somebodys_ipv4(text: str) -> bool:
    """Whether a text is an IPv4 address that can belong to somebody: not the unspecified one (0.0.0.0), not a loopback
    (127.0.0.0/8), and none of 240.0.0.0/4, which is reserved and has the broadcast address and most net masks (RFC 6890, section
    2.2.2).

    Example:
        >>> somebodys_ipv4("192.0.2.7"), somebodys_ipv4("127.0.0.1"), somebodys_ipv4("255.255.255.0"), somebodys_ipv4("1.2.3")
        (True, False, False, False)
    """
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_loopback or address.is_reserved)


def somebodys_ipv6(text: str) -> bool:
    """Whether a text is an IPv6 address (RFC 4291, section 2.2) that can belong to somebody: neither `::` nor `::1`.

    Short forms are also what code is made of: `1::2` is a slice, `add::bad` a name. So it must have a digit, and be written in full
    or have a group of at least three.

    Example:
        >>> somebodys_ipv6("2001:db8::1"), somebodys_ipv6("1::2"), somebodys_ipv6("face::add"), somebodys_ipv6("12:30:45")
        (True, False, False, False)
    """
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    groups = text.split(":")
    is_code = not any(character.isdigit() for character in text) or (len(groups) < 8 and max(map(len, groups)) < 3)
    return not (address.is_unspecified or address.is_loopback or is_code)


def jwt_header(text: str) -> bool:
    """Whether the part of a text up to its first dot is the header of a JSON web token: base64url of a JSON object that names an
    algorithm (RFC 7515, section 4.1.1, and RFC 7516, section 4.1.1).

    Example:
        >>> jwt_header("eyJhbGciOiJIUzI1NiJ9.e30.c2ln"), jwt_header("eyJub25lIjowfQ.e30.c2ln")
        (True, False)
    """
    encoded = text.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and isinstance(header.get("alg"), str)


def entropy(text: str) -> float:
    """The Shannon entropy of the characters of a text, in bits per character (C. E. Shannon, "A Mathematical Theory of
    Communication", 1948, section 6); 0 for the empty text.

    Example:
        >>> entropy("aabb"), entropy("aaaa"), entropy("")
        (1.0, 0.0, 0.0)
    """
    return sum(-count / len(text) * math.log2(count / len(text)) for count in Counter(text).values()) + 0.0


def looks_random(text: str) -> bool:
    """Whether a text looks like noise, not like a name: its entropy is at least `MIN_ENTROPY`, and between neighbouring letters
    and digits the kind (small, capital, digit) changes at one place in five or more, where a capital before a small letter is no
    change.

    Entropy alone does not do: `my_application_secret_name` has more of it than most keys of the same length.

    Example:
        >>> looks_random("9f86d081884c7d659a2f"), looks_random("my_application_secret_name_2")
        (True, False)
    """
    kinds = ["a" if c.islower() else "A" if c.isupper() else "0" for c in text if c.isalnum()]
    changes = sum(pair[0] != pair[1] and pair != ("A", "a") for pair in pairwise(kinds))
    return changes >= MIN_CHANGES * (len(kinds) - 1) > 0 and entropy(text) >= MIN_ENTROPY


_WORDS = """
changeit empty example false hidden input masked n/a nil no none null optional pass passphrase password placeholder pwd redacted
removed required secret str string text true type undefined value yes your_password your-password yourpassword
"""
PLACEHOLDERS = frozenset(_WORDS.split())
"""What stands for a password where none is: in small letters."""


def stands_for_itself(text: str) -> bool:
    """Whether a text behind a password's label can be one, and does not stand for one that is elsewhere: a variable, a template, a
    row of stars, a word such as "string" or "required", a sentence about passwords.

    Example:
        >>> list(filter(stands_for_itself, ["hunter2", "${DB_PASSWORD}", "<password>", "****", "null", "It is too short."]))
        ['hunter2']
    """
    is_variable = text[:1] in "$%{<[" or "{{" in text or "${" in text
    is_row = len(set(text)) == 1 and not text.isalnum()
    is_sentence = " " in text and text[-1] in ".!?:"
    lower = text.lower()
    return not (
        is_variable or is_row or is_sentence or lower in PLACEHOLDERS or lower.startswith(("your_", "your-", "your ", "xxx"))
    )
