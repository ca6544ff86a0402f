"""What stands in for a match: masks, hashes, templates that leave early, placeholders and the way back; and what the report says of it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import io
import itertools
import pickle
import random
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

import streamfilter as sf
from streamfilter.detectors import CREDIT_CARD, EMAIL, PHONE
from streamfilter.matching import Rule, find_all
from streamfilter.providers import openai
from streamfilter.testing import ScriptedSource, cut, promptness
from streamfilter.testing.sources import Mark
from streamfilter.testing.strategies import chunkings
from streamfilter.vault import LONGEST, PLACEHOLDER, placeholder_name


def ways(text: str) -> list[list[str]]:
    """A text whole, one character at a time, and at random cuts."""
    rng = random.Random(len(text))
    return [[text], list(text) or [text], *(cut(text, *(rng.randrange(len(text) + 1) for _ in range(3))) for _ in range(3))]


def private() -> sf.Context:
    return sf.Context(vault=sf.Vault())


# ------------------------------------------------------------------ masks and hashes


@pytest.mark.parametrize(
    ("mask", "text", "want"),
    [
        (sf.Mask(), "4111 1111 1111 1234", "•••••••••••••••1234"),
        (sf.Mask(), "12345678", "••••5678"),
        (sf.Mask(), "1234567", "•••••••"),
        (sf.Mask(), "1", "•"),
        (sf.Mask(keep_last=0), "12", "••"),
        (sf.Mask(keep_last=1, char="x"), "12", "x2"),
        (sf.Mask(keep_last=2, char="*"), "a-b-c", "***-c"),
        (sf.Mask(keep_last=5), "ab", "••"),
    ],
)
def test_a_mask_shows_the_last_characters_and_never_most(mask: sf.Mask, text: str, want: str) -> None:
    """Length is kept; a match shorter than twice what would be shown is masked whole; at every cut."""
    stage = sf.Redact("(?s:[^x]+)", to=mask)
    for pieces in ways(f"{text}x{text}"):
        assert "".join(stage.iter(pieces)) == f"{want}x{want}"


@given(st.text("ab1 ", max_size=20), st.integers(0, 6), st.data())
def test_a_mask_is_sub_with_a_function(text: str, keep: int, data: st.DataObject) -> None:
    """`Redact(to=Mask())` and `Replace(to=Mask())` are `regex.sub`."""

    def masked(match: Any) -> str:
        shown = keep if len(match[0]) >= 2 * keep else 0
        return "•" * (len(match[0]) - shown) + (match[0][-shown:] if shown else "")

    want = regex.sub("[ab]+", masked, text)
    for stage in (sf.Redact("[ab]+", to=sf.Mask(keep_last=keep)), sf.Replace("[ab]+", sf.Mask(keep_last=keep))):
        assert "".join(stage.iter(data.draw(chunkings(text)))) == want


def hmac_sha256(key: bytes, message: bytes) -> str:
    """RFC 2104, section 2, written out: H(K xor opad, H(K xor ipad, text)), with a block of 64 bytes."""
    key = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).hexdigest()


@pytest.mark.parametrize("salt", ["12345678", "pepper and salt", "ü" * 100])
@pytest.mark.parametrize("chars", [8, 12, 64])
def test_a_hash_is_hmac_sha256(salt: str, chars: int) -> None:
    """Keyed with the salt, of the text alone, in hexadecimal, cut, and named by the rule."""
    stage = sf.Redact(Rule("name", "Ann|Jürgen"), Rule("other", "A\\w+"), to=sf.Hash(salt, chars=chars))
    one, two = (hmac_sha256(salt.encode(), name.encode())[:chars] for name in ("Ann", "Jürgen"))
    for pieces in ways("Ann, Jürgen, Ann"):
        assert "".join(stage.iter(pieces)) == f"[name:{one}], [name:{two}], [name:{one}]"


def test_a_hash_of_what_cannot_be_encoded_quotes_nothing() -> None:
    """Half a surrogate pair, as some providers send, is hashed as any text: the error of `encode` would hold it."""
    want = hmac_sha256(b"12345678", b"a\xed\xa0\xbd")[:12]
    assert sf.Redact("a.", to=sf.Hash("12345678")).apply("a\ud83d") == f"[redacted:{want}]"


def test_the_salt_never_shows() -> None:
    """Not in reprs, not in what is raised for bad arguments."""
    shown = sf.Hash("top secret salt")
    assert "secret" not in repr(shown) + str(shown) + repr(sf.Redact("a", to=shown)) + sf.Redact("a", to=shown).explain()
    wrong: Any = 3
    refused: list[Callable[[], object]] = [
        lambda: sf.Hash("sécret"),
        lambda: sf.Hash("a secret salt", chars=7),
        lambda: sf.Hash(wrong),
    ]
    for bad in refused:
        with pytest.raises(ValueError, match=r"^Hash: \w+: [^\n]*$") as caught:
            bad()
        assert "cret" not in str(caught.value)


VALUES = [sf.Mask(), sf.Mask(keep_last=2, char="x"), sf.Hash("12345678"), sf.Hash("12345679", chars=9), sf.Placeholder()]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_replacements_are_values(value: Any) -> None:
    """Equal, hashable, picklable, alone and in a stage, and different from each other."""
    for made in (value, sf.Redact("a", to=value), sf.Redact("a", to=value) | sf.Restore()):
        again = pickle.loads(pickle.dumps(made))
        assert again == made
        assert hash(again) == hash(made)
        assert repr(again) == repr(made)
    assert [other for other in VALUES if other == value] == [value]
    assert repr(sf.Mask(keep_last=2)) == "Mask(keep_last=2)"


@pytest.mark.parametrize(
    ("build", "what"),
    [
        (lambda: sf.Mask(char=""), "char"),
        (lambda: sf.Mask(char="ab"), "char"),
        (lambda: sf.Mask(keep_last=-1), "keep_last"),
        (lambda: sf.Hash(""), "salt: at least 8 characters"),
        (lambda: sf.Hash("1234567"), "salt: at least 8 characters"),
        (lambda: sf.Hash("12345678", chars=65), "chars"),
        (lambda: sf.Redact("a", to=sf.Placeholder(), max_hold=LONGEST - 1), f"max_hold: with a Placeholder at least {LONGEST}"),
        (lambda: sf.Redact("a", to=sf.Placeholder(), overflow="release"), "was not looked at"),
        (lambda: sf.Redact("a", to=sf.Mask), r"to: it is the class Mask: write Mask\(\.\.\.\)"),  # type: ignore[arg-type]
        (lambda: sf.Redact("a", to=sf.Placeholder), "to: it is the class Placeholder"),  # type: ignore[arg-type]
        (lambda: sf.Replace("a", sf.Hash), "to: it is the class Hash"),  # type: ignore[arg-type]
        (lambda: sf.Vault(0), "max_entries=0: at least 1"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(build: Callable[[], object], what: str) -> None:
    """When the value is built, naming the argument."""
    with pytest.raises(ValueError, match=what) as caught:
        build()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stage", [sf.Redact, sf.Block])
def test_rules_are_told_apart_by_their_names(stage: Any) -> None:
    """Two different rules of one name are refused, with the name; the same rule twice and unnamed patterns are not."""
    with pytest.raises(ValueError, match="two different rules are named 'a'") as caught:
        stage(Rule("a", "x"), Rule("b", "x"), Rule("a", "y"))
    assert "\n" not in str(caught.value)
    stage(Rule("a", "x"), Rule("a", "x"), "x", "y", regex.compile("z"))


# ------------------------------------------------------------------ templates leave early

TEMPLATES = [
    r"<\1>", r"#\n\1", r"\n", r"\\\1", r"\x41\g<1>", r"\g<0>!", r"#\g<x>", r"\1#", r"", r"###", r"\N{BULLET} \1", "\\101\\1", r"\t\1\1",
]  # fmt: skip


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_that_of_sub_at_every_cut(template: str) -> None:
    """Its beginning leaves before the rest, and together they are what `regex.sub` gives, with every escape and count."""
    for pattern in ("(?P<x>a)b*", "x(?P<x>a)?b{0,3}", "(?P<x>a+)", "(?P<x>)a"):
        for text in ("aabb xab b xbbbbb", "xaaaab", "b"):
            for count in (0, 1):
                want = regex.sub(pattern, template, text, count)
                for overflow in ("release", "redact", "raise"):
                    for pieces in ways(text):
                        assert "".join(sf.Replace(pattern, template, count, overflow=overflow).iter(pieces)) == want


@pytest.mark.parametrize("template", [r"<\1>", r"#\n\1", r"\1#", r"\g<0>", r"\n", "##", r"#\\ \1"])
@pytest.mark.parametrize(
    ("pattern", "overflow"), [("(a)b{0,2}", "release"), ("x(a)?b?b?", "release"), ("(a)b*", "redact"), ("x(a+)", "raise")]
)
def test_what_a_template_has_before_its_groups_leaves_when_the_match_is_certain(template: str, pattern: str, overflow: Any) -> None:
    """By brute force: nothing leaves that may not, and all of the constant beginning leaves that all continuations agree on."""
    stage = sf.Replace(pattern, template, overflow=overflow)
    for text in ("xabb aab", "xab b"):
        promptness(stage, text, lambda text: regex.sub(pattern, template, text), "abx", 4, exact=False)
        first = regex.search(pattern, text)
        assert first is not None
        beginning = {r"<\1>": "<", r"#\n\1": "#\n", r"\1#": "", r"\g<0>": "", r"\n": "\n", "##": "##", r"#\\ \1": "#\\ "}[template]
        machine = stage.machine()
        out = "".join(str(item) for character in text[: first.start() + 2] for item in machine.feed(character))
        assert out == text[: first.start()] + beginning


def test_a_template_that_is_constant_so_far_is_as_prompt_as_can_be() -> None:
    """Where what follows the constant depends on the match, nothing else could leave."""
    for pattern, template in (("(a)b{0,2}", r"<\1>"), ("x(b?)", r"[\1"), ("(?:ab){1,2}(b?)", r"# \1")):
        means = partial(regex.sub, pattern, template)
        for text in ("xabab bx", "abbab"):
            promptness(sf.Replace(pattern, template), text, means, "abx", 4, exact=False)
    machine = sf.Replace("(a)b{0,2}", r"<\1>").machine()
    assert [list(machine.feed(text)) for text in ("x", "a", "b", "b")] == [["x"], ["<"], [], ["a>"]]


@pytest.mark.parametrize(
    ("overflow", "template", "want"),
    [
        ("redact", r"<b>\1</b>", "- <b></b>!"),  # what has begun is brought to its end, without the text
        ("redact", r"\1#", "- !"),  # nothing had left: deleted
        ("release", r"<b>\1</b>", "- x" + "a" * 30 + "!"),  # the match may pass, so nothing leaves before its end
        ("release", "#", "- #!"),  # a constant does: it needs nothing of the match
    ],
)
def test_a_template_that_overflows_loses_nothing_that_it_need_not(overflow: Any, template: str, want: str) -> None:
    """With part of it gone already; at every cut."""
    text = "- x" + "a" * 30 + "!"
    for pieces in ways(text):
        assert "".join(sf.Replace("x(a+)", template, max_hold=10, overflow=overflow).iter(pieces)) == want


def test_a_template_that_overflows_with_raise_ends_the_stream_behind_its_beginning() -> None:
    """What has left is the same at every cut."""
    for pieces in ways("- x" + "a" * 30):
        out = ""
        with sf.Replace("x(a+)", r"<\1>", max_hold=10, overflow="raise").iter(pieces) as stream, pytest.raises(sf.LimitExceeded):
            for item in stream:
                out += item
        assert out == "- <"


# ------------------------------------------------------------------ the report, on every ending

KEY = Rule("key", "sk-[a-z]{3,}")
OPEN = ["a sk-abc", "def"]
"""A match whose replacement has left, and whose end is open."""


def heard_by(heard: list[sf.Finding]) -> sf.Context:
    return sf.Context(tags={"tenant": "acme"}, observe=[heard.append])


def places(findings: Iterable[sf.Finding]) -> list[tuple[str, str, int, int | None]]:
    return [(found.rule, found.action, found.start, found.end) for found in findings]


async def failing(stream: Any) -> str:
    out = []
    with pytest.raises(OSError, match="planted"):
        async with stream:
            async for item in stream:
                out.append(item)  # noqa: PERF401  # what was given before an exception counts
    return "".join(out)


async def left(stream: Any) -> str:
    out = []
    async with stream:
        async for item in stream:
            out.append(item)
            if "".join(out).endswith("]"):
                break
    return "".join(out)


async def cancelled(stream: Any) -> str:
    out = []

    async def read() -> None:
        async with stream:
            async for item in stream:
                out.append(item)  # noqa: PERF401  # what was given before an exception counts

    task = asyncio.ensure_future(read())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return "".join(out)


class Endless:
    """A source that gives some items and then nothing, for ever."""

    def __init__(self, items: list[str]) -> None:
        self.items = list(items)

    def __aiter__(self) -> Endless:
        return self

    async def __anext__(self) -> str:
        if not self.items:
            await asyncio.Event().wait()
        return self.items.pop(0)


async def through(source: Any) -> Any:
    async for item in source:
        yield item


@pytest.mark.parametrize(
    "stage", [sf.Redact(KEY), sf.Redact(KEY) | through, through | sf.Redact(KEY) | through | sf.MapText(str)], ids=str
)
def test_a_match_that_was_cut_off_behind_its_replacement_is_reported(stage: Any) -> None:
    """When the source fails, the consumer leaves or is cancelled: with no end, once, to observers too, with the tags."""
    for way, source in (
        (failing, ScriptedSource(OPEN, error=OSError("planted"))),
        (left, ScriptedSource([*OPEN, "g"])),
        (cancelled, Endless(OPEN)),
    ):
        heard: list[sf.Finding] = []
        stream = stage(source, context=heard_by(heard))
        assert asyncio.run(way(stream)) == "a [key]"
        assert places(stream.report.findings) == [("key", "redact", 2, None)]
        assert stream.report.counts == {"key": 1}
        assert heard == stream.report.findings
        assert heard[0].tags == {"tenant": "acme"}


def test_a_match_that_was_cut_off_is_reported_by_plain_streams_too() -> None:
    """When the iterable fails, when the consumer leaves, and when a `with` is left by his own exception."""

    def failing_items() -> Iterator[str]:
        yield from OPEN
        raise OSError("planted")

    for items, error in ((failing_items(), OSError), (iter(OPEN), ZeroDivisionError), (iter(OPEN), None)):
        heard: list[sf.Finding] = []
        stream = sf.Redact(KEY).iter(items, context=heard_by(heard))
        out = []
        caught = None
        try:
            with stream:
                for item in stream:
                    out.append(item)
                    if item == "[key]" and error is ZeroDivisionError:
                        1 / 0  # noqa: B018  # the consumer's own mistake
                    if item == "[key]" and error is None:
                        break
        except (OSError, ZeroDivisionError) as raised:
            caught = type(raised)
        assert caught is error
        assert "".join(out) == "a [key]"
        assert places(heard) == places(stream.report.findings) == [("key", "redact", 2, None)]


@pytest.mark.parametrize("ends", [sf.Block(r"\[key\]", action="stop"), sf.Block(r"\[key\]"), sf.StopAt("[key]", include=True)])
@pytest.mark.parametrize("after_stop", ["close", "drain"])
def test_a_match_is_reported_whose_replacement_ended_the_stream_further_on(ends: Any, after_stop: Any) -> None:
    """A later stage that stops or refuses at the replacement: the match is open for good."""
    # A stream that is drained settles what is held beneath an async generator function, as if its text had ended there.
    stages = [sf.Redact(KEY) | ends, *([sf.Redact(KEY) | through | ends] if after_stop == "close" else [])]
    for pieces in (OPEN, list("".join(OPEN))):
        for stage in stages:
            heard: list[sf.Finding] = []
            stream = stage(ScriptedSource([*pieces, " and more"]), context=heard_by(heard), after_stop=after_stop)

            async def read(stream: Any = stream) -> str:
                out = []
                try:
                    async with stream:
                        async for item in stream:
                            out.append(item)  # noqa: PERF401  # what was given before an exception counts
                except sf.Blocked:
                    out.append("!")
                return "".join(out)

            assert asyncio.run(read()).startswith("a ")
            assert [place for place in places(heard) if place[0] == "key"] == [("key", "redact", 2, None)]
            assert heard == stream.report.findings


def test_a_match_whose_end_comes_is_reported_once_with_it() -> None:
    """Whole, in pieces, at the end of the source; every channel by itself, and where one is cut off the others stay."""
    text = "a sk-abcdef, sk-xyz"
    want = [("key", "redact", 2, 11), ("key", "redact", 13, 19)]
    for pieces in ways(text):
        heard: list[sf.Finding] = []
        with sf.Redact(KEY).iter(pieces, context=heard_by(heard)) as stream:
            assert "".join(stream) == "a [key], [key]"
            assert places(stream.report.findings) == want
        assert places(heard) == want

    one, two = sf.Channel("answer", (0, 0)), sf.Channel("answer", (0, 1))
    items = [sf.TextDelta("sk-abc", one), sf.TextDelta("sk-abc", two), sf.TextDelta(" x", one)]
    with sf.Redact(KEY).iter(items) as channels:
        for n, _ in enumerate(channels):
            if n == 2:
                break
    assert [(found.channel, found.end) for found in channels.report.findings] == [(one, 6), (two, None)]


def test_a_report_says_which_rule_has_left_early() -> None:
    """Of several rules, the one whose replacement it is."""
    others = [Rule("other", "[A-Z]{3}"), KEY, Rule("third", "zz+")]
    for text, rule in (("sk-abcd", "key"), ("zzz", "third")):
        with sf.Redact(*others).iter(list(text)) as stream:
            assert next(stream) == f"[{rule}]"
        assert places(stream.report.findings) == [(rule, "redact", 0, None)]


def test_an_observer_that_raises_at_the_end_does_not_keep_the_source_open() -> None:
    """Leaving raises what it raised; an exception that is under way goes first."""

    def observer(_: sf.Finding) -> None:
        raise LookupError

    context = sf.Context(observe=[observer])

    async def leave(source: Any) -> None:
        async with sf.Redact(KEY)(source, context=context) as stream:
            async for item in stream:
                if item == "[key]":
                    return

    source = ScriptedSource([*OPEN, "g"])
    with pytest.raises(LookupError):
        asyncio.run(leave(source))
    assert source.closed == 1
    source = ScriptedSource(OPEN, error=OSError("planted"))
    assert asyncio.run(failing(sf.Redact(KEY)(source, context=context))) == "a [key]"
    assert source.closed == 1


# ------------------------------------------------------------------ the vault


def spellings(name: str, number: int, most_blanks: int = 2) -> set[str]:
    """The ways to write a placeholder, by enumeration: the definition of what is tolerated."""
    words = name.split("_")
    found = set()
    for separators in itertools.product(["_", " ", "-", "\\_"], repeat=len(words)):
        inner = "".join(itertools.chain(*zip(words, separators, strict=True))) + str(number)
        for before, after in itertools.product(range(most_blanks + 1), repeat=2):
            for form in (inner, inner.lower(), inner.title(), inner[0].lower() + inner[1:]):
                found.add(f"<{' ' * before}{form}{' ' * after}>")
    return found


def test_a_vault_restores_what_it_has_issued_however_it_is_written() -> None:
    """And nothing else: not other numbers, leading zeros, other names, other signs, other letters that `upper` would make alike."""
    vault = sf.Vault()
    assert [vault.issue(*pair) for pair in (("s", "1"), ("s", "2"), ("s i", "3"), ("s_1", "4"), ("s", "1"))] == [
        "<S_1>",
        "<S_2>",
        "<S_I_1>",
        "<S_1_1>",
        "<S_1>",
    ]
    for name, number, text in (("S", 1, "1"), ("S", 2, "2"), ("S_I", 1, "3"), ("S_1", 1, "4")):
        for spelling in spellings(name, number):
            assert vault.restore(spelling) == text, spelling
    for other in (
        "<S_3>", "<S_01>", "<S_1", "S_1>", "S_1", "<<S_1>", "<S_1>>", "<S__1>", "<S1>", "<S.1>", "<S_1_>", "<_S_1>", "<S_>", "<S>", "<>",
        "<ſ_1>", "<S_ı_1>", "<S_１>", "<S\u00a0_1>", "<    S_1>", "<S_1    >", "<S_ 1>", "<S\\ 1>", "<S\\-1>", "<S_1>\n", "\n<S_1>", "[S_1]", "<S_I>",
    ):  # fmt: skip
        assert vault.restore(other) is None, other
        assert vault.rule(other) is None
    assert vault.restore("<\n\t S_1\n>") == "1"
    assert (vault.rule("<s 1>"), vault.rule("<s i 1>")) == ("s", "s i")


def test_names_of_placeholders() -> None:
    """Capital ASCII letters and digits, with underscores, beginning with a letter, at most 32 characters; all match the pattern."""
    cases = {
        "email": "EMAIL", "credit_card": "CREDIT_CARD", "api-key (v2)": "API_KEY_V2", "__a__b__": "A_B", "1password": "TEXT_1PASSWORD",
        "": "TEXT", "名前": "TEXT", "größe": "GR_SSE", "<EMAIL_1>": "EMAIL_1", "a" * 40: "A" * 32, "a" * 31 + " b": "A" * 31,
    }  # fmt: skip
    for rule, name in cases.items():
        assert placeholder_name(rule) == name
        assert regex.fullmatch(PLACEHOLDER, f"<{name}_1>")
        assert regex.fullmatch(PLACEHOLDER, f"<{name}_999999999>")
    longest = "<   " + "\\_".join("a" * 32) + "\\_123456789   >"
    assert len(longest) == LONGEST
    assert regex.fullmatch(PLACEHOLDER, longest)


def test_a_vault_knows_what_may_begin_a_placeholder() -> None:
    """Exactly the beginnings of the spellings of what it has issued, by enumeration."""
    vault = sf.Vault()
    assert not vault.may_begin("<")
    for number in range(12):
        vault.issue("e", str(number))
    vault.issue("a e", "text")
    vault.issue("e 1", "text")
    known = {
        *itertools.chain(*(spellings("E", number, 3) for number in range(1, 13))),
        *spellings("A_E", 1, 3),
        *spellings("E_1", 1, 3),
    }
    beginnings = {text[:end] for text in known for end in range(1, len(text))}
    for size in range(1, 6):
        for letters in itertools.product("<>e1_ \\", repeat=size):
            text = "".join(letters)
            assert vault.may_begin(text) == (text in beginnings), text
    for text in beginnings:
        assert vault.may_begin(text), text
        for letter in "aE13_- \\x>":
            assert vault.may_begin(text + letter) == (text + letter in beginnings), text + letter


def test_what_was_typed_before_it_was_issued_is_never_issued() -> None:
    """Its number is skipped, however it was written; what was issued before cannot be reserved."""
    vault = sf.Vault()
    assert vault.reserve("<e 2>")
    assert vault.reserve("< E-3 >")
    assert [vault.issue("e", text) for text in "abab"] == ["<E_1>", "<E_4>", "<E_1>", "<E_4>"]
    assert not vault.reserve("<E_1>")
    assert vault.reserve("<E_2>")
    assert vault.restore("<E_2>") is None
    assert vault.reserve("not one")
    assert len(vault) == 2


def test_a_full_vault_ends_the_stream_before_the_text() -> None:
    """It fails closed: what is known is still replaced, what is new raises, what has been issued stays; typed ones count too."""
    stage = sf.Redact(Rule("e", r"\d+"), to=sf.Placeholder())
    for pieces in ways("a 1 b 2 c 1 d 3 e"):
        context = sf.Context(vault=sf.Vault(2))
        out = ""
        with stage.iter(pieces, context=context) as stream, pytest.raises(sf.LimitExceeded) as caught:
            for item in stream:
                out += item
        assert out == "a <E_1> b <E_2> c <E_1> d "
        assert str(caught.value) == "max_entries of 2 exceeded: the vault is full"
        assert caught.value.__cause__ is caught.value.__context__ is None
        assert sf.Restore().apply("<E_1><E_2><E_3>", context=context) == "12<E_3>"
    vault = sf.Vault(2)
    assert all(vault.reserve(f"<x {n}>") for n in range(1, 10))
    with pytest.raises(sf.LimitExceeded):
        vault.issue("x", "text")
    assert vault.restore("<x 9>") is None


def test_a_vault_shows_nothing() -> None:
    """Not in reprs, attributes by `vars`, pickles and copies that were not asked for."""
    vault = sf.Vault()
    vault.issue("email", "joe@example.com")
    context = sf.Context(vault=vault)
    assert repr(vault) == str(vault) == f"{vault}" == "<Vault of 1 entry>"
    assert "joe" not in repr(context) + repr(sf.Context.started(context, "close"))
    assert not hasattr(vault, "__dict__")
    copies: list[Callable[[], object]] = [lambda: copy.copy(vault), lambda: copy.deepcopy(vault), lambda: copy.deepcopy(context)]
    copies += [lambda protocol=protocol: pickle.dumps(vault, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]  # type: ignore[misc]
    for shown in copies:
        with pytest.raises(TypeError, match=r"Vault\(picklable=True\)") as caught:
            shown()
        assert "joe" not in str(caught.value)


def test_a_vault_is_pickled_on_request_with_all_it_knows() -> None:
    """So that a conversation can go on in another process: numbers, what was typed, the bound."""
    vault = sf.Vault(4, picklable=True)
    vault.issue("e", "one")
    vault.reserve("<E_2>")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(vault, protocol))
        assert (again.restore("<e 1>"), again.rule("<e 1>"), again.issue("e", "one"), again.issue("e", "two")) == (
            "one",
            "e",
            "<E_1>",
            "<E_3>",
        )
        assert again.may_begin("<E_3")
        again.issue("e", "three")
        with pytest.raises(sf.LimitExceeded):
            again.issue("e", "four")
    assert len(vault) == 1
    assert copy.deepcopy(vault).restore("<e 1>") == "one"


def test_an_empty_vault_is_a_vault() -> None:
    """`vault or Vault()` keeps the caller's."""
    vault = sf.Vault()
    assert (vault or sf.Vault()) is vault
    assert len(vault) == 0


# ------------------------------------------------------------------ redact and restore

PRIVATE = sf.Redact(EMAIL, PHONE, CREDIT_CARD, to=sf.Placeholder())


def test_the_same_text_has_the_same_placeholder_in_all_of_a_conversation() -> None:
    """Each rule counts for itself, over messages, streams and channels that share a vault; another vault begins anew."""
    context = private()
    for pieces in ways("joe@example.com +1 (555) 010-2030, ann@example.com: joe@example.com"):
        assert "".join(PRIVATE.iter(pieces, context=context)) == "<EMAIL_1> <PHONE_1>, <EMAIL_2>: <EMAIL_1>"
    assert (
        PRIVATE.apply("bob@example.com 4111 1111 1111 1111 ann@example.com", context=context)
        == "<EMAIL_3> <CREDIT_CARD_1> <EMAIL_2>"
    )
    assert PRIVATE.apply("bob@example.com", context=private()) == "<EMAIL_1>"


def test_names_that_come_to_the_same_are_counted_together() -> None:
    """No two texts ever have one placeholder."""
    stage = sf.Redact(Rule("a b", r"\d"), Rule("A-B", "[xy]"), to=sf.Placeholder())
    context = private()
    assert stage.apply("1 x 2 y x", context=context) == "<A_B_1> <A_B_2> <A_B_3> <A_B_4> <A_B_2>"
    assert sf.Restore().apply("<a b 4><a b 1>", context=context) == "y1"


def test_what_the_user_typed_himself_comes_back_as_typed() -> None:
    """Before or after the vault has issued it, and in any spelling; what was not issued is not even changed on the way out."""
    context = private()
    assert PRIVATE.apply("I mean <EMAIL_1>, joe@example.com", context=context) == "I mean <EMAIL_1>, <EMAIL_2>"
    assert PRIVATE.apply("<email 2> <EMAIL_2> < Email-2 > <EMAIL_3>", context=context) == "<TEXT_1> <TEXT_2> <TEXT_3> <EMAIL_3>"
    assert PRIVATE.apply("ann@example.com", context=context) == "<EMAIL_4>"
    answer = "<EMAIL_1> <EMAIL_2> <email_2> <TEXT_1> <text_2> <TEXT_3> <EMAIL_3> <EMAIL_4> <TEXT_4>"
    want = "<EMAIL_1> joe@example.com joe@example.com <email 2> <EMAIL_2> < Email-2 > <EMAIL_3> ann@example.com <TEXT_4>"
    for pieces in ways(answer):
        assert "".join(sf.Restore().iter(pieces, context=context)) == want


def test_what_only_looks_like_a_placeholder_hides_no_secret() -> None:
    """It is searched like any other text, from its first character on."""
    for text, want in (
        ("<pin 1234>", "<pin <NUM_1>>"),
        ("<tag 7><x>", "<TAG_1><x>"),
        ("<example_1> 12", "<example_1> <NUM_1>"),
        ("<doc 1> <doc 2>", "<doc 1> <doc 2>"),
    ):
        stage = sf.Redact(Rule("num", r"\d{2,}"), Rule("tag", r"<tag \d>"), to=sf.Placeholder())
        for pieces in ways(text):
            context = private()
            assert "".join(stage.iter(pieces, context=context)) == want
            assert sf.Restore().apply(want, context=context) == text


def test_findings_are_reported_and_lookalikes_are_not() -> None:
    """Redacting and restoring each say which rule, how many and where; what only looked like a placeholder was not found by a rule."""
    heard: list[sf.Finding] = []
    context = sf.Context(vault=sf.Vault(), observe=[heard.append])
    with PRIVATE.iter(["ann@example.com <EMAIL_1> +442079460958"], context=context) as stream:
        assert "".join(stream) == "<EMAIL_1> <TEXT_1> <PHONE_1>"
    assert places(stream.report.findings) == [("email", "redact", 0, 15), ("phone", "redact", 26, 39)]
    heard.clear()
    for pieces in ways("at <email 1>: <TEXT_1> <phone_2>"):
        with sf.Restore().iter(pieces, context=context) as stream:
            assert "".join(stream) == "at ann@example.com: <EMAIL_1> <phone_2>"
        assert places(stream.report.findings) == [("email", "restore", 3, 12)]
    assert places(heard) == [("email", "restore", 3, 12)] * 5


RULE_SETS = [
    (Rule("e", r"\d+"),),
    (Rule("e", "[ab]+"), Rule("<e_1>", "1")),
    (Rule("text", "<[^<>]*>"), Rule("e", "e")),
    (Rule("e", "_"), Rule("t", "<"), Rule("x", "1>")),
    (Rule("e", r"(.)\1"), Rule("t", "(?<=<)e")),
    (Rule("e", "a*"), Rule("f", r"\b1")),
    (Rule("e", "<e.1>a"), Rule("text", "x(?=_1)"), Rule("f", ">$")),
]
PIECES = st.sampled_from(
    ["<", ">", "e", "E", "_", " ", "-", "\\", "1", "2", "<E_1>", "<e 2>", "< E-1 >", "<TEXT_1>", "<text", "_1>", "a", "b", "ab1", "x", "\n"]
)  # fmt: skip
MESSAGES = st.lists(st.lists(PIECES, max_size=12).map("".join), min_size=1, max_size=4)


@given(st.sampled_from(RULE_SETS), MESSAGES, st.data())
def test_restoring_gives_back_every_text(rules: tuple[Rule, ...], messages: list[str], data: st.DataObject) -> None:
    """Any texts with one vault, redacted at any cuts and restored at any cuts, then, and again when all have been redacted."""
    context = private()
    stage = sf.Redact(*rules, to=sf.Placeholder())
    redacted = []
    for text in messages:
        hidden = "".join(stage.iter(data.draw(chunkings(text)) if text else [""], context=context))
        redacted.append(hidden)
        assert sf.Restore().apply(hidden, context=context) == text
        assert "".join((stage | sf.Restore()).iter(list(text), context=context)) == text
    for text, hidden in zip(messages, redacted, strict=True):
        for pieces in (list(hidden), data.draw(chunkings(hidden)) if hidden else [""]):
            assert "".join(sf.Restore().iter(pieces, context=context)) == text
        assert stage.apply(text, context=context) == hidden or regex.search(PLACEHOLDER, text)


@given(st.sampled_from(RULE_SETS), MESSAGES, st.data())
def test_what_leaves_depends_on_the_texts_alone(rules: tuple[Rule, ...], messages: list[str], data: st.DataObject) -> None:
    """Not on their cuts: the same placeholders and the same report, character by character, at once and at random cuts."""
    stage = sf.Redact(*rules, to=sf.Placeholder())

    def run(pieces_of: Callable[[str], list[str]]) -> list[Any]:
        context = private()
        out = []
        for text in messages:
            with stage.iter(pieces_of(text) or [""], context=context) as stream:
                out.append(("".join(stream), places(stream.report.findings)))
        return out

    once = run(lambda text: [text])
    assert once == run(list)
    assert once == run(lambda text: data.draw(chunkings(text)) if text else [])


@given(st.sampled_from(RULE_SETS[:4]), st.lists(PIECES, max_size=10).map("".join))
def test_without_lookalikes_a_placeholder_is_the_matched_text(rules: tuple[Rule, ...], text: str) -> None:
    """What is replaced is what the reference loop matches, numbered in the order in which texts come."""
    text = text.replace("<", "a")
    numbers: dict[str, dict[str, int]] = {}
    want, at = "", 0
    for match in find_all(rules, text):
        seen = numbers.setdefault(placeholder_name(match.rule.name), {})
        number = seen.setdefault(match.group(), len(seen) + 1)
        want += f"{text[at : match.start()]}<{placeholder_name(match.rule.name)}_{number}>"
        at = match.end()
    assert sf.Redact(*rules, to=sf.Placeholder()).apply(text, context=private()) == want + text[at:]


def test_terms_are_hidden_and_templated_like_any_rule() -> None:
    """With their name, each spelling by itself; they have no groups but the whole."""
    context = private()
    names = sf.Terms(["Ann", "Joe"], name="first name")
    for pieces in ways("Ann, joe, ANN and Anna <FIRST_NAME_1>"):
        hidden = "".join(sf.Redact(names, to=sf.Placeholder()).iter(pieces, context=context))
        assert hidden == "<FIRST_NAME_1>, <FIRST_NAME_2>, <FIRST_NAME_3> and Anna <TEXT_1>"
        assert sf.Restore().apply(hidden, context=context) == "Ann, joe, ANN and Anna <FIRST_NAME_1>"
        assert "".join(sf.Replace(names, r"#\g<0>#").iter(pieces)) == "#Ann#, #joe#, #ANN# and Anna <FIRST_NAME_1>"
    with pytest.raises(ValueError, match="not a valid template"):
        sf.Replace(names, r"\1")


def test_redacting_twice_takes_restoring_twice() -> None:
    """The second takes the placeholders of the first for text that somebody typed."""
    context = private()
    text = "ann@example.com +442079460958 <EMAIL_1>"
    hidden = (sf.Redact(EMAIL, to=sf.Placeholder()) | sf.Redact(PHONE, to=sf.Placeholder())).apply(text, context=context)
    assert (sf.Restore() | sf.Restore()).apply(hidden, context=context) == text


def test_a_match_longer_than_the_hold_is_hidden_for_good() -> None:
    """It is not known as a whole, so there is nothing to remember; its stand-in is nobody's placeholder, whatever the rule is called."""
    stage = sf.Redact(Rule("<E_1>", "x[^!]*!"), to=sf.Placeholder(), max_hold=LONGEST)
    for pieces in ways("x1! x" + "a" * 300 + "! <E_1>"):
        context = private()
        assert "".join(stage.iter(pieces, context=context)) == "<E_1_1> [E_1] <E_1>"


def test_text_that_looks_like_a_placeholder_is_not_held_for_long() -> None:
    """At most as long as the longest there can be; what cannot become one leaves at once."""
    stage = sf.Redact(Rule("e", r"\d{3}"), to=sf.Placeholder())
    for text in ("<" + " a" * 200, "<a" + "\\_a" * 200, "< " * 200, "<a" * 200, "<aaaa_" + "1" * 200):
        machine = stage.machine(private())
        held = [machine.held for character in text if not machine.feed(character) or True]
        assert max(held) < LONGEST
    machine = stage.machine(private())
    assert [list(machine.feed(text)) for text in ("a < 3", " <br", "/>")] == [["a < "], ["3 "], ["<br/>"]]


# ------------------------------------------------------------------ Restore


def restored(vault: sf.Vault, text: str) -> str:
    """The meaning of `Restore`: between two brackets with none inside, what was issued."""
    return regex.sub("<[^<>]*>", lambda match: found if (found := vault.restore(match[0])) is not None else match[0], text)


RESTORED = st.lists(
    st.sampled_from(
        ["<", ">", "<E_1>", "<e 2>", "< E-3 >", "<F\\_1>", "<E_10>", "<E_99>", "<f_1", "<E", " ", "_", "1", "2", ">>", "<<", "\n", "é"]
    ), max_size=10
).map("".join)  # fmt: skip


def small_vault() -> sf.Vault:
    vault = sf.Vault()
    for number in range(10):
        vault.issue("e", f"<E_{number}>" if number % 2 else "")
    vault.issue("f", "<F_1> and < more")
    return vault


@given(RESTORED, st.data())
def test_a_stream_is_restored_as_its_whole_text(text: str, data: st.DataObject) -> None:
    """At any cut; what was restored is not looked at again."""
    context = sf.Context(vault=small_vault())
    want = restored(small_vault(), text)
    for pieces in ([text], list(text) or [""], data.draw(chunkings(text)) if text else [""]):
        assert "".join(sf.Restore().iter(pieces, context=context)) == want


@sf.stage
class Bound(sf.Stage[str, str]):
    """`Restore` with a vault, for laws that start stages by themselves."""

    def machine(self, context: sf.Context | None = None) -> sf.Machine:
        return sf.Restore().machine(sf.Context(vault=other_vault()))


def other_vault() -> sf.Vault:
    vault = sf.Vault()
    for number in range(10):
        vault.issue("e", f"({number})")
    vault.issue("e 1 e", "text")
    return vault


@pytest.mark.parametrize(
    "text", ["a<E_1>b", "<e 1", "<E_10 ><", "< <E_1>", "<E_1_1> <E_1-e", "<  e-2", "<E\\_1>", "<E_1 E", "<E_11>"]
)
def test_nothing_is_held_that_could_not_be_restored(text: str) -> None:
    """By brute force over continuations: exactly what may still become a placeholder of this vault waits."""
    vault = other_vault()
    promptness(Bound(), text, lambda text: restored(vault, text), ">_1E", 6)


def test_the_longest_placeholder_is_restored() -> None:
    """In its longest spelling, whole and a character at a time; with one blank more it is none."""
    vault = sf.Vault()
    vault.issue("a" * 32, "text")
    vault.issue("_".join("a" * 16), "text")
    for name in ("a" * 32, "\\_".join("a" * 16)):
        longest = f"<   {name}\\_1   >"
        for text, want in ((f"<{longest}", "<text"), (longest.replace(">", " >"), longest.replace(">", " >"))):
            for pieces in ways(text):
                assert "".join(sf.Restore().iter(pieces, context=sf.Context(vault=vault))) == want


def test_what_a_vault_learns_while_a_stream_runs_is_restored() -> None:
    """A vault may be filled while an answer is read."""
    vault = sf.Vault()
    machine = sf.Restore().machine(sf.Context(vault=vault))
    assert list(machine.feed("<E_1> <E")) == ["<E_1> <E"]
    vault.issue("e", "text")
    assert [list(machine.feed(text)) for text in ("_1> <E", "_1>")] == [["_1> "], ["text"]]


def test_every_text_channel_is_restored() -> None:
    """Answer, reasoning, refusal and the arguments of tools are for the one whose text it was."""
    context = sf.Context(vault=small_vault())
    items = [sf.TextDelta("<E_2>", sf.Channel(kind, (0, 0, kind))) for kind in ("answer", "reasoning", "refusal", "tool_arguments")]
    out = [item.text for item in sf.Restore().iter(items, context=context)]
    assert out == ["<E_1>", "<E_1>", "<E_1>", "<E_1>"]
    assert [item.text for item in sf.Restore().on("answer").iter(items, context=context)] == ["<E_1>", "<E_2>", "<E_2>", "<E_2>"]


def test_events_keep_their_place_around_what_is_restored() -> None:
    """One inside a placeholder leaves right after the text; one before it, before."""
    items: list[Any] = ["a", Mark(name=1), "<E", Mark(name=2), "_2>", Mark(name=3), "b"]
    assert list(sf.Restore().iter(items, context=sf.Context(vault=small_vault()))) == [
        "a",
        Mark(name=1),
        "<E_1>",
        Mark(name=2),
        Mark(name=3),
        "b",
    ]


@pytest.mark.parametrize("stage", [sf.Restore(), PRIVATE, sf.MapText(str) | sf.Restore(), through | PRIVATE], ids=str)
def test_without_a_vault_nothing_starts(stage: Any) -> None:
    """The error comes before anything is read, and says what to write."""
    hint = r"needs a vault: start it with context=sf\.Context\(vault=sf\.Vault\(\)\)"
    source = ScriptedSource(["a"])
    for context in (None, sf.Context(tags={"a": 1})):
        with pytest.raises(ValueError, match=hint):
            stage(source, context=context)
        with pytest.raises(ValueError, match=hint):
            asyncio.run(stage.aapply("", context=context))
    assert source.given == 0
    wrapped = openai.chat.wrap(sf.MapText(str) | sf.Restore() | PRIVATE)  # built without one
    with pytest.raises(ValueError, match=hint):
        wrapped.iter([])
    with pytest.raises(ValueError, match=hint):
        PRIVATE.machine().feed("a")
    assert sf.Restore().start(private())


def test_every_way_to_start_takes_the_context() -> None:
    """Called, iterated, applied, wrapped."""
    context = private()
    assert PRIVATE.apply("joe@example.com", context=context) == "<EMAIL_1>"
    assert asyncio.run(PRIVATE.aapply("joe@example.com", context=context)) == "<EMAIL_1>"
    assert list(sf.Restore().iter(["<EMAIL", "_1>"], context=context)) == ["joe@example.com"]

    async def read() -> list[str]:
        async with (through | sf.Restore())(ScriptedSource(["<EMAIL", "_1>"]), context=context) as stream:
            return [item async for item in stream]

    assert asyncio.run(read()) == ["joe@example.com"]
    chunks: list[Any] = [
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} for text in ("Hi <EM", "AIL_1", ">!")
    ]
    out = openai.chat.wrap(sf.Restore()).iter(chunks, context=context)
    assert (
        "".join(chunk["choices"][0]["delta"]["content"] for chunk in out if chunk["choices"][0]["delta"]) == "Hi joe@example.com!"
    )


def test_the_whole_example_prints_what_its_page_says() -> None:
    """The output shown under the program is its output."""
    page = (Path(__file__).resolve().parent.parent / "docs" / "reversible.md").read_text()
    code = next(code for code in regex.findall(r"(?ms)^```python\n(.*?)^```$", page) if "asyncio.run" in code)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "reversible.md", "exec", dont_inherit=True), {"__name__": "documentation"})
    assert f"```text\n{printed.getvalue()}```" in page
