"""The configuration file of gitleaks 8: TOML to checked values, with the files that it extends.

Source: gitleaks 8.30, `config/config.go` and `config/rule.go`. Names of fields are read in small or capital letters, as there.
What the file says is kept here; what can be made of it is not this module's business.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError


class Table(BaseModel):
    """A table of the file; fields that are not known are kept, to be listed."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", strict=True, hide_input_in_errors=True)

    @property
    def unknown(self) -> list[str]:
        """The fields that gitleaks 8.30 does not have."""
        return list(self.model_extra or {})


def _condition(given: object) -> object:
    return {"&&": "and", "||": "or", "": "or"}.get(given.lower(), given.lower()) if isinstance(given, str) else given


class Allowed(Table):
    """An allow-list, of a rule or of all."""

    description: str = ""
    condition: Annotated[Literal["or", "and"], BeforeValidator(_condition)] = "or"
    commits: list[str] = []
    paths: list[str] = []
    regextarget: Literal["secret", "match", "line", ""] = ""
    regexes: list[str] = []
    stopwords: list[str] = []
    targetrules: list[str] = []


class Entry(Table):
    """A rule."""

    id: Annotated[str, Field(min_length=1)]
    description: str = ""
    regex: str = ""
    path: str = ""
    secretgroup: Annotated[int, Field(ge=0)] = 0
    entropy: Annotated[float, Field(ge=0)] = 0.0
    keywords: list[str] = []
    tags: list[str] = []
    allowlist: Allowed | None = None
    allowlists: list[Allowed] = []
    required: list[dict[str, Any]] = []
    skipreport: bool = False


class Extend(Table):
    """What the file is built on."""

    path: str = ""
    url: str = ""
    usedefault: bool = False
    disabledrules: list[str] = []


class Config(Table):
    """A file with what it extends; `extend` is then what could not be had."""

    title: str = ""
    description: str = ""
    minversion: str = ""
    extend: Extend = Extend()
    rules: list[Entry] = []
    allowlist: Allowed | None = None
    allowlists: list[Allowed] = []


def read(path: Path, default: Path | None, above: tuple[Path, ...] = ()) -> Config:
    """A configuration with what it extends put into it.

    Args:
        path: of the file.
        default: of the file that `useDefault` stands for.
        above: the files that extend this one.

    Raises:
        OSError: a file cannot be read.
        ValueError: it is not a configuration of gitleaks, or not a right one; the message says where, and what would be right.
    """
    if path.resolve() in above:
        raise ValueError(f"{path}: it extends itself: extend must not lead back to a file")
    config = _parsed(path)
    extend = config.extend
    if extend.path and extend.usedefault:
        raise ValueError(f"{path}: extend.path and extend.useDefault exclude each other: give one")
    base = path.parent / extend.path if extend.path else default if extend.usedefault else None
    if base is not None:
        config = _extended(config, read(base, default, (*above, path.resolve())))
    if not above:
        _check_rules(path, config)
    return config


def _parsed(path: Path) -> Config:
    try:
        data = _small(tomllib.loads(path.read_bytes().decode()))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}: a TOML file is needed") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not TOML: {error}") from None
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise ValueError(f"{path}: {_problem(data, error)}") from None
    seen: set[str] = set()
    for number, rule in enumerate(config.rules, 1):
        if rule.id in seen:
            raise ValueError(f"{path}: rule {rule.id!r}: rule {number} has the id of one before it: ids must differ")
        seen.add(rule.id)
        rule.allowlists = _of_both_forms(path, f"rule {rule.id!r}: ", rule.allowlist, rule.allowlists)
    config.allowlists = _of_both_forms(path, "", config.allowlist, config.allowlists)
    return config


def _small(value: Any) -> Any:
    """A document with the names of its fields in small letters."""
    if isinstance(value, dict):
        return {name.lower(): _small(inner) for name, inner in value.items()}
    return [_small(inner) for inner in value] if isinstance(value, list) else value


def _problem(data: Mapping[str, Any], error: ValidationError) -> str:
    """The first thing that is wrong, with the id of the rule that it is in."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = list(first["loc"])
    rule = ""
    if place[0] == "rules" and len(place) > 1 and isinstance(place[1], int):
        entry = data["rules"][place[1]]
        name = entry.get("id") if isinstance(entry, dict) else None
        rule = f"rule {name!r}: " if name else f"rule {place[1] + 1}: "
        place = place[2:]
    where = ".".join(map(str, place))
    return f"{rule}{where}: {first['msg']}" if where else f"{rule}{first['msg']}"


def _of_both_forms(path: Path, where: str, old: Allowed | None, new: list[Allowed]) -> list[Allowed]:
    """The allow-lists, however they were written: `[allowlist]`, or since 8.25 `[[allowlists]]`."""
    if old is not None and new:
        raise ValueError(f"{path}: {where}allowlist is the old form of allowlists: give one of them")
    lists = [old] if old is not None else new
    for each in lists:
        if not (each.commits or each.paths or each.regexes or each.stopwords or each.unknown):
            raise ValueError(f"{path}: {where}allowlists: one is empty: it needs commits, paths, regexes or stopwords")
    return lists


def _extended(config: Config, base: Config) -> Config:
    """A configuration with the rules of another put behind its own. A rule that is in both has what the nearer one says, and the
    keywords and allow-lists of both."""
    disabled = set(config.extend.disabledrules)
    inherited = {rule.id: rule for rule in base.rules if rule.id not in disabled}
    rules = [_merged(rule, inherited.pop(rule.id)) if rule.id in inherited else rule for rule in config.rules]
    missing = Extend(url=config.extend.url or base.extend.url, usedefault=base.extend.usedefault)
    everywhere = config.allowlists + base.allowlists
    return config.model_copy(update={"rules": [*rules, *inherited.values()], "allowlists": everywhere, "extend": missing})


def _merged(rule: Entry, base: Entry) -> Entry:
    return base.model_copy(
        update={
            "regex": rule.regex or base.regex,
            "path": rule.path or base.path,
            "entropy": rule.entropy or base.entropy,
            "secretgroup": rule.secretgroup or base.secretgroup,
            "keywords": base.keywords + rule.keywords,
            "allowlists": base.allowlists + rule.allowlists,
        }
    )


def _check_rules(path: Path, config: Config) -> None:
    incomplete = config.extend.usedefault or config.extend.url
    if not config.rules and not incomplete:
        raise ValueError(f"{path}: it has no rules: [[rules]] tables are needed, as in gitleaks 8")
    ids = {rule.id for rule in config.rules}
    for rule in config.rules:
        if not (rule.regex or rule.path or incomplete):
            raise ValueError(f"{path}: rule {rule.id!r}: it needs a regex or a path")
    for allowed in config.allowlists:
        for target in allowed.targetrules:
            if target not in ids and not incomplete:
                raise ValueError(f"{path}: allowlists: targetRules names {target!r}, and there is no such rule")
