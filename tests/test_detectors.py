"""The catalogue of detectors: examples that each finds and leaves, checksums against published numbers, ordinary text, gitleaks."""

from __future__ import annotations

import ast
import base64
import ipaddress
import pickle
import random
import re
import string
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

import streamfilter as sf
from streamfilter import detectors
from streamfilter.detectors import checks, money
from streamfilter.detectors.taken import TakenRules
from streamfilter.matching import Rule
from streamfilter.testing import cut

PACKAGE = Path(detectors.__file__).parent
RANDOM = random.Random(7)


def noise(size: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Random characters, with a digit among the first three."""
    return RANDOM.choice(alphabet) + "7" + "".join(RANDOM.choice(alphabet) for _ in range(size - 2))


def pem(kind: str, body: str, line: str = "\n") -> str:
    """A private key; put together here, because scanners of repositories look for it as it stands."""
    return f"-----BEGIN {kind}-----{line}{body}{line}-----END {kind}-----"


def jwt(header: str, *rest: str) -> str:
    return ".".join([base64.urlsafe_b64encode(header.encode()).decode().rstrip("="), *rest])


HEX = "0123456789abcdef"
BODY = "\n".join(noise(64) for _ in range(4))
AWS_EXAMPLE = "wJalrXUtnFEMI/" + "K7MDENG/bPxRfiCYEXAMPLEKEY"  # of the AWS documentation
VENDORS: dict[str, list[str]] = {
    "openai_key": ["sk-proj-abcdEFGH1234ijkl5678", "sk-" + noise(48), "sk-svcacct-" + noise(74), "sk-admin-" + noise(60), "sk-proj-" + noise(20) + "_-" + noise(130)],
    "anthropic_key": ["sk-ant-api03-AbC_dEf-123456789012345678", "sk-ant-api03-abcdefghijklmnop_qr-st", "sk-ant-admin01-" + noise(93) + "AA", "sk-ant-oat01-" + noise(80), "sk-ant-api03-" + noise(93) + "AA"],
    "aws_access_key": ["AKIAIOSFODNN7EXAMPLE", "ASIA" + "Y34FZKBOKMUTVV7A", "ABIA" + "234567ABCDEFGHIJ", "ACCA" + "Z" * 16, "AKIA" + "0123456789ABCDEF"],
    "google_api_key": ["AIza" + "x" * 35, "AIza" + "Sy" + noise(33), "GOCSPX-" + noise(28), "GOCSPX-" + "a-B_" * 7, "ya29." + "a0" + noise(60)],
    "github_token": ["ghp_" + "a1B2" * 9, "gho_" + noise(36), "ghu_" + noise(36), "ghs_" + noise(36), "ghr_" + noise(76), "github_pat_" + noise(22) + "_" + noise(59)],
    "gitlab_token": ["glpat-" + noise(20), "gldt-" + "x" * 20, "glrt-t1_" + noise(27) + ".01.0w1" + "abcdef", "glcbt-64_" + noise(20), "glptt-" + noise(40, HEX), "GR1348941" + noise(20)],
    "slack_token": ["xoxb-1234567890-abc", "xoxp-123456789012-123456789012-" + noise(24), "xapp-1-A0123456789-" + noise(20), "xoxe.xoxp-1-" + noise(40), "https://hooks.slack.com/services/" + "T00000000/B00000000/" + "X" * 24],
    "stripe_key": ["sk_live_" + "a1" * 12, "rk_live_" + noise(24), "sk_test_" + noise(99), "rk_test_" + noise(24), "whsec_" + noise(32)],
    "huggingface_token": ["hf_" + "a" * 34, "hf_" + noise(34), "api_org_" + noise(34), "hf_" + noise(40), "hf_" + noise(30)],
}  # fmt: skip
LEFT_KEYS = ["sk-short", "desk-top-something-very-long-indeed", "AKIA123", "ghp_tooshort", "task-force", "risk-averse-investors-of-the-21st-century-who", "AKIAIOSFODNN7EXAMPLEandmore", "pk_live_" + "a1" * 12, "hf_hub_download", "glpat-short", "xoxb-1"]  # fmt: skip

EXAMPLES: dict[str, tuple[list[str], list[str]]] = {
    "email": (
        ["joe@example.com", "a.b+c%d@sub-domain.example.co.uk", "ünï@exämple.de", "x@a.b.museum", "J_D-1@x1.io", "m@xn--bcher-kva.xn--p1ai"],
        ["joe@", "@example.com", "joe@example", "joe@-example.com", "a @ b.com", "joe@example.c", "12 @ 3.5"],
    ),
    "phone": (
        ["+1 (555) 010-2030", "+442079460958", "+49 30 901820", "555-010-2030", "(555) 010-2030", "+1-555-010-2030", "1-800-555-0199", "555\u2011010\u20112030", "+33\u202f1\u00a023\u00a045\u00a067\u00a089"],
        ["2024-11-02", "3.5", "12345678", "1.234.567", "+1", "1-2-3", "192.168.10.20", "978-3-16-148410-0"],
    ),
    "us_ssn": (
        ["123-45-6789", "001-01-0001", "899-99-9999", "665-12-3456", "667-12-3456", "457\u201155\u20115462", "SSN: «123 45 6789»", "social security number is «457 55 5462»"],
        ["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000", "123-45-67890", "0123-45-6789", "123 45 6789", "123456789", "1-123-45-6789"],
    ),
    "uk_nino": (
        ["AB123456C", "AB 12 34 56 C", "JG-12-34-56-A", "OA 123456 D", "ZY000000B", "MA\u00a012\u00a034\u00a056\u00a0A"],
        ["QQ 12 34 56 A", "DA123456A", "AO123456A", "GB123456A", "NK123456A", "TN123456A", "ZZ123456A", "AB123456E", "AB12345C", "XAB123456C", "AB123456", "ab123456c"],
    ),
    "credit_card": (
        ["4111 1111 1111 1111", "4111111111111111", "5500-0000-0000-0004", "340000000000009", "6011000000000004", "3400 000000 00009", "2221000000000009", "3056 930902 5904", "4111\u202f1111\u202f1111\u202f1111"],
        ["4111 1111 1111 1112", "1234567812345670", "41111111111111111111111", "4111  1111 1111 1111", "4111.1111.1111.1111"],
    ),
    "iban": (
        ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "FR14 2004 1010 0505 0001 3M02 606", "NO93 8601 1117 947", "MT84MALT011000012345MTLCAST001S", "BE68-5390-0754-7034", "NL91\u00a0ABNA\u00a00417\u00a01643\u00a000"],
        ["GB82 WEST 1234 5698 7654 33", "DE8937040044053201300", "XX89370400440532013000", "de89370400440532013000", "DE89370400440532013000X", "BE68 5390 0754 703", "GB82"],
    ),
    "ipv4": (
        ["192.0.2.1", "8.8.8.8", "10.0.0.255", "1.2.3.4", "203.0.113.77", "172.16.254.1"],
        ["1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.256", "01.2.3.4", "v1.2.3.4", "version 1.2.3.4", "lib-1.2.3.4", "1.2.3.4-beta", "127.0.0.1", "0.0.0.0", "255.255.255.0", "10.0.19041.1"],
    ),
    "ipv6": (
        ["2001:db8::1", "fe80::1", "2001:0db8:85a3:0000:0000:8a2e:0370:7334", "::ffff:192.0.2.128", "64:ff9b::192.0.2.33", "2001:db8::", "FF02::1", "1:2:3:4:5:6:7:8"],
        ["::1", "::", "12:30:45", "1::2", "face::add", "std::vector", "00:1a:2b:3c:4d:5e", "2001:db8", "1:2:3:4:5:6:7:8:9", "12345::1", "a::b::c", "10:20"],
    ),
    "mac": (
        ["00:1a:2b:3c:4d:5e", "00-1A-2B-3C-4D-5E", "001a.2b3c.4d5e", "FF:FF:FF:FF:FF:FF", "00:1a:2b:ff:fe:3c:4d:5e"],
        ["00:1a:2b:3c:4d", "00:1a:2b:3c:4d:5e:6f", "00:1a-2b:3c-4d:5e", "12:30:45", "001a.2b3c", "16:27:ac:a5:76:28:2d:36:63:1b", "0g:1a:2b:3c:4d:5e"],
    ),
    "url": (
        ["https://example.com", "http://example.com/a/b?c=d&e=f#g", "https://en.wikipedia.org/wiki/Set_(mathematics)", "ftp://ftp.example.org/x.tar.gz", "wss://example.com:8443/ws", "http://[2001:db8::1]:80/x", "http://[2001:db8::1]", "https://de.wikipedia.org/wiki/Köln"],
        ["www.example.com", "example.com/a", "https://", "mailto:joe@example.com", "file:///etc/hosts", "javascript://x", "xhttps://example.com"],
    ),
    "api_key": ([key for keys in VENDORS.values() for key in keys], [*LEFT_KEYS, "sk-learn-and-other-long-names"]),
    **{name: (keys, LEFT_KEYS) for name, keys in VENDORS.items()},
    "jwt": (
        [jwt('{"alg":"HS256","typ":"JWT"}', "eyJzdWIiOiIxMjM0NTY3ODkwIn0", noise(43)), jwt('{"alg":"none"}', "eyJpc3MiOiJqb2UifQ", ""), jwt('{"typ":"JWT",\r\n "alg":"HS256"}', "eyJpc3MiOiJqb2UifQ", "a-b_c"), jwt('{"alg":"RSA-OAEP","enc":"A256GCM"}', "k-1", "iv_2", "c", "t"), jwt('{"kid":"é","alg":"ES256"}', "e30", "c2ln")],
        [jwt('{"none":0}', "e30", "c2ln"), jwt('{"alg":1}', "e30", "c2ln"), "eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9.e30", "eyJub3QganNvbg.e30.c2ln", "XeyJhbGciOiJIUzI1NiJ9.e30.c2ln", "a.b.c"],
    ),
    "private_key": (
        [pem("PRIVATE KEY", BODY), pem("RSA PRIVATE KEY", BODY), pem("OPENSSH PRIVATE KEY", BODY, "\r\n"), pem("EC PRIVATE KEY", BODY.replace("\n", "\\n"), "\\n"), pem("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF\n\n" + BODY), pem("PGP PRIVATE KEY BLOCK", "Version: GnuPG v2\nComment: a, b\n\n" + BODY + "\n=aBcD"), pem("PRIVATE KEY", BODY.replace("\n", " "), " "), pem("ENCRYPTED PRIVATE KEY", "> " + BODY.replace("\n", "\n> "), "\n")],
        [pem("PUBLIC KEY", BODY), pem("CERTIFICATE", BODY), pem("PRIVATE KEY", "..."), pem("PRIVATE KEY", "(base64 of the key)"), "BEGIN PRIVATE KEY", "`-----BEGIN " + "PRIVATE KEY-----` and `-----END " + "PRIVATE KEY-----` are its first and last lines"],
    ),
    "aws_secret_key": (
        [f"aws_secret_access_key=«{AWS_EXAMPLE}»", f'"SecretAccessKey": "«{AWS_EXAMPLE}»"', f"AWS_SECRET_ACCESS_KEY: «{AWS_EXAMPLE}»", f"secret key = '«{AWS_EXAMPLE}»'", f"aws_secret := «{AWS_EXAMPLE}»"],
        [AWS_EXAMPLE, f"key={AWS_EXAMPLE}", f"secret_key={AWS_EXAMPLE}more", f"secret_key={AWS_EXAMPLE[:-1]}", "secret_access_key=", f"sha1: {noise(40, HEX)}"],
    ),
    "azure_secret": (
        ["abc8Q~" + noise(34), "x_.1Q~" + noise(31), "AccountKey=«" + noise(86) + "==»", "SharedAccessKey=«" + noise(43) + "=»", '"accountKey": "«' + noise(86) + '==»"', "https://x.blob.core.windows.net/c?sv=2022&sig=«" + noise(43) + "%3D»"],
        ["abc8Q~short", "abcdQ~" + noise(34), "AccountKey=" + noise(60), noise(86) + "==", "AccountName=storage", "sig=" + noise(10)],
    ),
    "password": (
        ["password=«hunter2»", "password: «hunter2»", 'password = "«correct horse battery staple»"', '"password": "«swordfish»"', "DB_PASSWORD=«swordfish»", "**Password:** `«hunter2»`", "passwd: «p@ssword»", "Server=x;Pwd=«s3cr3t!»;Database=y", "postgres://joe:«s3cret»@db/x", "os.environ['DB_PASSWORD'] = '«x»'", "DB_PASS=«secret99»", "passphrase => '«open sesame»'", "the password: «123456»", "The password is `«swordfish»`", "Password is: «hunter2»"],
        ["password", "password: string", "password: must be at least 12 characters", "password = None", "password = get_password()", "password=os.environ['X']", "password=${DB_PASSWORD}", '"password": "<your password>"', 'password = "********"', "password: config.password", 'input("Password: ")', '"password": "This field is required."', "PASSWORD=os.environ['X']", "The password is hunter2", "http://localhost:8080/a@b", '"password": null', "passwords: 123456, qwerty1"],
    ),
    "high_entropy": (
        ["token: «9f86d081884c7d659a2feaa0c55ad015»", "api_key = '«Zk3vX9pQ7rL2mN8sT4wB»'", "Authorization: Bearer «q8Zr2Lx7Vb1Nw5TkHd3s»", "SECRET_KEY_BASE=«4f7b1c9e2d8a6035e1f4b7c2d9a8063e»", "your API key is «9f86d081884c7d659a2feaa0c55ad015»", '"client_secret": "«Gh7-kL2_pQ9rT4vX8zB1»"', "token:\n```\n«9f86d081884c7d659a2feaa0c55ad015»\n```", "secret: «123e4567-e89b-12d3-a456-426614174000»"],
        ["9f86d081884c7d659a2feaa0c55ad015", "commit: 9f86d081884c7d659a2feaa0c55ad015", "token = secrets.token_urlsafe(32)", "API_KEY=your_api_key_1234567890", "secret: config/production/app2.yml", "token: aaaaaaaaaaaaaaaaaaaaaaa1", "auth: 2024-01-01T00:00:00.000000Z", "api key: abc123", "token_name: my-application-token-2024"],
    ),
    "bitcoin": (
        ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", "BC1SW50QGDZ25J", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"],
        ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", "bc1pw5dgrnzv", "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa7", "3333333333333333333333333333333333"],
    ),
    "ethereum": (
        ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0x52908400098527886E0F7030069857D2E4169EE7", "0xde709f2102306220921060314715629080e2fb77"],
        ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xde709f2102306220921060314715629080e2fb7", "0xde709f2102306220921060314715629080e2fb77a", "0xdeadbeef"],
    ),
}  # fmt: skip
"""What each finds, and what it leaves. Of the first, what stands in «» is what is replaced; without them all is.

Sources: bitcoin from BIP 173, BIP 350 and the Bitcoin Wiki, ethereum from ERC-55, IPv6 from RFC 4291 and RFC 6052, the IBANs from SWIFT's
registry, JWTs after RFC 7515 and RFC 7519, the cards from the networks' pages for tests, keys of AWS and Slack from their documentation."""


def test_every_rule_has_examples() -> None:
    """At least five that it finds and five that it leaves; and a rule's name is its constant's."""
    assert set(EXAMPLES) == set(detectors.NAMES)
    assert all(len(found) >= 5 and len(left) >= 5 for found, left in EXAMPLES.values())
    for name in detectors.NAMES:
        assert detectors.by_name(name).name == name
        assert getattr(detectors, name.upper()) is detectors.by_name(name)


@pytest.mark.parametrize("name", detectors.NAMES)
def test_detectors_find_their_examples_and_leave_the_others(name: str) -> None:
    """Alone, in a sentence, one character at a time, and cut anywhere."""
    found, left = EXAMPLES[name]
    stage = sf.Redact(detectors.by_name(name), to="#")
    for marked in found:
        text, want = re.sub("[«»]", "", marked), re.sub("«.*»", "#", marked, flags=re.DOTALL) if "«" in marked else "#"
        assert stage.apply(text) == want, text
        sentence, want = f"see ({text}), then", f"see ({want}), then"
        assert stage.apply(sentence) == want
        assert "".join(stage.iter(list(sentence))) == want
        for place in range(1, len(sentence)):
            assert "".join(stage.iter(cut(sentence, place))) == want
    for text in left:
        assert stage.apply(f"a {text} b") == f"a {text} b"


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_every_rule_is_documented(path: Path) -> None:
    """Below each rule stands what it finds, from where its form is, and what it mistakes."""
    body = ast.parse(path.read_text()).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "Rule":
            assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and len(str(after.value.value)) > 150, path


@pytest.mark.parametrize("name", detectors.NAMES)
def test_rules_are_values(name: str) -> None:
    """They compare, can be pickled, and mean the same thereafter."""
    rule = detectors.by_name(name)
    again: Rule = pickle.loads(pickle.dumps(rule))
    assert again == rule
    assert again.check is rule.check


# ------------------------------------------------------------------ the tuples, and names


def test_the_tuples_stand_for_what_they_say() -> None:
    """Names differ within and between them, none needs a library, and a key of any service is an `api_key`."""
    names = [rule.name for rule in (*detectors.PII, *detectors.SECRETS)]
    assert len(set(names)) == len(names)
    assert not {"bitcoin", "ethereum", "url"} & set(names)
    safe = sf.Redact(*detectors.PII, *detectors.SECRETS, to="[{rule}]")
    for key in (key for keys in VENDORS.values() for key in keys):
        assert safe.apply(f"api_key = '{key}' and password: {key}") == "api_key = '[api_key]' and password: [api_key]"


def test_a_stream_with_addresses_and_a_key_is_reported_by_name() -> None:
    """As in the library's own example of use."""
    safe = sf.Redact(*detectors.PII, *detectors.SECRETS, to="[{rule}]")
    stream = safe.iter(["mail joe@exam", "ple.com or ann@example.org, key sk-", "proj-abcdEFGH1234ijkl5678."])
    assert "".join(stream) == "mail [email] or [email], key [api_key]."


def test_names_stand_for_rules() -> None:
    """In files and on the command line: of one rule, or of a tuple; what is wrong is refused with what is right."""
    assert detectors.named("PII") == detectors.PII
    assert detectors.named("SECRETS") == detectors.SECRETS
    assert detectors.named("iban") == (detectors.IBAN,)
    for name, hint in (
        ("ibn", "did you mean 'iban'?"),
        ("pii", "did you mean 'PII'?"),
        ("secrets", "did you mean 'SECRETS'?"),
        ("SECRET", "did you mean 'SECRETS'?"),
        ("", "there are PII, SECRETS, email"),
    ):
        with pytest.raises(ValueError, match="unknown rule") as refused:
            detectors.named(name)
        assert hint in str(refused.value)
    with pytest.raises(ValueError, match="unknown rule 'PII'"):
        detectors.by_name("PII")
    with pytest.raises(AttributeError, match="no attribute 'NOTHING'"):
        detectors.__getattr__("NOTHING")


def test_public_names_are_there() -> None:
    """`__all__` is sorted and complete but for what needs libraries; all of it can be had."""
    assert sorted(detectors.__all__) == sorted(set(detectors.__all__))
    assert all(hasattr(detectors, name) for name in detectors.__all__)
    assert {name.upper() for name in detectors.NAMES} - set(detectors.__all__) == {"BITCOIN", "ETHEREUM"}
    assert {"BITCOIN", "phone_number", "PII"} <= set(dir(detectors))


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_libraries_are_loaded_when_they_are_needed_and_asked_for_when_they_lack() -> None:
    """A rule that cannot work is not there; the other rules do not mind."""
    loaded = "import sys; from streamfilter.detectors import PII, SECRETS; print([m for m in ('base58', 'bech32', 'Crypto', 'phonenumbers', 'tomllib') if m in sys.modules])"
    assert run(loaded) == "[]\n"
    lacking = """
import sys
for name in ('base58', 'phonenumbers'): sys.modules[name] = None
from streamfilter import detectors
from streamfilter.detectors import *
for name in ('BITCOIN', 'ETHEREUM', 'phone_number'):
    try: getattr(detectors, name)
    except ImportError as error: print(error.name, error)
try: detectors.by_name('bitcoin')
except ValueError as error: print(error)
"""
    hint = "BITCOIN and ETHEREUM need base58, bech32 and pycryptodome: pip install 'streamfilter[crypto]'"
    assert run(lacking).splitlines() == [
        f"base58 {hint}",
        f"base58 {hint}",
        "phonenumbers phone_number needs phonenumbers: pip install 'streamfilter[phone]'",
        f"rule 'bitcoin' cannot be used: {hint}",
    ]


# ------------------------------------------------------------------ what is around a match


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("BE68 5390 0754 7034 EUR 500", "[iban] EUR 500"),
        ("DE89 3704 0044 0532 0130 00 USD", "[iban] USD"),
        ("10.0.0.1:8080, 10.0.0.0/8, 10.0.0.1-10.0.0.9.", "[ipv4]:8080, [ipv4]/8, [ipv4]-[ipv4]."),
        ("address 2001:db8::1: refused; fe80::1%eth0", "address [ipv6]: refused; [ipv6]%eth0"),
        ("device 00:1a:2b:3c:4d:5e: up.", "device [mac]: up."),
        ("token eyJhbGciOiJIUzI1NiJ9.e30.c2ln.", "token [jwt]."),
        ("password: hunter2. And password: s3cr3t, too", "password: [password]. And password: [password], too"),
        ("?user=joe&password=hunter2&x=1", "?user=joe&password=[password]&x=1"),
        ("key=" + "ghp_" + "a1B2" * 9 + ".", "key=[api_key]."),
        ("glpat-" + "x1" * 10 + ". Then", "[api_key]. Then"),
        ("SSN 123-45-6789, NINO AB123456C; call +44 20 7946 0958!", "SSN [us_ssn], NINO [uk_nino]; call [phone]!"),
    ],
)
def test_what_is_around_a_match_stays(text: str, want: str) -> None:
    """Units, ports, punctuation and the rest of the sentence."""
    assert sf.Redact(*detectors.PII, *detectors.SECRETS, to="[{rule}]").apply(text) == want


def test_punctuation_behind_a_web_address_is_not_part_of_it() -> None:
    """Nor are the brackets and quotation marks that it stands in."""
    stage = sf.Redact(detectors.URL, to="#")
    for before, after in (
        ("(", ")"),
        ("<", ">"),
        ('"', '"'),
        ("[x](", ")."),
        ("see ", "."),
        ("see ", "?!"),
        ("**", "**"),
        ("„", "“"),
        ("在", "。"),
        ("'", "',"),
    ):
        assert stage.apply(f"{before}https://example.com/a_(b)/c?d=e{after} x") == f"{before}#{after} x"


def test_a_card_is_found_before_other_digits() -> None:
    """An expiry date or a check number behind it does not hide it."""
    card = "4111 1111 1111 1111"
    for rest in (" 12/27", " 2026", " 123", ", 12"):
        assert sf.Redact(detectors.CREDIT_CARD, to="#").apply(f"card {card}{rest}") == f"card #{rest}"


def test_keys_of_every_shape_are_found() -> None:
    """Random keys of the lengths that services give out, by the general rule and by the service's own."""
    rng = random.Random(1)
    letters = string.ascii_letters + string.digits + "_-"
    for size, prefix, own in (
        (95, "sk-ant-api03-", "anthropic_key"),
        (156, "sk-proj-", "openai_key"),
        (48, "sk-proj-", "openai_key"),
        (48, "sk-", "openai_key"),
    ):
        for _ in range(100):
            key = prefix + "".join(rng.choice(letters) for _ in range(size))
            for name in ("api_key", own):
                assert sf.Redact(detectors.by_name(name), to="#").apply(f"key {key} ") == "key # "


def test_a_private_key_leaves_nothing_behind() -> None:
    """Cut off, it is one to the end; longer than what may be held, it is swallowed; what follows its end is not."""
    stage = sf.Redact(detectors.PRIVATE_KEY, to="#")
    key = pem("RSA PRIVATE KEY", "\n".join(noise(64) for _ in range(50)))
    for step in (1, 7, 5000):
        assert "".join(stage.iter([f"x {key} y"[at : at + step] for at in range(0, len(key) + 4, step)])) == "x # y"
        assert "".join(stage.iter([f"x {key}"[at : at + step] for at in range(0, 2000, step)])) == "x #"
    assert stage.apply("x " + key[:80]) == "x #"


# ------------------------------------------------------------------ checks against independent references

IBANS = """AD1200012030200359100100 AE070331234567890123456 AL47212110090000000235698741 AT611904300234573201 BE68539007547034
BG80BNBG96611020345678 BH67BMAG00001299123456 BR1800360305000010009795493C1 CH9300762011623852957 CR05015202001026284066
CY17002001280000001200527600 CZ6508000000192000145399 DE89370400440532013000 DK5000400440116243 DO28BAGR00000001212453611324
EE382200221020145685 ES9121000418450200051332 FI2112345600000785 FO6264600001631634 FR1420041010050500013M02606
GB29NWBK60161331926819 GE29NB0000000101904917 GI75NWBK000000007099453 GL8964710001000206 GR1601101250000000012300695
GT82TRAJ01020000001210029690 HR1210010051863000160 HU42117730161111101800000000 IE29AIBK93115212345678 IL620108000000099999999
IS140159260076545510730339 IT60X0542811101000000123456 JO94CBJO0010000000000131000302 KW81CBKU0000000000001234560101
KZ86125KZT5004100100 LB62099900000001001901229114 LC55HEMM000100010012001200023015 LI21088100002324013AA LT121000011101001000
LU280019400644750000 LV80BANK0000435195001 MC5811222000010123456789030 MD24AG000225100013104168 ME25505000012345678951
MK07250120000058984 MR1300020001010000123456753 MT84MALT011000012345MTLCAST001S MU17BOMM0101101030300200000MUR NL91ABNA0417164300
NO9386011117947 PK36SCBL0000001123456702 PL61109010140000071219812874 PS92PALS000000000400123456702 PT50000201231234567890154
QA58DOHB00001234567890ABCDEFG RO49AAAA1B31007593840000 RS35260005601001611379 SA0380000000608010167519 SE4550000000058398257466
SI56263300012039086 SK3112000000198742637541 SM86U0322509800000000270100 TN5910006035183598478831 TR330006100519786457841326
UA213223130000026007233566001 VA59001123000012345678 VG96VPVG0000012345678901 XK051212012345678906"""
"""The examples of SWIFT's IBAN Registry."""


def test_the_registrys_ibans_are_found_and_misspelt_ones_are_not() -> None:
    """In one piece and in groups, before other capitals and digits. With one digit or letter changed for another, or with two digits or
    two letters exchanged, never (ISO/IEC 7064)."""
    stage = sf.Redact(detectors.IBAN, to="#")
    lengths = {country: length for length, countries in money.IBAN_LENGTHS.items() for country in countries.split()}
    for iban in IBANS.split():
        assert lengths[iban[:2]] == len(iban)
        grouped = " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))
        for text in (iban, grouped):
            for rest in ("", " EUR", " 100", ", BIC"):
                assert stage.apply(f"to {text}{rest}") == f"to #{rest}"
        for at in range(4, len(iban)):
            digits = string.digits if iban[at].isdigit() else string.ascii_uppercase
            assert not any(checks.mod97(iban[:at] + other + iban[at + 1 :]) for other in digits if other != iban[at])
            if iban[at] != iban[at - 1] and iban[at].isdigit() == iban[at - 1].isdigit():
                assert not checks.mod97(iban[: at - 1] + iban[at] + iban[at - 1] + iban[at + 1 :])


def test_luhn_sees_every_wrong_digit() -> None:
    """And every exchange of neighbours but 09 and 90; the example is that of the patent, US 2,950,048."""
    assert checks.luhn("79927398713")
    assert [digit for digit in range(10) if checks.luhn(f"7992739871{digit}")] == [3]
    for at in range(11):
        for digit in "0123456789":
            number = "79927398713"
            assert checks.luhn(number[:at] + digit + number[at + 1 :]) == (digit == number[at])


def test_internet_addresses_are_what_the_standard_library_says() -> None:
    """Random quads, right and wrong; random addresses of version 6 in every form."""
    rng = random.Random(2)
    fourth, sixth = (sf.Redact(rule, to="#") for rule in (detectors.IPV4, detectors.IPV6))
    for _ in range(2000):
        quad = ".".join(str(rng.choice((0, 1, 9, 10, 99, 100, 127, 199, 200, 249, 250, 255, 256, 260, 300))) for _ in range(4))
        try:
            address = ipaddress.IPv4Address(quad)
            want = not (address.is_loopback or address.is_unspecified or address.is_reserved)
        except ValueError:
            want = False
        assert fourth.apply(f"at {quad}, ") == ("at #, " if want else f"at {quad}, ")
    for _ in range(1000):
        groups = [rng.choice((0, 0, 0, rng.randrange(0x100, 0x10000))) for _ in range(8)]
        groups[rng.randrange(8)] = 0x2001
        full = ipaddress.IPv6Address(":".join(f"{group:x}" for group in groups))
        for text in (full.compressed, full.exploded, ":".join(f"{group:X}" for group in groups), str(full).upper()):
            assert sixth.apply(f"at {text}.") == "at #.", text


def test_random_strings_are_told_from_names() -> None:
    """Of random ones at least 97 in 100 are found, in each alphabet that keys are written in; of names, paths and dates none is."""
    rng = random.Random(3)
    for alphabet, size in (
        (HEX, 32),
        (string.ascii_letters + string.digits, 24),
        (string.ascii_letters + string.digits + "+/", 40),
        (string.ascii_lowercase + string.digits, 40),
    ):
        found = sum(checks.looks_random("".join(rng.choice(alphabet) for _ in range(size))) for _ in range(2000))
        assert found >= 1940, alphabet
    for name in (
        "config/production/app2.yml",
        "my_application_secret_name_2",
        "user_profile_v2_2024_01_01",
        "myApplicationSecretName2",
        "com.example.app2.service.Secret",
        "gpt-4o-mini-2024-07-18",
        "AES256-GCM-HKDF-SHA512",
        "x86_64-unknown-linux-gnu2",
        "1234567890123456789012",
        "abcdefghijklmnopqrstuvwxyz",
    ):
        assert not checks.looks_random(name), name


def test_witness_programs_are_told_by_their_own_checksum() -> None:
    """The invalid addresses of BIP 350 for the main network: wrong checksum for the version, wrong sizes, wrong padding."""
    from streamfilter.detectors.crypto import bitcoin_address

    for text in (
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
        "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",
        "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
        "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",
        "bc1pw5dgrnzv",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
        "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf",
        "bc1gmk9yu",
        "bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    ):
        assert not bitcoin_address(text)


@pytest.mark.parametrize(
    ("region", "found", "left"),
    [
        ("GB", ["020 7946 0958", "(020) 7946 0958", "07400 123456", "+44 20 7946 0958", "+1 650 253 0000", "02079460958"], ["04000 123456", "12345678", "+44 20 7946 09", "2024-11-02", "+999 123 4567"]),
        ("US", ["(650) 253-0000", "650 253 0000", "1-800-555-0199", "6502530000"], ["1700000000", "123 456 7890", "2024-11-02", "250 000"]),
        ("DE", ["030 901820", "0171 2345678", "+49 30 901820"], ["0000 123456", "12"]),
    ],
)  # fmt: skip
def test_national_telephone_numbers_are_those_of_the_numbering_plan(region: str, found: list[str], left: list[str]) -> None:
    """Found before other digits where they are as long as a number can be; the rule is a value."""
    rule = detectors.phone_number(region)
    assert rule.name == "phone"
    assert pickle.loads(pickle.dumps(rule)) == rule
    stage = sf.Redact(rule, to="#")
    for text in found:
        assert "".join(stage.iter(list(f"call {text}, now"))) == "call #, now"
    for text in left:
        assert stage.apply(f"a {text} b") == f"a {text} b"
    assert sf.Redact(detectors.phone_number("GB"), to="#").apply("call 020 7946 0958 12 times") == "call # 12 times"


# ------------------------------------------------------------------ ordinary text

ORDINARY = r"""
The meeting on 2024-11-02 at 12:30:45 (UTC+01:00) was moved to 3 November 2024, 14:00. Version 3.11.7 came out on 4 Dec 2023; v1.2.3.4
is a build number, and so is 10.0.19041.1, see section 1.2.3.4. Prices rose from $1,234.56 to €1.499,00, by 21.4 % or 1:3. The book (ISBN 978-3-16-148410-0)
has 1,024 pages, weighs 1.5 kg and costs 39.90. Call room 12-34, take flight LH 1234, gate B22, seat 14C; the order is #100-2345678.
Pi is 3.14159265358979, the speed of light 299 792 458 m/s, Avogadro's number 6.02214076e23. Chapters 1.2.3 and 4.5.6.7.8 explain it.

Colours are #ff8800, #ABC and rgb(255, 136, 0). A UUID looks like 123e4567-e89b-12d3-a456-426614174000, a commit like
9f86d081884c7d659a2feaa0c55ad015a3bf4f1b or 9f86d08; a checksum is sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.
Paths: /usr/local/lib/python3.11/site-packages/foo.py:12:34, C:\Windows\System32\drivers\etc\hosts, ./src/app-1.2.3/index.min.js.

Choose a strong password: it must have at least 12 characters. Your password should never be shared; a token is a piece of text, and the
secret of good prose is rewriting. The key to success: patience. Passwords such as 123456 are guessed first. Authentication: basic or
bearer tokens. The access token expires in 3600 seconds. Author: Jane Doe. Keyword: internationalization. Secretary: the minutes, please.

def connect(host="localhost", port=5432, user=None, password=None, timeout=30.0, retries=3) -> Connection:
    password = password or os.environ["DB_PASSWORD"] or getpass.getpass("Password: ")
    token: str = secrets.token_urlsafe(32)
    api_key = os.getenv("OPENAI_API_KEY")
    for item in items[1::2] + items[::-1]:
        std::vector<int> v; a::b(); x ? y : z; 0xDEADBEEF; 1 << 30; 1e-9; f"{a:>10}:{b:08.3f}"
    return Connection(f"postgres://{user}:{password}@{host}:{port}/db", password=password)

app.run(host="0.0.0.0", port=8080)  # listens on 127.0.0.1:8080 and [::1]:8080, mask 255.255.255.0
{"id": "chatcmpl-123", "created": 1700000000, "model": "gpt-4o-mini-2024-07-18", "usage": {"total_tokens": 128}, "password": "string"}
SELECT id, name FROM users WHERE created_at > '2024-01-01 00:00:00' AND id IN (1, 22, 333, 4444, 55555) LIMIT 10 OFFSET 20;
git push origin main --force-with-lease; docker run -p 8080:80 nginx:1.25.3; pip install "streamfilter[cli]>=0.1,<2"
The ratio 16:9, the score 3-2, the range 10-20, the phone's IMEI is on its box, section 12.3.4, RFC 5321, ISO 8601, 5' 11", 100 km/h.
In Unicode, U+1F600 is a smiley; 你好,世界 means "Hello, world", Привет, мир too. Email me (at) example (dot) com. @mention #hashtag 50/50.
She was born on 12/05/1987, lives at 221B Baker Street, London NW1 6XE, and her parcel 1Z-999-AA1-01 arrives between 9:00 and 17:30.
In 1969 some 650 million people watched; the log says 1969-07-20T20:17:40Z, lat 51.5237, lon -0.1585, altitude 35 m, error 0x80070005.
Temperatures of -40 to +85 are allowed; the part AB-1234/C-56 draws 0.25 A at 3.3 V; resistors of 4k7 and 10k, 1 %, 0603; see Fig. 2-3.
Dear all, please find attached the minutes of the 12th meeting; items 1 to 9 were agreed, 10 was postponed, and 11 is closed. Thanks!
Interfaces eth0 and wlan0 have hardware addresses of six pairs. See https://example.com/docs?page=2#top and www.example.org for more.
"""  # fmt: skip


def test_ordinary_text_is_left_alone() -> None:
    """Prose, numbers and code in which nothing is personal or secret; whole and in pieces."""
    safe = sf.Redact(*detectors.PII, *detectors.SECRETS, to="[{rule}]")
    assert len(ORDINARY.split()) > 400
    assert safe.apply(ORDINARY) == ORDINARY
    assert "".join(safe.iter([ORDINARY[at : at + 3] for at in range(0, len(ORDINARY), 3)])) == ORDINARY


def test_ordinary_text_of_any_length_is_not_held_until_it_overflows() -> None:
    """Long words, digits, scripts without blanks: no rule stays open over them until the hold is full."""
    safe = sf.Redact(*detectors.PII, *detectors.SECRETS, to="[{rule}]")
    for unit in ("a", "a1", "1", "1 ", "-", ".", ":", "ab:", "\u0e01", "A", "_", "a.", "=", "/", "1-", "F", " a"):
        assert safe.apply(unit * 3000) == unit * 3000, unit


# ------------------------------------------------------------------ gitleaks

LABEL = r"""(?i)[\w.-]{0,50}?(?:acme|zorp)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}"""
"""What stands before the secret in most of gitleaks' own rules."""
END = r"""(?:[\x60'"\s;]|\\[nr]|$)"""

CONFIG = rf"""
title = "ours"
minVersion = "v8.25.0"
[[rules]]
id = "acme-key"
description = "A key of Acme."
regex = '''{LABEL}([a-z0-9]{{16}}){END}'''
entropy = 3.0
keywords = ["Acme", "zorp"]
tags = ["key"]
[[rules.allowlists]]
description = "known to be public"
regexes = ['''^0{{4}}''', '''(?-i)DEMO''']
stopwords = ["sample"]
[[rules]]
id = "hub-token"
regex = '''\bhub_[a-zA-Z0-9]{{20}}\b'''
keywords = ["hub_"]
[[rules]]
id = "bare"
regex = '''\b([a-f0-9]{{12}}|x_[a-f0-9]{{12}})\b'''
keywords = ["x_"]
[[rules]]
id = "second"
secretGroup = 2
regex = '''(user|login)=\w+ pin=(\d{{4}})'''
entropy = 0.5
[[rules.allowlists]]
regexTarget = "match"
regexes = ["login="]
[[rules.allowlists]]
condition = "AND"
regexes = ["^1"]
stopwords = ["99"]
[[allowlists]]
regexes = ["^ffff"]
[[allowlists]]
targetRules = ["hub-token", "bare"]
stopwords = ["EXAMPLE"]
"""


def write(folder: Path, text: str, name: str = "gitleaks.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def left_out(rules: TakenRules) -> list[tuple[str, str]]:
    return [(each.rule, each.what) for each in rules.left_out]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("acme_key = 'q8zr2lx7vb1nw5tk'\nnext", "acme_key = '[acme-key]'\nnext"),
        ("ZORP.TOKEN: Q8ZR2LX7VB1NW5TK;", "ZORP.TOKEN: [acme-key];"),
        ("acme=q8zr2lx7vb1nw5tk", "acme=[acme-key]"),
        (r'{"acme":"q8zr2lx7vb1nw5tk\n"}', r'{"acme":"[acme-key]\n"}'),
        ("key = 'q8zr2lx7vb1nw5tk'", None),
        ("acme = 'q8zr2lx7vb1nw5tkk'", None),
        ("acme = 'aaaaaaaabbbbbbbb'", None),  # an entropy of 1
        ("acme = 'aabbccddeeffgghh'", None),  # of 3, which is not more than 3
        ("acme = 'aabbccddeeffgghi'", "acme = '[acme-key]'"),
        ("acme = '0000zr2lx7vb1nw5'", None),
        ("acme = 'q8DEMOx7vb1nw5tk'", None),
        ("acme = 'q8demox7vb1nw5tk'", "acme = '[acme-key]'"),
        ("acme = 'q8SAMPLEvb1nw5tk'", None),
        ("acme = 'ffffr2lx7vb1nw5t'", None),
        ("a hub_AbCdEfGhIjKlMnOpQrSt, b", "a [hub-token], b"),
        ("a hub_AbCdExampleMnOpQrStX, b", None),
        ("0123456789ab", None),
        ("see x_0123456789ab.", "see [bare]."),
        ("user=joe pin=1234 x", "user=joe pin=[second] x"),
        ("user=joe pin=1111 x", None),
        ("login=joe pin=1234 x", None),
        ("user=joe pin=1994 x", None),
        ("user=joe pin=2994 x", "user=joe pin=[second] x"),
    ],
)
def test_rules_of_gitleaks_redact_what_gitleaks_reports(tmp_path: Path, text: str, want: str | None) -> None:
    """Keywords, entropy, allow-lists of a rule, of some and of all; the label stays where it can; whole and in pieces."""
    rules = detectors.from_gitleaks(write(tmp_path, CONFIG))
    assert left_out(rules) == [("bare", "keywords")]
    assert [rule.name for rule in rules] == ["acme-key", "hub-token", "bare", "second"]
    if text.startswith(("user", "login")):  # its label has no bound
        want = want and want.replace("user=joe pin=", "")
    stage = sf.Redact(*rules, to="[{rule}]")
    want = text if want is None else want
    assert stage.apply(text) == want
    assert "".join(stage.iter(list(text))) == want
    assert all("".join(stage.iter(cut(text, place))) == want for place in range(1, len(text)))


def test_what_gitleaks_gives_is_a_value(tmp_path: Path) -> None:
    """A sequence of rules that compares, shows itself, and can be pickled; read again, it is equal."""
    path = write(tmp_path, CONFIG)
    rules = detectors.from_gitleaks(str(path))
    assert rules == detectors.from_gitleaks(path)
    assert pickle.loads(pickle.dumps(rules)) == rules
    assert (len(rules), rules[0], list(rules[1:])) == (4, rules.rules[0], list(rules)[1:])
    assert (
        repr(rules[1])
        == "Rule('hub-token', '\\\\bhub_[a-zA-Z0-9]{20}\\\\b', check=Finding(allowed=(AllowList(patterns=('(?a)^ffff',)), AllowList(stopwords=('EXAMPLE',)))), flags=128)"
    )
    assert str(rules.left_out[0]).startswith("bare: keywords: ")


@pytest.mark.parametrize(
    "pattern",
    [LABEL + "([a-z0-9]{8})" + END, r"(?:^|['\"\s=])([a-z]{3}\dQ~[a-z]{4,6})(?:$|['\"\s<])", r"\b(tok_[a-f0-9]{6,9})" + END, LABEL + "([a-c]{3})" + END + r"|\b(zz[0-9]{3})\b", "(?i)--(?:pin|key)[ =]([0-9]{4,})", r"\b(?:key=(a{3})|b_(c+);)\b"],
    ids=["label", "edges", "prefix", "either", "short", "nested"],
)  # fmt: skip
def test_patterns_of_gitleaks_find_what_the_whole_pattern_finds(tmp_path: Path, pattern: str) -> None:
    """Every secret that `re` finds with label and end is redacted, and the text around it stays, in text made from the patterns."""
    rule = detectors.from_gitleaks(
        write(
            tmp_path,
            f'[[rules]]\nid = \'r\'\nregex = """{pattern.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"""',
        )
    )[0]
    whole, stage = re.compile(pattern.replace("$", r"\Z").replace(r"\s", r" \t\n\f\r"), re.ASCII), sf.Redact(rule, to="")
    piece = strategies.from_regex(whole) | strategies.text("acmezorp =:'\"\nabQ~09_", max_size=12)

    @settings(max_examples=30, deadline=None, database=None)
    @given(strategies.lists(piece, min_size=1, max_size=3))
    def check(pieces: list[str]) -> None:
        text = "".join(pieces)
        spans = [match.span() for match in rule.compiled.finditer(text)]
        for found in whole.finditer(text):
            start, end = next(found.span(group) for group in range(1, whole.groups + 1) if found[group])
            assert any(left <= start and end <= right for left, right in spans)
        assert stage.apply(text) == rule.compiled.sub("", text)

    check()


@pytest.mark.parametrize(
    ("pattern", "matches", "differs"),
    [
        ("a$", ["a"], ["a\n"]),
        ("(?m)^a$", ["a", "b\na\nc"], ["ba"]),
        (r"a\z", ["a"], ["a\n"]),
        (r"^\s$", [" ", "\t", "\n", "\f", "\r"], ["\v", "\u00a0"]),
        (r"^\S$", ["\v", "a"], [" "]),
        (r"^[^\s]$", ["\v", "a"], ["\n"]),
        (r"^[\s\S]$", ["\v", "a", "\n"], []),
        (r"^\w\d\b", ["a1", "_1."], ["é1", "a\u0661", "a1b"]),
        ("^.$", ["a", "\r"], ["\n"]),
        ("(?s)^.$", ["\n"], ["ab"]),
        ("^a{,2}$", ["a{,2}"], ["a", "aa", ""]),
        (r"^\$(?:\d+|{\d+})$", ["$1", "${12}"], ["${x}"]),
        ("^a(?i)b|c$", ["ab", "aB", "C"], ["AB", "x"]),
        ("^(a(?i)b)c$", ["aBc"], ["abC"]),
        ("(?i)^a(?-i:b)c(?-i)d$", ["AbCd"], ["ABCd", "abcD"]),
        (r"^\Qa.b\E+$", ["a.b", "a.bb"], ["axb", "a.ba.b"]),
        (r"^[[:alpha:]_][[:digit:]]$", ["a1", "_1"], ["11", "é1"]),
        (r"^[]a]\x41\x{1F600}\101\a$", ["]A😀A\a", "aA😀A\a"], [""]),
        (r"^[\w-.]+$", ["a-.", "-"], ["+", "/"]),
        (r"^[a\-z&&~~||]+$", ["a-z&~|"], ["b"]),
        (r"^[.-/][\t\n]$", [".\t", "/\n"], ["-\t", "0\n"]),
        ("^(?P<x>a)(?<y>b)$", ["ab"], ["a"]),
        ("^x*?y??$", ["", "xxy"], ["z"]),
        ("^ #a$", [" #a"], ["a"]),
    ],
)
def test_patterns_of_go_mean_what_go_says(pattern: str, matches: list[str], differs: list[str]) -> None:
    """Where it differs from `regex`, by the documentation of Go's `regexp/syntax`."""
    import regex

    from streamfilter.detectors.gitleaks import go, tree

    parsed = go.parse(pattern)
    compiled = regex.compile(tree.written(parsed.root), parsed.flags)
    assert all(compiled.search(text) for text in matches), compiled.pattern
    assert not any(compiled.search(text) for text in differs), compiled.pattern


@pytest.mark.parametrize(
    "pattern",
    ["a**", "*a", "a++", "|*", "{2}", "a{2,1}", "a{1001}", "(?<=a)", "(?P=x)", "(?", "(a", "a)", "[a", "[z-a]", r"[a-\d]", "[[:foo:]]", "[[:^alpha:]]", r"\8", r"\pL", r"\C", r"\x{110000}", "a\\", "(?U)a", "(" * 2000 + ")" * 2000],
    ids=range(24),
)  # fmt: skip
def test_patterns_that_go_refuses_or_that_have_no_counterpart_are_refused(pattern: str) -> None:
    """With the place and the reason."""
    from streamfilter.detectors.gitleaks import go

    with pytest.raises(go.NotGoError, match=r"at position \d+: "):
        go.parse(pattern)


@pytest.mark.parametrize(
    ("pattern", "group", "want"),
    [
        ("key=(a{3})", 0, "(?<=key=)(a{3})"),
        ("(?i:key=(a{3}))", 0, "(?i:(?<=key=)(a{3}))"),
        (r"\b(a{3})(?:;|$)", 0, r"\b(a{3})(?:(?=;)|\Z)"),
        ("(?:^|k=)(a+)(?i:b|$)", 0, r"(?:^|(?<=k=))(a+)(?i:(?=b)|\Z)"),
        ("[a-z]{0,9}(?:x?y*)k(a)|(b)[;,]", 0, "(?<=k)(a)|(b)(?=[;,])"),
        ("(?:a|(b))=(c+);", 2, "(?<=(?:a|(?:b))=)(c+)(?=;)"),
        (r"\b(?:key=(a{3})|b=(c+))\b", 0, r"\b(?:key=(a{3})|b=(c+))\b"),  # the edges are those of the label
        (r"\bkey=(a{3});", 0, r"\bkey=(a{3})(?=;)"),
        (r"key\s*=(a{3});", 0, r"key[\t\n\f\r ]*=(a{3})(?=;)"),
        ("x(a*)y", 0, "x(a*)y"),  # where it is empty, the secret is the match
        ("(a)(?:b(c))d", 2, "(a)(?:b(c))d"),
        ("a{3}b", 0, "a{3}b"),
    ],
)
def test_a_match_is_no_more_than_the_secret_where_that_is_the_same(pattern: str, group: int, want: str) -> None:
    """Labels become lookbehinds, ends lookaheads; where one cannot, it stays."""
    from streamfilter.detectors.gitleaks import go, secret

    assert secret.find(go.parse(pattern).root, group, label=False).pattern == want


LISTED = r"""
surprise = 1
[extend]
useDefault = true
url = "https://example.com/x.toml"
[allowlist]
paths = ["vendor/"]
commits = ["abc"]
regexes = ["ok", "[z-a]"]
[[rules]]
id = "amended"
[[rules.allowlists]]
stopwords = ["x"]
[[rules]]
id = "files"
path = '''\.p12$'''
[[rules]]
id = "in-files"
regex = "a{9}"
path = '''\.tf$'''
speed = "fast"
[[rules]]
id = "near"
regex = "b{9}"
[[rules.required]]
id = "files"
withinLines = 3
[[rules]]
id = "quiet"
regex = "c{9}"
skipReport = true
[[rules]]
id = "swapped"
regex = "(?U)d+"
[[rules]]
id = "broken"
regex = "(e"
[[rules]]
id = "behind"
regex = "(?<=f)g"
[[rules]]
id = "groups"
regex = "(h)"
secretGroup = 2
[[rules]]
id = "endless"
regex = "curl.*-u (.+)"
[[rules]]
id = "line"
regex = "i{9}"
[[rules.allowlists]]
regexTarget = "line"
regexes = ["demo"]
stopwords = ["j"]
[[rules.allowlists]]
condition = "and"
paths = ["x"]
stopwords = ["i"]
[[rules]]
id = "both"
regex = "k{9}|[^k]{9}l"
keywords = ["k"]
"""


def test_what_cannot_be_taken_over_is_listed(tmp_path: Path) -> None:
    """By rule and field, with the reason; what is left of it holds."""
    rules = detectors.from_gitleaks(write(tmp_path, LISTED))
    assert left_out(rules) == [
        ("", "surprise"), ("", "extend.useDefault"), ("", "extend.url"), ("", "allowlists.paths"), ("", "allowlists.commits"), ("", "allowlists.regexes"),
        ("amended", "rule"), ("files", "rule"), ("in-files", "speed"), ("in-files", "path"), ("near", "rule"), ("quiet", "rule"), ("swapped", "rule"), ("broken", "rule"),
        ("behind", "rule"), ("groups", "rule"), ("endless", "rule"), ("line", "allowlists.regexTarget"), ("line", "allowlists.paths"), ("line", "allowlists"), ("both", "keywords"),
    ]  # fmt: skip
    assert [rule.name for rule in rules] == ["in-files", "line", "both"]
    reasons = {each.rule: each.reason for each in rules.left_out}
    assert reasons["swapped"] == "its pattern is not one of Go: (?U) at position 0: it swaps greedy and lazy, which `regex` cannot"
    assert reasons["broken"] == "its pattern is not one of Go: ( at position 2: it is not closed"
    assert reasons["groups"] == "its secretGroup is 2, and its pattern has 1 groups"
    stage = sf.Redact(*rules, to="#")
    assert stage.apply("aaaaaaaaa iiiiiiiii kkkkkkkkk") == "# # #"


def test_patterns_that_cannot_be_streamed_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what `Rule` says of them; no pattern of Go is known that it refuses."""
    from streamfilter.detectors import gitleaks

    monkeypatch.setattr(gitleaks, "Rule", lambda name, pattern, **_: Rule(name, rf"{pattern}\K"))
    rules = detectors.from_gitleaks(write(tmp_path, "[[rules]]\nid = 'a'\nregex = 'b'"))
    assert [str(each) for each in rules.left_out] == [
        r"a: rule: pattern cannot be streamed exactly: \K at position 1: it gives back decided text; use a lookbehind"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", "not TOML: Invalid value (at end of document)"),
        ("x = 1", "it has no rules: [[rules]] tables are needed, as in gitleaks 8"),
        ("[[rules]]\nregex = 'a'", "rule 1: id: Field required"),
        ("[[rules]]\nid = ''\nregex = 'a'", "rule 1: id: String should have at least 1 character"),
        ("[[rules]]\nid = 'a'\nregex = 1", "rule 'a': regex: Input should be a valid string"),
        ("[[rules]]\nid = 'a'\nregex = 'a'\nkeywords = 'a'", "rule 'a': keywords: Input should be a valid list"),
        ("[[rules]]\nid = 'a'\nregex = 'a'\nentropy = -1", "rule 'a': entropy: Input should be greater than or equal to 0"),
        (
            "[[rules]]\nid = 'a'\nregex = 'a'\n[[rules]]\nid = 'a'\nregex = 'b'",
            "rule 'a': rule 2 has the id of one before it: ids must differ",
        ),
        ("[[rules]]\nid = 'a'", "rule 'a': it needs a regex or a path"),
        (
            "[[rules]]\nid = 'a'\nregex = 'a'\n[[rules.allowlists]]\ndescription = 'x'",
            "rule 'a': allowlists: one is empty: it needs commits, paths, regexes or stopwords",
        ),
        (
            "[[rules]]\nid = 'a'\nregex = 'a'\n[rules.allowlist]\npaths = ['x']\n[[rules.allowlists]]\npaths = ['x']",
            "rule 'a': allowlist is the old form of allowlists: give one of them",
        ),
        (
            "[[rules]]\nid = 'a'\nregex = 'a'\n[[rules.allowlists]]\npaths = ['x']\ncondition = 'xor'",
            "rule 'a': allowlists.0.condition: Input should be 'or' or 'and'",
        ),
        (
            "[[rules]]\nid = 'a'\nregex = 'a'\n[[rules.allowlists]]\npaths = ['x']\nregexTarget = 'file'",
            "rule 'a': allowlists.0.regextarget: Input should be 'secret', 'match', 'line' or ''",
        ),
        ("rules = 1", "rules: Input should be a valid list"),
        (
            "[[rules]]\nid = 'a'\nregex = 'a'\n[[allowlists]]\ntargetRules = ['b']\npaths = ['x']",
            "allowlists: targetRules names 'b', and there is no such rule",
        ),
        ("[extend]\nuseDefault = true\npath = 'x'", "extend.path and extend.useDefault exclude each other: give one"),
        ("[extend]\npath = 'gitleaks.toml'", "it extends itself: extend must not lead back to a file"),
    ],
)
def test_a_wrong_configuration_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    """The file, the rule, what is wrong, and where it is not plain, what would be right."""
    path = write(tmp_path, text)
    with pytest.raises(ValueError) as refused:
        detectors.from_gitleaks(path)
    assert str(refused.value) == f"{path}: {message}"


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """Not there, or not UTF-8."""
    with pytest.raises(FileNotFoundError):
        detectors.from_gitleaks(tmp_path / "none.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(b"title = '\xe9'")
    with pytest.raises(ValueError, match="not UTF-8 at byte 9: a TOML file is needed"):
        detectors.from_gitleaks(path)


def test_a_configuration_extends_another(tmp_path: Path) -> None:
    """By a path beside it, or by the file that stands for gitleaks' own: rules are added, amended, switched off; lists come together."""
    write(
        tmp_path,
        "[[rules]]\nid = 'a'\nregex = 'a{9}'\nkeywords = ['aaa']\n[[rules]]\nid = 'b'\nregex = 'b{9}'\n[[rules]]\nid = 'c'\nregex = 'c{9}'\n[[allowlists]]\nstopwords = ['zzz']",
        "base.toml",
    )
    own = "[[rules]]\nid = 'a'\nentropy = 1.5\n[[rules.allowlists]]\nstopwords = ['yyy']\n[[rules]]\nid = 'd'\nregex = 'd{9}'\n[[allowlists]]\nstopwords = ['xxx']\ntargetRules = ['b']"
    by_path = detectors.from_gitleaks(write(tmp_path, f"[extend]\npath = 'base.toml'\ndisabledRules = ['c']\n{own}", "own.toml"))
    by_default = detectors.from_gitleaks(
        write(tmp_path, f"[extend]\nuseDefault = true\ndisabledRules = ['c']\n{own}", "own2.toml"), default=tmp_path / "base.toml"
    )
    assert by_path == by_default
    assert by_path.left_out == ()
    assert [rule.name for rule in by_path] == ["a", "d", "b"]
    shared = "AllowList(stopwords=('zzz',))"
    assert [repr(rule.check) for rule in by_path] == [
        f"Finding(above=1.5, allowed=({shared}, AllowList(stopwords=('yyy',))))",
        f"Finding(allowed=({shared},))",
        f"Finding(allowed=({shared}, AllowList(stopwords=('xxx',))))",
    ]
