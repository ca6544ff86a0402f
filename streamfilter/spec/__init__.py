"""Declared pipelines: `load` reads what `dump` writes, and `json_schema` says what that is.

The stages' own dataclasses are the one definition. From the annotation of each field a form is made, which reads it, writes it
and says its schema (`making`, `forms`); TOML, JSON and YAML are the business of `texts`, and what may be referred to of `scope`.
"""

from streamfilter.spec.declaring import dump, dump_text, json_schema, load, load_all
from streamfilter.spec.watching import Watched, watch

__all__ = ["Watched", "dump", "dump_text", "json_schema", "load", "load_all", "watch"]
