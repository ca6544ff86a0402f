"""Patterns and texts as data, for every engine: every construct that is known to be hard to stream, and what people write.

A text is to be matched whole, one character at a time and at random cuts, against `regex.sub`.
"""

from __future__ import annotations

import itertools

import regex

CASES: dict[str, list[str]] = {
    # an earlier match that may still grow, against a complete one further on
    "abcd|c": ["abc", "abcd", "xabcx", "ababcd"],
    "c|abcd": ["abc", "abcd"],
    "a|ab|abc": ["abc", "xab"],
    "abc|ab|a": ["abc", "abx", "ax", "aabab"],
    "(?:ab|a)(?:bc|c)?": ["abc", "abbc", "ac", "ab"],
    # word boundaries and their kin
    r"\bcat\b": ["cat", "a cat.", "concat cats", "cat cat"],
    r"\Bat\B": ["at", "cats", "at s"],
    r"\bab\B": ["abc ab", "ab"],
    r"\mab": ["ab cab", "ab"],
    r"ab\M": ["ab abc", "ab"],
    r"\b": ["ab cd", "", " a "],
    # the ends of text and lines
    "ab$": ["ab", "ab\n", "ab\n\n", "ab\nab"],
    "$": ["ab", "ab\n", "\n\n", ""],
    "(?m)ab$": ["ab", "ab\nab\n", "ab\n\n"],
    "(?m)$": ["a\nb\n", ""],
    "(?m)^a": ["a\na\nba", "\na"],
    "^a": ["aa", "\na", "ba"],
    r"\Aa": ["aa", "ba"],
    r"ab\Z": ["ab", "ab\n", "abab"],
    r"\n$": ["a\n", "\n\n"],
    # grapheme clusters and line breaks
    r"\X": ["e\u0301a", "\U0001f468\u200d\U0001f469\u200d\U0001f467!", "\U0001f1e9\U0001f1ea\U0001f1eb", "a\r\nb"],
    r"a\X": ["ae\u0301\u0302x", "a"],
    r"\R": ["a\r\nb\rc\n", "\r", "\u2028\x85"],
    r"a\R+b": ["a\r\n\nb", "a\r"],
    # repeats of groups, before zero-width tails and in atomic groups
    "(?:ab)+": ["ababa", "abab", "xabx"],
    r"(?:ab)+(?=\b)": ["abab", "ababc abab "],
    "(?>(?:ab)+)c": ["ababc", "ababab"],
    "(?:ab)*": ["abab", "aab", "b"],
    "(?:ab){2,3}": ["ababababab", "ab"],
    "(?:a|bb)+c": ["abbac", "bbb", "abab"],
    "(?:a(?:bc)*)+d": ["abcbcad", "aabcd", "abc"],
    # lazy
    r"[ab]+?\b": ["abab ab", "ab"],
    r"[ab]+?(?!a)": ["abba", "aab"],
    r"[ab]{2,}?c?": ["abc", "ababc"],
    r"<b>[\s\S]*?</b>": ["<b>x</b>y</b>", "<b></b>", "<b>open"],
    "a.*?b": ["axxb ab", "a\nb", "axx"],
    "(?:ab)*?c": ["ababc", "abab"],
    # matches of nothing
    "a*": ["baac", "", "aa", "b"],
    "a*?": ["baac", "aa"],
    "(?=a)": ["aba", "b"],
    "x*|b": ["abxxb"],
    "|a": ["aa"],
    "a|": ["aba"],
    # lookaround
    "a(?=bc)": ["abc", "abab", "abd"],
    "a(?!bc)": ["abc", "ab", "abd", "a"],
    "(?<=ab|c)d": ["abd cd bd"],
    "(?<!a)b": ["ab bb b"],
    "(?<=a+)b": ["aaab b"],
    "(?<=^|,)a": ["a,a ba"],
    "a(?=b(?!c))": ["ab", "abc", "abd"],
    r"(?<=\d{3})x": ["123x12x"],
    # lookbehinds with repeats, which `regex` takes for open everywhere
    r"(?<=key[*]{0,3}:)([a-z])\1{3}=": ["x**:the text", "key**:aaaa= key:bbbb=", "key*:cc"],
    r"(?<=k[*]?:)(?>a+)b": ["k*:aab :aab k:ab"],
    # references, atomic, possessive, conditional
    r"(a|b)\1": ["aabbab", "a"],
    r"(?P<q>['\"]).*?(?P=q)": ['\'a"b\' "c"', "'open"],
    r"(?i)(ab)\1": ["abAB", "aba"],
    "(?>a|ab)c": ["abc ac"],
    "a++b": ["aaab", "aaa"],
    "[ab]*+c": ["abac", "abab"],
    "(a)?b(?(1)c|d)": ["abc bd abd"],
    "(?(?=a)ab|c)": ["abc", "ac"],
    "(?|(a)b|(c)d)x": ["abx cdx"],
    "(?P<n>ab?)(?&n)": ["abab", "aab"],
    "(?:(?&later))(?P<later>a|bc)": ["abc", "aa"],
    "(?(DEFINE)(?P<d>[ab]))(?&d)c": ["acbc", "c"],
    # classes, scripts, case
    "[^a-c]": ["abcd", "é"],
    "[]a]+": ["]a]"],
    "[[:alpha:]]+1": ["ab1 a", "é1"],
    r"\p{Lu}\p{Ll}+": ["Ada lovelace Éa"],
    r"(?V1)[a-z--[aeiou]]+": ["strength", "aeb"],
    r"(?V1)[\w&&[^\d]]+": ["ab12c"],
    # choices of negated characters, which `regex` takes together
    r"[^\n]|[^a]": ["ab\n"],
    r"x(?:[^\]]|(?s:[^\\]))|xc": ["x] x\\ xa"],
    "x[^a]|x(?:c|[^b])": ["xa xb xc"],
    "(?<![^a]|[^b])c": ["ac bc c"],
    "[^a]|([^b])": ["abc"],
    "(?:[^a]|(?>[^b]))c": ["ac bc"],
    "\"[^\"]*\"|'[^']*'": ["\"a' 'b\" c'd"],
    "(?i)straße": ["STRASSE straße STRAßE"],
    "(?i)İ": ["i̇ İ I"],
    "a(?i)b": ["ab aB Ab"],
    "(?i:a)b": ["Ab AB"],
    "(?i)a(?-i:b)": ["Ab AB"],
    "(?s).": ["a\n", "aab"],
    r"[\s\S]{2}": ["aab\n", "a"],
    r"[\s\S](?=a)|b": ["aab\na"],
    "(?-s:.)+": ["a\nb"],
    "(?x) a b # comment (\n c [ ]": ["abc ", "a b c"],
    r"(?a)\w+": ["aé"],
    r"(?a)\bkey\b": ["ékey"],
    r"\d+?px": ["Chapter 5 begins 12px"],
    r"<b>.*?</b>": ["<b> x\ny</b> <b>z</b>"],
    r"\[\w*?end\]": ["see [1] [end] [xend]"],
    r"a+?b": ["aac aab"],
    r"\b|(?x:a)": ["a bab"],
    r"(?i)[^a-z\s]\d": ["pass: X9 !9"],
    r"\s+$": ["a  b  ", "  \n"],
    # what is easily read as something else
    "[[:,]+x[a:]": ["[:,xa ,x: x,", "[x]:x"],
    r"a(?i)+b": ["aab aAB"],
    r"a(?#\)b)c": ["ac abc a)c"],
    r"\p]|\pa|\p{L|b": ["p] pa p{L b a"],
    # what people look for
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+": ["mail a.b+c@d-e.co.uk. or x@y", "@a.b a@b"],
    r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)": ["123-45-6789", "1123-45-67890", "123-45-678"],
    "sk-[a-z0-9]{5,}": ["sk-abcde12345 sk-abc", "sk-sk-abcdef"],
    r"\b(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}\b": ["127.0.0.1 256.1.1.1 1.2.3.4.5", "1.2.3."],
    r"eyJ[\w-]+\.[\w-]+\.[\w-]+": ["eyJab.cd.ef!", "eyJab.cd."],
    "-----BEGIN [A-Z ]+-----[^-]*-----END [A-Z ]+-----": ["-----BEGIN A KEY-----\nxx\n-----END A KEY-----.", "-----BEGIN"],
    r"(?i)password\s*[:=]\s*\S+": ["Password : hunter2 ok", "password="],
    ".*secret": ["a secret secret b", "a\nsecret", "secre"],
    "a(?:[^z]*b)?": ["accbccz", "acc", "ab"],
    r"\d+(?:,\d{3})*(?:\.\d+)?": ["1,234,567.89, 1,23", "12."],
    # awkward text
    "a.b": ["a\U0001f600b", "a\ud800b", "a\0b"],
    "\u0301+": ["e\u0301\u0301e"],
    r"\w+": ["naïve ﬁ ⅷ", "٣٤"],
}

REFUSED: dict[str, str] = {
    "(?R)": "recursion",
    "a(?R)?b": "recursion",
    "(?P<n>a(?&n)?b)": "recursion",
    "(a(?1)?b)": "recursion",
    "(?P<a>x(?&b)?)(?P<b>y(?&a)?)": "recursion",
    "(?fi)ss": "full case-folding",
    "(?V1i)ss": "full case-folding",
    "(?:ab){e<=1}": "fuzzy",
    "a{e}": "fuzzy",
    "(?:ab){i<=2,d<=1}": "fuzzy",
    "(?b)a|b": "BESTMATCH",
    "(?e)a": "ENHANCEMATCH",
    "(?p)a|ab": "POSIX",
    r"a\Kb": r"\\K",
    r"\Ga": r"\\G",
    "(?r)ab": "REVERSE",
    r"(?w)\ba": "WORD",
    "(?L)a": "LOCALE",
    r"(?a:\w)": "only for a whole pattern",
    r"x(?u)\w": "only for a whole pattern",
    "(" * 2000 + "a" + ")" * 2000: "nested too deeply",
    "a(*SKIP)b": "verbs",
    "(*FAIL)": "verbs",
    "(?<=^a+b)c": "no bound",
    r"(?<=(a+))b\1": "no bound",
    "(a": "not valid",
    "a**": "not valid",
    "[a": "not valid",
    r"\1": "not valid",
    "(?P=n)": "no group",
    r"(a|b\g<1>)+": "stands in",
    r"(?P<n>a|b\g<n>)+": "stands in",
    r"(?P<n>a)(?&m)": "invalid group",
    "(?P>m)a": "invalid group",
    "ab(?<=(a+))b": "at position 2",
}

PATTERNS_WITH_FLAGS: list[tuple[str, int, str]] = [
    ("ab", regex.IGNORECASE, "AB ab"),
    ("^a$", regex.MULTILINE, "a\na\nba"),
    ("a.b", regex.DOTALL, "a\nb"),
    ("a b # c", regex.VERBOSE, "ab a b"),
    (r"\w", regex.ASCII, "aé"),
    ("[a--b]", regex.VERSION1, "ab-"),
    ("[[:alpha:]]", regex.ASCII, "éa"),
    (r"\bkey\b", regex.ASCII, "ékey"),
    ("(?i)sk", regex.ASCII, "\u017f\u212a SK"),
    ("A.$", regex.IGNORECASE | regex.DOTALL | regex.MULTILINE, "a\n\nab"),
]


def all_cases() -> list[tuple[str, str]]:
    """Each pattern with each of its texts."""
    return list(itertools.chain.from_iterable(((pattern, text) for text in texts) for pattern, texts in CASES.items()))
