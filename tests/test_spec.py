"""Declared pipelines: what is written is read again, the schema says what is read, and what is wrong is named with its place."""

from __future__ import annotations

import pkgutil
import random
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamfilter as sf
from streamfilter import detectors, providers
from streamfilter.moderation import checks as ready
from streamfilter.spec.stages import all_stages

jsonschema = pytest.importorskip("jsonschema")
pytest.importorskip("tomli_w")
pytest.importorskip("yaml")


async def allowed(window: sf.Window) -> bool:
    return True


def lenient(window: sf.Window) -> bool:
    return True


def loud(match: sf.Match) -> str:
    return "!"


def first(text: str) -> int | None:
    return 3 if len(text) > 3 else None


class Client:
    class moderations:  # noqa: N801  # a client's attribute
        @staticmethod
        def create(**_: object) -> object: ...


class Found(sf.Event):
    """An event of the user's."""


OBJECTS: dict[str, object] = {
    "mod": allowed,
    "lenient": lenient,
    "loud": loud,
    "first": first,
    "client": Client(),
    "ping": "ping",
    "found": Found,
    "noted": print,
}
ENV = {"SALT": "0123456789abcdef", "OTHER": "fedcba9876543210"}
KNOWN: dict[str, Any] = {"objects": OBJECTS, "env": ENV}
IMPORTS = ["builtins:str.upper", "decimal:Decimal", "builtins:dict"]


def of(cls: Any, *args: Any, **named: Any) -> Any:
    """A strategy of what is built of these alone: `builds` would add what it takes from annotations."""
    return st.builds(lambda *args, **named: cls(*args, **named), *args, **named)  # noqa: PLW0108  # which hides the annotations


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
sizes = st.integers(1, 10**6)
flags = st.booleans()
seconds = st.floats(0.001, 1e6) | st.integers(1, 99)
kinds = st.sampled_from([None, ("answer",), ("reasoning", "answer"), ("tool_arguments",), ("notes",)])
segmentations = st.one_of(
    of(sf.by_sentence, max_chars=sizes, max_wait=st.none() | st.just(0.5)),
    of(sf.by_sentence, abbreviations=st.just(("Dr", "no"))),
    of(sf.by_paragraph, max_chars=sizes),
    of(sf.by_line),
    of(sf.by_words, sizes),
    of(sf.by_words, st.just(3), max_chars=sizes),
    of(sf.by_chars, sizes, max_wait=st.none() | st.just(2.0)),
    of(sf.whole),
    of(sf.cumulative, st.just(sf.by_sentence(max_wait=1.5))),
    of(sf.cumulative, sizes),
)
patterns = st.sampled_from([r"\d+", "a|b", r"(?i)x\b", "(a)(b)?", '"""', "'''\\\\", "é\n"])
bits = st.sets(st.sampled_from([2, 8, 16, 64])).map(sum)
rules = st.one_of(
    st.sampled_from([*detectors.PII, *detectors.SECRETS, detectors.AWS_ACCESS_KEY, detectors.URL]),
    of(sf.Rule, texts, patterns, flags=bits, timeout=seconds),
    st.builds(lambda pattern: sf.Rule("redacted", pattern), patterns),
    of(sf.Rule, texts, st.just(r"\d{12,19}"), check=st.sampled_from([detectors.luhn, detectors.mod97, loud])),
    st.just(sf.Rule("listed", r"\L<names>", lists=(("names", ("a", "b")),))),
    of(sf.Rule, st.just("email"), patterns),  # no rule of the catalogue, though it is called so
    of(
        sf.Terms,
        st.lists(st.sampled_from(["Ann", "straße", "x y"]), min_size=1),
        texts,
        flags,
        flags,
        st.sampled_from([None, "nfkc"]),
    ),
)
several = st.lists(rules, min_size=1, max_size=4, unique_by=lambda rule: rule.name)
replacements = st.one_of(
    texts.map(lambda text: text.replace("{", "").replace("}", "")),
    st.just("[{rule}]"),
    of(sf.Mask, keep_last=st.integers(0, 9), char=texts.map(lambda text: text[0])),
    of(sf.Hash, st.sampled_from([*ENV.values()]), chars=st.integers(8, 64)),
    st.just(loud),
)
at_most = st.fixed_dictionaries({}, optional={"max_hold": sizes, "overflow": st.sampled_from(["release", "raise"])})
judges = st.one_of(
    st.just(allowed),
    of(ready.threshold, st.just(loud), at=st.floats(-9, 9), rule=texts),
    of(ready.classifier, st.just(loud), refuse=st.lists(texts, min_size=1)),
    of(ready.openai_moderation, st.just(OBJECTS["client"]), thresholds=st.none() | st.just({"violence": 0.5, "self_harm": 1})),
    of(ready.llm_judge, st.just(loud), policy=st.just("Be kind.")),
    st.just(ready.all_of(allowed, ready.any_of(lenient, allowed))),
)
json_options = st.fixed_dictionaries(
    {},
    optional={
        "strict": flags,
        "truncated": st.sampled_from(["raise", "partial"]),
        "max_depth": sizes,
        "max_string": sizes,
        "parse_float": st.just(str.upper),
        "duplicates": st.sampled_from(["last", "raise"]),
        "channel": texts,
    },
)
paths = st.sampled_from(["$.a", "$..b[*]", "$['x y'][0]"])


def modules_of(package: ModuleType) -> list[str]:
    """The names of all modules in a package, below its own."""
    start = len(package.__name__) + 1
    return [found.name[start:] for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]


def formatted(name: str) -> str | None:
    """The name of a module of a provider's format, which has a `wrap` of its own."""
    try:
        found = getattr(import_module(f"streamfilter.providers.{name}"), "wrap", None)
    except ModuleNotFoundError:  # what guards a framework's models needs the framework; formats need nothing
        return None
    return name if getattr(found, "__module__", "") == f"streamfilter.providers.{name}" and name != "detecting" else None


def made(cls: Any, *args: Any, **named: Any) -> Any:
    """A strategy for a stage; a mapping of options may be drawn as the last argument."""

    def build(args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        options = named.pop("options", {})
        return cls(*args, **named, **options)

    return st.builds(
        build,
        st.tuples(*args),
        st.fixed_dictionaries({}, optional=named) if "options" not in named else st.fixed_dictionaries(named),
    )


def variadic(cls: Any, items: Any, **named: Any) -> Any:
    return st.builds(lambda items, named: cls(*items, **named), items, st.fixed_dictionaries({}, optional=named))


STAGES: dict[str, Any] = {
    "block": variadic(sf.Block, several, max_hold=sizes, channels=kinds) | st.just(sf.Block("x", action="stop", message="no")),
    "buffer": made(sf.Buffer, sizes),
    "chunks": made(sf.Chunks, sizes, channels=kinds),
    "citations": variadic(sf.Citations, several, keep=flags, channels=kinds),
    "coalesce": made(sf.Coalesce, seconds, max_chars=sizes, channels=kinds),
    "code_fences": made(sf.CodeFences, to=st.sampled_from(["events", "code"]), max_line=st.integers(3, 99)),
    "collapse": made(sf.Collapse, st.sampled_from([" ", "", "_"]), lines=flags),
    "collect": made(
        sf.Collect, st.just(print), max_chars=sizes, overflow=st.sampled_from(["cut", "raise"]), channels=st.just(("reasoning",))
    ),
    "drop": variadic(sf.Drop, st.lists(texts, min_size=1)),
    "extract": variadic(
        sf.Extract,
        st.lists(st.sampled_from(["think", "a", ("<<", ">>")]), min_size=1, unique=True),
        to=st.sampled_from(["drop", "notes", Found]),
        strip=flags,
    ),
    "filter_json": made(
        sf.FilterJSON, st.deferred(lambda: texts_through), at=st.none() | st.lists(paths, min_size=1).map(tuple), keys=flags
    ),
    "graphemes": made(sf.Graphemes, max_chars=sizes),
    "json_events": made(sf.JSONEvents, options=json_options),
    "json_items": made(sf.JSONItems, paths, options=json_options),
    "json_text": made(sf.JSONText, paths, options=json_options),
    "keep_alive": made(sf.KeepAlive, seconds, st.just("ping")),
    "limit": of(sf.Limit, max_chars=st.integers(6, 999), at=st.sampled_from(["word", "char"]), suffix=texts),
    "lines": made(sf.Lines, max_chars=sizes, channels=kinds),
    "links": st.builds(
        lambda hosts, to: sf.Links(allow=hosts, to=to),
        st.lists(st.sampled_from(["example.com", "*.example.org"])),
        st.sampled_from(["[gone]", "[link]", "x"]),
    ),
    "map_text": made(sf.MapText, st.sampled_from([str.upper, loud]), channels=kinds),
    "markdown": made(sf.Markdown, max_hold=sizes),
    "moderate": made(
        sf.Moderate,
        judges,
        window=segmentations,
        timeout=st.none() | seconds,
        retries=st.integers(0, 3),
        channels=kinds,
        mode=st.sampled_from(["hold", "shadow"]),
    ),
    "normalize": made(sf.Normalize, st.sampled_from(["NFC", "NFKD"]), max_marks=sizes),
    "pace": of(sf.Pace, chars_per_second=seconds, max_lag=seconds, by=st.sampled_from(["line", "chunk"])),
    "paragraphs": made(sf.Paragraphs, max_chars=sizes),
    "parse_json": made(sf.ParseJSON, st.none(), options=json_options) | made(sf.ParseJSON, st.just(dict), strict=flags, live=flags),
    "pipeline": st.deferred(lambda: pipelines).map(sf.Pipeline),
    "redact": variadic(sf.Redact, several, to=replacements, channels=kinds) | st.just(sf.Redact("a", to=sf.Placeholder())),
    "repetition": made(sf.Repetition, max_repeats=st.integers(3, 99), channels=kinds),
    "replace": made(
        sf.Replace, rules, st.sampled_from(["x", "", r"\\0"]) | st.just(loud), count=st.integers(0, 3), options=at_most
    ),
    "restore": of(sf.Restore, channels=kinds),
    "segments": of(sf.Segments, segmentations.filter(lambda how: how.by != "cumulative" and how.max_wait is None))
    | st.just(sf.Segments(first, at_end=first)),
    "sentences": made(sf.Sentences, st.sampled_from([None, "de", "en"])),
    "stop_at": variadic(sf.StopAt, st.lists(texts, min_size=1), include=flags, channels=kinds),
    "strip": made(sf.Strip, st.none() | texts, left=st.just(False), max_hold=sizes),
    "strip_ansi": made(sf.StripANSI, max_string=sizes, overflow=st.just("raise")),
    "tap": made(sf.Tap, st.just(print)),
    "timeout": of(sf.Timeout, first=seconds, between=st.none() | seconds, total=st.none() | seconds),
    "tool_calls": made(sf.ToolCalls, models=st.just({"search": dict})),
    "translate": st.one_of(
        st.dictionaries(st.characters(exclude_categories=["Cs"]), st.none() | texts | st.integers(0, 0x10FFFF)).map(sf.Translate),
        st.dictionaries(st.integers(0, 0x10FFFF), st.none() | texts | st.integers(0, 0x10FFFF)).map(sf.Translate),
    ),
    "unicode": made(sf.Unicode, st.just("strict"), action=st.just("raise")) | st.just(sf.Unicode(categories=("bidi", "tags"))),
    "words": made(sf.Words, max_chars=sizes),
    "wrap": made(sf.wrap, st.deferred(lambda: texts_through), max_aggregate=sizes),
}
FORMATS = [form for form in map(formatted, modules_of(providers)) if form is not None]
for form in FORMATS:
    of_format = import_module(f"streamfilter.providers.{form}")
    STAGES[f"{form}.wrap"] = made(of_format.wrap, st.deferred(lambda: texts_through), max_aggregate=sizes)
    STAGES[f"{form}.decode"] = made(of_format.Decode)
    if hasattr(of_format, "Encode"):
        STAGES[f"{form}.encode"] = made(of_format.Encode, model=texts, as_bytes=flags, max_aggregate=sizes)
"""By the name of each stage, values of it."""


@st.composite
def any_stage(draw: st.DrawFn, names: tuple[str, ...]) -> Any:
    """A value of one of some stages. The strategies together have a repr of 70 KB, this has none of them."""
    return draw(STAGES[draw(st.sampled_from(names))])


WHOLE = (
    "redact",
    "replace",
    "stop_at",
    "links",
    "map_text",
    "collapse",
    "restore",
    "unicode",
    "strip_ansi",
    "block",
    "markdown",
    "translate",
)
texts_through: Any = st.lists(any_stage(WHOLE), max_size=3).map(
    lambda stages: stages[0] if len(stages) == 1 else sf.Pipeline(*stages)
)
GIVE_OTHERS = {"parse_json", "json_items", "json_events", "tool_calls", "pipeline", "wrap"} | {
    name for name in STAGES if "." in name
}
pipelines: Any = st.lists(any_stage(tuple(sorted(STAGES.keys() - GIVE_OTHERS))), max_size=3).map(
    lambda stages: sf.Pipeline(*stages)
)


VALIDATOR = jsonschema.Draft202012Validator(sf.json_schema(objects=OBJECTS, allow_imports=IMPORTS))
"""By a schema that knows what `load` is given here."""


def again(stage: Any) -> Any:
    """What is read of what is written."""
    return sf.load(sf.dump(stage, **KNOWN), allow_imports=IMPORTS, **KNOWN)


def test_every_public_stage_is_declarable() -> None:
    """The table here names each stage of `__all__` once, and those of each provider's format; there are no others."""
    values = [getattr(sf, name) for name in sf.__all__]
    for form in FORMATS:
        module = import_module(f"streamfilter.providers.{form}")
        values += [getattr(module, name) for name in module.__all__]
    public = {value for value in values if isinstance(value, type) and issubclass(value, sf.Stage)}
    assert set(all_stages().values()) == public - {sf.Stage, sf.TextStage}
    assert set(STAGES) == set(all_stages())


@pytest.mark.parametrize("name", sorted(STAGES))
def test_what_is_written_is_read_again(name: str) -> None:
    """`load(dump(p)) == p` for every stage with values of all its fields, also by way of TOML, JSON and YAML; the schema accepts it."""
    validator = jsonschema.Draft202012Validator(sf.json_schema(objects=OBJECTS, allow_imports=IMPORTS))

    @given(STAGES[name], st.randoms())
    @settings(max_examples=5 if "." in name else 15)  # those of providers are alike
    def check(stage: Any, chance: random.Random) -> None:
        assert again(stage) == stage
        document = sf.dump(stage, **KNOWN)
        validator.validate(document)
        form = chance.choice(["toml", "json", "yaml"])
        assert sf.load(written(document, form), allow_imports=IMPORTS, **KNOWN) == stage

    check()


FOLDER: list[Path] = []


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    FOLDER[:] = [tmp_path]


def written(document: Any, form: str) -> Path:
    """A file of a document, by the writer of this library."""
    from streamfilter.spec.texts import written as text_of

    path = FOLDER[0] / f"declared.{form}"
    path.write_bytes(text_of(document, form).encode())  # type: ignore[arg-type]
    return path


@given(pipelines)
@settings(max_examples=30)
def test_pipelines_are_read_again(pipeline: Any) -> None:
    """Of no, one or several stages; and a pipeline of one is told from that one."""
    assert again(pipeline) == pipeline
    assert type(again(pipeline)) is type(pipeline)
    document = sf.dump(pipeline, **KNOWN)
    VALIDATOR.validate(document)
    for form in ("toml", "json", "yaml"):
        assert sf.load(written(document, form), allow_imports=IMPORTS, **KNOWN) == pipeline
