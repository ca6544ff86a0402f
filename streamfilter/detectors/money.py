"""Rules for what moves money: payment cards and bank accounts. Addresses of crypto-currencies, which need libraries, are in
`crypto`."""

from __future__ import annotations

from streamfilter.detectors.checks import luhn, mod97
from streamfilter.detectors.marks import BLANK, HYPHEN
from streamfilter.matching import Rule

CREDIT_CARD = Rule(
    "credit_card",
    rf"(?<![\w.-])(?:[2-6][0-9]{{3}}(?:[{BLANK}{HYPHEN}][0-9]{{4}}){{3}}"
    rf"|3[0-9]{{3}}[{BLANK}{HYPHEN}][0-9]{{6}}[{BLANK}{HYPHEN}][0-9]{{4,5}}|[2-6][0-9]{{12,18}})(?!\w)",
    check=luhn,
)
"""A payment card number: 13 to 19 digits in one piece, four groups of four, or 4-6-5 and 4-6-4 as on cards of 15 and 14 digits
(ISO/IEC 7812-1, issuers 2 to 6), with a valid check digit. Digits may follow behind a blank: an expiry date, a check number. One in
ten other numbers of that form passes the check, and so do the serial numbers of telephones (IMEI), which have the same one."""

IBAN_LENGTHS = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
"""The countries that use an IBAN, by its length in characters (SWIFT, IBAN Registry, release 100). French and British territories
use the code of their country."""


def _of_length(length: int, countries: str) -> str:
    """The form of the IBANs of one length: groups of four, each with or without a blank before it."""
    groups, rest = divmod(length - 4, 4)
    last = f"[{BLANK}-]?[A-Z0-9]{{{rest}}}" if rest else ""
    return rf"(?:{countries.replace(' ', '|')})[0-9]{{2}}(?:[{BLANK}-]?[A-Z0-9]{{4}}){{{groups}}}{last}"


IBAN = Rule(
    "iban",
    rf"(?<![A-Za-z0-9])(?:{'|'.join(_of_length(*each) for each in IBAN_LENGTHS.items())})(?![A-Za-z0-9])",
    check=mod97,
)
"""An international bank account number, in capitals, in one piece or in groups of four: a country that uses it, the length of that
country's, and valid check digits (ISO 13616-1). The length is in the pattern, so that the amount or the currency behind a number
does not hide it. One in 97 other strings of that form passes the check; hardly anything else has that form."""
