"""Templates: texts that stand in for a match, in which `{rule}` names what was found. Who fills them in is not known here."""

from __future__ import annotations

from string import Formatter


def check_template(argument: str, template: str) -> None:
    """Refuse a template with a field that nobody fills in.

    Raises:
        ValueError: it has one, or is none.

    Example:
        >>> check_template("to", "[{rule}]")
        >>> check_template("to", "[{name}]")
        Traceback (most recent call last):
        ValueError: to has a field {name}: only {rule} is known; write {{ and }} for braces
    """
    try:
        fields = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{argument} is no valid template: {error}; write {{{{ and }}}} for braces") from None
    for _, name, spec, conversion in fields:
        if name is not None and (name != "rule" or spec or conversion):
            field = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise ValueError(f"{argument} has a field {{{field}}}: only {{rule}} is known; write {{{{ and }}}} for braces")
