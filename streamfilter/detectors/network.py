"""Rules for addresses on networks."""

from __future__ import annotations

import regex

from streamfilter.detectors.checks import somebodys_ipv4, somebodys_ipv6
from streamfilter.matching import Rule

_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"

IPV4 = Rule(
    "ipv4",
    rf"(?<![\w.])(?<![A-Za-z]-)(?<![Vv]ersion[ :])(?<![Ss]ection ){_BYTE}(?:\.{_BYTE}){{3}}(?!\w|\.[0-9]|-[A-Za-z])",
    check=somebodys_ipv4,
)
"""An IPv4 address: four numbers to 255 without leading zeros (RFC 6943, section 3.1.1); its port and prefix length stay. Not one:
part of a longer dotted number, a number behind `v`, `version`, `section` or a name (`lib-1.2.3.4`), before a suffix
(`1.2.3.4-beta`), and addresses that are nobody's (0.0.0.0, 127.0.0.0/8, 240.0.0.0/4 with the net masks). Any other version of four
parts is taken for one."""

_GROUP = "[0-9A-Fa-f]{1,4}"
_TAIL = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"

IPV6 = Rule(
    "ipv6",
    rf"(?<![\w:.])(?:(?:::{_GROUP}(?:::?{_GROUP}){{0,6}}|{_GROUP}(?:::?{_GROUP}){{1,7}})(?:::?{_TAIL}|::)?|{_GROUP}::(?:{_TAIL})?)"
    r"(?![0-9A-Za-z_]|:[0-9A-Za-z:]|\.[0-9])",
    check=somebodys_ipv6,
)
"""An IPv6 address in any form of RFC 4291, section 2.2, shortened by `::` or not, with an IPv4 tail or not; zone and prefix length
stay. The pattern is loose, Python's `ipaddress` decides. Not one: `::` and `::1`, which are nobody's, and what has no digit or only
short groups, which is code more often (`1::2`, `add::bad`). Times (`12:30:45`) never are."""

_PAIR = "[0-9A-Fa-f]{2}"

MAC = Rule(
    "mac",
    rf"(?<![\w.])(?<![0-9A-Fa-f][:-])(?:{_PAIR}(?::{_PAIR}){{5}}|{_PAIR}(?:-{_PAIR}){{5}}|{_PAIR}(?::{_PAIR}){{7}}|{_PAIR}(?:-{_PAIR}){{7}}"
    r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?!\w|[:-][0-9A-Fa-f]|\.[0-9A-Fa-f])",
)
"""A hardware address: EUI-48 or EUI-64 in pairs by colons or by hyphens (IEEE 802, section 8.1), or three groups of four by dots
as some switches print EUI-48. Not one: part of a longer row of pairs, such as the fingerprint of a key. There is no check: six
pairs of digits by hyphens are taken for one."""

_PLAIN = r"[\w~/#@$&+=%-]"
_INNER = r"[.,;:!?'*]"
_NESTED = rf"\((?:{_PLAIN}|{_INNER})*\)"
_REST = rf"(?:{_PLAIN}|{_INNER}|{_NESTED})*(?:{_PLAIN}|{_NESTED})"

URL = Rule(
    "url",
    rf"(?<![A-Za-z0-9+.-])(?:https?|ftps?|wss?)://(?:\[[0-9A-F:.]+\](?:{_REST})?|{_REST})",
    flags=regex.IGNORECASE,
)
"""A web address: http, https, ftp, ftps, ws or wss (RFC 3986, and letters of every script as in RFC 3987). Punctuation at its end
is not part of it, nor is a closing parenthesis that it has not opened. Addresses without a scheme (`www.example.com`) are not
found. Not a false positive: anything of that form is one. It is in no tuple: most web addresses in an answer are public pages, and
an answer without its links is of less use; `Links` says which may stay."""
