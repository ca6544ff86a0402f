"""Rules for keys that a service gives out with a prefix of its own. What each finds is written once; `API_KEY` is all of them."""

from __future__ import annotations

from streamfilter.matching import Rule

_EDGE = "(?<![A-Za-z0-9])"
"""Keys stand behind anything but letters and digits: `desk-…` has no `sk-…` in it."""

_HAS_DIGIT = "(?=[A-Za-z_-]*[0-9])"
"""Words joined by hyphens have no digit; keys of this length nearly always have."""

_AWS = r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"
_GOOGLE = r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])|GOCSPX-[A-Za-z0-9_-]{28}(?![A-Za-z0-9_-])|ya29\.[A-Za-z0-9_-]{20,}"
_GITHUB = r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"
_GITLAB = (
    r"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|ffct|oas|wt)-[A-Za-z0-9_-]{20,}(?:\.[0-9a-z]{2,9}){0,2}"
    r"|GR1348941[A-Za-z0-9_-]{20,}"
)
_SLACK = (
    r"(?:xox[a-eoprs]|xoxe\.xox[bp]|xapp|xwfp)-[A-Za-z0-9-]{10,}"
    r"|(?:https://)?hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/]{20,}"
)
_STRIPE = r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{24,}={0,2}"
_HUGGING_FACE = r"(?:hf|api_org)_[A-Za-z0-9]{30,}"
_SK = rf"{_HAS_DIGIT}[A-Za-z0-9_-]{{20,}}"

AWS_ACCESS_KEY = Rule("aws_access_key", _EDGE + _AWS)
"""An access key id of Amazon Web Services: `AKIA` (a user), `ASIA` (temporary), `ABIA`, `ACCA`, and 16 more (AWS IAM User Guide,
"Unique identifiers"). Its secret is `AWS_SECRET_KEY`. Mistaken for one: other words of 20 capitals and digits that begin so."""

GOOGLE_API_KEY = Rule("google_api_key", f"{_EDGE}(?:{_GOOGLE})")
"""A key of Google: an API key (`AIza` and 35 more), the secret of an OAuth client (`GOCSPX-` and 28 more), an access token
(`ya29.`) (Google Cloud, "Authenticate by using API keys"; the client secrets and tokens that its console and OAuth server give
out). Nothing else is known to look so."""

GITHUB_TOKEN = Rule("github_token", f"{_EDGE}(?:{_GITHUB})")
"""A token of GitHub: `ghp_`, `gho_`, `ghu_`, `ghs_`, `ghr_`, or fine-grained, `github_pat_` (GitHub, "Behind GitHub's new
authentication token formats"). Its last six characters are a checksum, which is not asked: a token that the model has misspelt in
one place is still no text to show. Nothing else is known to look so."""

GITLAB_TOKEN = Rule("gitlab_token", f"{_EDGE}(?:{_GITLAB})")
"""A token of GitLab, by the prefix of its kind: `glpat-`, `gldt-`, `glrt-` and so on, with or without the parts that route it
(GitLab, "Token overview", "Token prefixes"). Not found: prefixes that an instance has chosen for itself."""

SLACK_TOKEN = Rule("slack_token", f"{_EDGE}(?:{_SLACK})")
"""A token of Slack: `xoxb-` (bot), `xoxp-` (user), `xapp-` (app) and so on, and the address of an incoming webhook, which is all
that one needs to post (Slack, "Tokens" and "Sending messages using incoming webhooks"). Nothing else is known to look so."""

STRIPE_KEY = Rule("stripe_key", f"{_EDGE}(?:{_STRIPE})")
"""A key of Stripe: secret (`sk_live_`), restricted (`rk_live_`), for tests or not, and the secret of a webhook (`whsec_`) (Stripe,
"API keys"). Publishable keys (`pk_`) are no secrets. Other services that follow the same convention are taken for it."""

OPENAI_KEY = Rule("openai_key", f"{_EDGE}sk-(?!ant-){_SK}")
"""A key of OpenAI: `sk-`, `sk-proj-`, `sk-svcacct-`, `sk-admin-`, and at least 20 more with a digit among them (as OpenAI's
console gives them out; the length has changed several times). Other services give out keys with `sk-` too, and are taken for
it."""

ANTHROPIC_KEY = Rule("anthropic_key", f"{_EDGE}sk-ant-{_SK}")
"""A key of Anthropic: `sk-ant-`, its kind, and at least 20 characters in all behind the prefix (as Anthropic's console gives them
out). Nothing else is known to look so."""

HUGGINGFACE_TOKEN = Rule("huggingface_token", f"{_EDGE}{_HUGGING_FACE}")
"""A token of Hugging Face: `hf_`, or `api_org_` for an organization, and 30 or more letters and digits (Hugging Face, "User access
tokens"). Nothing else is known to look so."""

_ALL = (f"sk-{_SK}", _AWS, _GOOGLE, _GITHUB, _GITLAB, _SLACK, _STRIPE, _HUGGING_FACE)

API_KEY = Rule("api_key", f"{_EDGE}(?:{'|'.join(_ALL)})")
"""A key of a well-known service, by its prefix: all of the above, under one name. Source: the services' own documentation of their
key formats. Keys without a prefix are not found; `HIGH_ENTROPY` finds them behind a label."""
