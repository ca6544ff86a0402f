"""Rules for secrets by their form or by the label before them: tokens, private keys, passwords, random strings.

Those with a label look behind for it, so that only the secret is replaced. What counts as a label, and what may stand between it
and the secret, is written once.
"""

from __future__ import annotations

import regex

from streamfilter.detectors.checks import jwt_header, looks_random, stands_for_itself
from streamfilter.matching import Rule

JWT = Rule(
    "jwt",
    r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)?",
    check=jwt_header,
)
"""A JSON web token, signed (three parts, RFC 7515, section 7.1) or encrypted (five, RFC 7516, section 7.1), whose header is a JSON
object that names an algorithm. Whether the signature is right cannot be known, nor whether the token is still good. Nothing else
looks so."""

_BEGIN = r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"

PRIVATE_KEY = Rule(
    "private_key",
    rf"{_BEGIN}[^A-Za-z0-9+/=]*(?:[A-Z][A-Za-z]*(?:-[A-Za-z]+)*: [^\r\n\\]*(?:\\[nr]|[\r\n])(?:\\[nr]|\s)*)*[A-Za-z0-9+/=]{{16}}"
    rf"[\s\S]*?(?:{_BEGIN.replace('BEGIN', 'END')}|\Z)",
)
r"""A private key in PEM (RFC 7468, section 10; RFC 1421 headers) or of PGP (RFC 9580, section 6.2), from `BEGIN` to `END`, in one
line too and with `\n` for its line ends, as in JSON. A key whose end never comes is one up to the end of the text: it was cut off.
The two lines alone, or with dots between, are no key: one may explain the format."""

_JOINT = r"""["'`*_\])]{0,3}[ \t]{0,2}"""
"""What may stand between a label and the sign behind it: the end of a quotation, of an index, of an emphasis."""
_LEAD = r"[ \t*_]{0,3}"
"""What may stand between the sign and a secret that is not quoted."""
_SIGN = "(?:=>|:=|==?)"

_AWS_LABEL = r"(?:secret[ _.-]?(?:access[ _.-]?)?key|aws[ _.-]?secret)"

AWS_SECRET_KEY = Rule(
    "aws_secret_key",
    rf"""(?<={_AWS_LABEL}{_JOINT}(?:{_SIGN}|:){_LEAD}["'`]{{0,3}})[a-z0-9/+]{{40}}(?![a-z0-9/+=])""",
    flags=regex.IGNORECASE,
)
"""A secret access key of Amazon Web Services: 40 characters of base64 (AWS IAM User Guide, "Manage access keys"), directly behind
a label such as `aws_secret_access_key=` or `"SecretAccessKey":`. Without the label they cannot be told from other base64. Anything
else of that length behind such a label is taken for one: it is a secret by its label."""

AZURE_SECRET = Rule(
    "azure_secret",
    r"(?<![\w~.-])[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{30,33}[A-Za-z0-9_~-](?![A-Za-z0-9_~-])"
    rf"""|(?<=(?:[Aa]ccount|[Aa]ccess)[ _-]?[Kk]ey{_JOINT}[=:]{_LEAD}["'`]{{0,3}})"""
    r"(?:[A-Za-z0-9+/]{86}==|[A-Za-z0-9+/]{43}=)(?!=)"
    r"|(?<=[?&;]sig=)[A-Za-z0-9%+/=_-]{40,}",
)
"""A secret of Microsoft Azure: that of an application (`Q~` behind its first four characters; Microsoft Purview, "Azure AD client
secret"), a key behind `AccountKey=` or `SharedAccessKey=` as in connection strings (base64 of 64 or 32 bytes), the signature of a
shared access URL (Azure Storage, "Create a service SAS"). Keys of 32 hexadecimal digits have no form of their own: `HIGH_ENTROPY`
finds them behind a label."""

_NAME = r"(?:[Pp]ass(?:[Ww]ord|wd|phrase|code)|PASS(?:WORD|WD|PHRASE|CODE)|[Pp]wd|PWD|_pass)"
_ENDS = r"""\s"'`,;<>(){}\[\]"""
_MIXED = r"(?=[A-Za-z_.-]{0,40}[0-9@#$%^&+~])"
"""What is not quoted must have a digit or a sign among its letters; else it is prose (`password: must …`) or a name in a
program."""


def _bare(ends: str) -> str:
    """A secret that is not quoted, but for its first characters: up to what ends it, without a full stop or a colon at its end,
    and not if it goes on as an expression of a program does."""
    return rf"[^{ends}.:](?![.:]*(?:[^{ends}.:]|[(\[]))"


PASSWORD = Rule(
    "password",
    rf"""(?<={_NAME}{_JOINT}(?:{_SIGN}|:|is:?){_LEAD}["'`])[\w!#$%&*+./:=?@^~|<{{\[-][^"'`\r\n]*"""
    rf"|(?<={_NAME}{_JOINT}(?:is)?:{_LEAD}){_MIXED}[^{_ENDS}]{{5,}}{_bare(_ENDS)}"
    rf"|(?<={_NAME}{_JOINT}{_SIGN}{_LEAD}){_MIXED}[^{_ENDS}&]{{5,}}{_bare(_ENDS + '&')}"
    rf"|(?<=PASS(?:WORD|WD|PHRASE|CODE)?=)[^{_ENDS}&]*{_bare(_ENDS + '&')}"
    r"|(?<=://[\w.~%+-]{0,40}:)[^\s/@]+(?=@)",
    check=stands_for_itself,
)
"""A password directly behind its label and a sign (`password=`, `"passwd": `, `DB_PASS=`), or in a web address before the host
(RFC 3986, section 3.2.1); only the password is replaced. Quoted, it may be anything, behind "is" too; not quoted, it has six
characters or more with a digit or a sign among them, except behind a label in capitals and `=`, as in environment files. What
stands for a password that is elsewhere (`$NAME`, `<password>`, `****`, `null`, `required`) is not one. Not found: passwords behind
a mere blank (`--password hunter2`, "the password is hunter2"). Taken for one: names with digits that a program assigns, quoted
remarks behind such a label."""

_LABEL = (
    r"(?:secret|token|credentials?|passw(?:or)?d|auth"
    r"|(?:api|access|account|admin|app|auth|client|consumer|deploy|encryption|license|master|private|service|shared|signing|webhook)"
    r"[ _.-]?key)"
)

HIGH_ENTROPY = Rule(
    "high_entropy",
    rf"(?<={_LABEL}[a-z0-9_-]{{0,12}}{_JOINT}(?:{_SIGN}|:|is:?)[\s*_]{{0,4}}[\"'`]{{0,3}}\s{{0,2}}|bearer |basic )"
    r"[a-z0-9+/_~.:-]{19,}[a-z0-9+/_~-]={0,2}",
    check=looks_random,
    flags=regex.IGNORECASE,
)
"""A string of 20 characters or more that looks random, directly behind a label such as `secret`, `token`, `api_key`,
`credentials`, and a sign or "is", or behind `Bearer` or `Basic` (RFC 6750, section 2.1, and RFC 7617, section 2). Random is what
has Shannon entropy and mixes letters with digits (`looks_random`): 97 of 100 random strings of 32 hexadecimal or base64 characters
pass, names, paths and dates do not. Taken for one: identifiers that are no secrets but are labelled so (`next_token`), UUIDs
behind such a label."""
