"""Rules for addresses of crypto-currencies, by their checksums. They need the extra `crypto`, and are loaded when one is asked for.

The checksums are those of well-kept libraries: `base58` and `bech32` (MIT), and the Keccak of `pycryptodome` (BSD, public domain).
"""

from __future__ import annotations

from streamfilter.matching import Rule

try:
    import base58
    import bech32
    from Crypto.Hash import keccak
except ImportError as _missing:
    hint = "BITCOIN and ETHEREUM need base58, bech32 and pycryptodome: pip install 'streamfilter[crypto]'"
    raise ImportError(hint, name=_missing.name) from _missing

_VERSIONS = (0x00, 0x05)
"""The first byte of an address of Bitcoin's main network: paid to a key's hash, or to a script's (Bitcoin Wiki, "List of address
prefixes")."""

_BECH32, _BECH32M = 1, 0x2BC830A3
"""What the checksum of a right address comes to: of witness version 0 (BIP 173), and of the later ones (BIP 350)."""


def bitcoin_address(text: str) -> bool:
    """Whether a text is an address of Bitcoin's main network: Base58Check with its version byte (Bitcoin Wiki, "Base58Check
    encoding"), or a segregated witness address, Bech32 for version 0 and Bech32m for later ones (BIP 173 and BIP 350).

    Example:
        >>> bitcoin_address("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"), bitcoin_address("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb")
        (True, False)
        >>> bitcoin_address("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0")
        True
    """
    if text[:3].lower() == "bc1":
        return _is_witness(text)
    try:
        payload = base58.b58decode_check(text)
    except ValueError:
        return False
    return len(payload) == 21 and payload[0] in _VERSIONS


def _is_witness(text: str) -> bool:
    """Whether a text that begins with `bc1` is right. `bech32.decode` would do, if it knew BIP 350."""
    if text not in (text.lower(), text.upper()) or len(text) > 90:
        return False
    symbols = [bech32.CHARSET.find(character) for character in text[3:].lower()]
    if min(symbols) < 0 or len(symbols) < 7:
        return False
    program = bech32.convertbits(symbols[1:-6], 5, 8, pad=False)
    if program is None or not 2 <= len(program) <= 40 or symbols[0] > 16 or (symbols[0] == 0 and len(program) not in (20, 32)):
        return False
    wanted = _BECH32M if symbols[0] else _BECH32
    return bech32.bech32_polymod([*bech32.bech32_hrp_expand("bc"), *symbols]) == wanted


def ethereum_address(text: str) -> bool:
    """Whether a text is an address of Ethereum: `0x` and 40 hexadecimal digits whose capitals are its checksum (ERC-55). Digits
    that are all small or all capitals carry none, and are taken for one.

    Example:
        >>> ethereum_address("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
        True
        >>> ethereum_address("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD")
        False
    """
    digits = text.removeprefix("0x")
    if digits in (digits.lower(), digits.upper()):
        return True
    digest = keccak.new(data=digits.lower().encode(), digest_bits=256).hexdigest()
    return all(digit.isdigit() or digit.isupper() == (int(nibble, 16) >= 8) for digit, nibble in zip(digits, digest, strict=False))


BITCOIN = Rule(
    "bitcoin",
    r"(?<![A-Za-z0-9])(?:[13][1-9A-HJ-NP-Za-km-z]{25,34}|bc1[02-9ac-hj-np-z]{11,71}|BC1[02-9AC-HJ-NP-Z]{11,71})(?![A-Za-z0-9])",
    check=bitcoin_address,
)
"""An address of Bitcoin's main network, in any form, with its checksum (`bitcoin_address`). Nothing else passes the check: it has
32 bits in the old form, 30 in the new. Not found: addresses of test networks."""

ETHEREUM = Rule("ethereum", r"(?<![A-Za-z0-9])0x[0-9a-fA-F]{40}(?![A-Za-z0-9])", check=ethereum_address)
"""An address of Ethereum, and of the networks that use the same, with its checksum where it has one (`ethereum_address`). Mistaken
for one: other values of 20 bytes in hexadecimal that are written in small letters only."""
