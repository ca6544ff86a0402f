"""Telephone numbers by the numbering plan of a country. They need the extra `phone`; this module is loaded when `phone_number` is
asked for."""

from __future__ import annotations

from typing import Any, cast

from streamfilter.declaration import Declared, declared
from streamfilter.detectors.marks import BLANK, HYPHEN
from streamfilter.matching import Rule

try:
    import phonenumbers
except ImportError as _missing:
    raise ImportError("phone_number needs phonenumbers: pip install 'streamfilter[phone]'", name=_missing.name) from _missing


@declared
class ValidNumber(Declared):
    """Whether a text is a telephone number that is in use, as one writes it in a region: the check of `phone_number`.

    Args:
        region: of two letters (ISO 3166-1), in capitals.

    Raises:
        ValueError: `phonenumbers` does not know the region.

    Example:
        >>> ValidNumber("GB")("020 7946 0958"), ValidNumber("GB")("04000 123456")
        (True, False)
    """

    region: str

    def compile(self) -> None:
        if self.region not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError(f"unknown region {self.region!r}: two capital letters of ISO 3166-1 are needed, such as 'GB'")

    def __call__(self, text: str) -> bool:
        """Whether the text is such a number."""
        try:
            return phonenumbers.is_valid_number(phonenumbers.parse(text, self.region))
        except phonenumbers.NumberParseException:
            return False


def phone_number(region: str) -> Rule:
    """A rule for the telephone numbers of a region, named "phone": national ones as one writes them there, and international ones
    of every country, which the numbering plans of `phonenumbers` must know.

    A number has at most as many digits as the region's longest, so that another number behind it does not hide it; behind a
    shorter one it may. Mistaken for one: any other number of the length and the beginning of one, which in some plans is every
    number of ten digits.

    Args:
        region: of two letters (ISO 3166-1), in capitals.

    Raises:
        ValueError: the region is unknown.

    Example:
        >>> phone_number("GB").check
        ValidNumber('GB')
        >>> phone_number("UK")
        Traceback (most recent call last):
        ...
        ValueError: ValidNumber: unknown region 'UK': two capital letters of ISO 3166-1 are needed, such as 'GB'
    """
    check = ValidNumber(region)
    plan = cast("Any", phonenumbers.PhoneMetadata.metadata_for_region(region))
    lengths = [length for length in plan.general_desc.possible_length if length > 0]
    most = max(lengths) + len(plan.national_prefix or "")
    gap = rf"[{BLANK}./(){HYPHEN}]{{0,2}}"
    return Rule(
        "phone",
        rf"(?<![\w+.-])(?:\+[1-9](?:{gap}[0-9]){{6,14}}|\(?[0-9](?:{gap}[0-9]){{{min(lengths) - 1},{most - 1}}})(?![\w-])",
        check=check,
    )
