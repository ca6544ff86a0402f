"""Rules for what names a person or reaches one: e-mail addresses, telephone numbers, national numbers."""

from __future__ import annotations

from streamfilter.detectors.marks import BLANK, HYPHEN
from streamfilter.matching import Rule

EMAIL = Rule(
    "email",
    r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+(?:xn--[a-zA-Z0-9-]{2,59}|[^\W\d_]{2,63})(?![\w-])",
)
"""An e-mail address: the dot-atom form of RFC 5321, section 4.1.2, without its rarer punctuation, and with letters of every script
(RFC 6531). Quoted local parts and address literals (`joe@[10.0.0.1]`) are not found. Not a false positive: anything of that form is
taken for an address, whether it exists or not."""

PHONE = Rule(
    "phone",
    rf"(?<![\w+.-])(?:\+[1-9](?:[{BLANK}./(){HYPHEN}]{{0,2}}\d){{6,14}}"
    rf"|(?:1[{BLANK}.{HYPHEN}])?(?:\(\d{{3}}\)|\d{{3}})[{BLANK}.{HYPHEN}]?\d{{3}}[.{HYPHEN}]\d{{4}})(?![\w-])",
)
"""A telephone number: international with its plus sign (7 to 15 digits, ITU-T E.164), grouped in any usual way; or North American
with area code and a separator before the last four digits. National numbers of other countries are not found: without a prefix
they cannot be told from other numbers; `phone_number(region)` asks the numbering plan. Mistaken for one: other numbers of ten
digits grouped 3-3-4."""

_AREA = "(?:00[1-9]|0[1-9][0-9]|[1-578][0-9]{2}|6[0-57-9][0-9]|66[0-57-9])"
_SERIAL = "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"


def _ssn(between: str) -> str:
    return f"{_AREA}[{between}](?:0[1-9]|[1-9][0-9])[{between}]{_SERIAL}"


US_SSN = Rule(
    "us_ssn",
    rf"(?<![\w.-])(?:{_ssn(HYPHEN)}"
    rf"|(?<=(?:SSN|ssn|[Ss]ocial [Ss]ecurity|[Ss]ocial [Ss]ecurity [Nn]umber)(?:#:?|:| is)? ){_ssn(BLANK)})(?![\w-]|\.[0-9])",
)
"""A social security number of the United States: AAA-GG-SSSS, with blanks between only behind the words that announce one. Area
000, 666 and 900 to 999, group 00 and serial 0000 were never given out (SSA, "Social Security Number Randomization", and POMS RM
10201.035). There are no check digits: any other number grouped 3-2-4 by hyphens is taken for one. Nine digits in one piece are
not."""

UK_NINO = Rule(
    "uk_nino",
    rf"(?<![A-Za-z0-9])(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
    rf"(?:[{BLANK}{HYPHEN}]?[0-9]{{2}}){{3}}[{BLANK}{HYPHEN}]?[A-D](?![A-Za-z0-9])",
)
"""A National Insurance number of the United Kingdom, in capitals, in pairs or in one piece: the prefixes that HMRC gives out, six
digits, a suffix A to D (HMRC, National Insurance Manual, NIM39110). Not found: without its suffix, in small letters, temporary
numbers. There are no check digits: part numbers of that form are taken for one."""
