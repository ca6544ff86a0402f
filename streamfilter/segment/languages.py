"""What differs from language to language where sentences end: abbreviations, words that begin one, numbers with a full stop.

Each list was written by hand from common use. A word is in it only if a full stop behind it practically never ends a sentence: a
boundary that is missed makes one sentence of two. Lists are data; what is done with them is the finders' business.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Language: TypeAlias = Literal["ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "nl", "pt", "ur", "zh"]
"""ISO 639-1 codes of the languages whose abbreviations are known. Chinese, Japanese and Korean text has the English ones."""

ABBREVIATIONS = (
    *("Mr", "Mrs", "Ms", "Messrs", "Mme", "Mlle", "Dr", "Drs", "Prof", "Rev", "Hon", "St", "Mt"),
    *("Gen", "Col", "Maj", "Capt", "Cmdr", "Lt", "Sgt", "Sen", "Rep", "Gov", "Pres", "Supt"),
    *("e.g", "i.e", "cf", "viz", "vs", "ca", "approx", "resp"),
    *("Fig", "Figs", "Eq", "Eqs", "Ch", "Vol", "pp"),
)
"""Words with a full stop that practically never end an English sentence: something that begins with a capital belongs to them. The
idea is that of the suppressions in Unicode's CLDR (`common/segments/en.xml`), which list far more. Those that end a sentence as
often ("etc", "Inc", "Jr", "a.m", "U.S", "No") are left out: a boundary that is missed makes a segment longer than all others."""


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split("|"))


_WORDS: dict[str, tuple[str, ...]] = {
    "en": ABBREVIATIONS
    + _listed(
        "E.g|I.e|Cf|Ca|Approx|Adm|Brig|Cpl|Pvt|Atty|Hr|Fr|Sr|Br|Bros|Ft|fig|figs|eq|eqs|et al|al|Univ|incl|excl|esp|cont|dept|"
        "Dept|repr|transl"
    ),
    "de": _listed(
        "Dr|Prof|Hr|Hrn|Fr|Frl|Dipl|Ing|Mag|St|Str|Nr|Nrn|Abs|Art|Abb|Tab|Kap|z.B|Z.B|z. B|Z. B|d.h|D.h|d. h|D. h|u.a|U.a|"
        "u. a|o.ä|o. ä|s.o|s.u|v.a|i.d.R|i. d. R|z.T|z. T|zzgl|zz|bzw|bzgl|ca|Ca|vgl|Vgl|evtl|Evtl|ggf|Ggf|inkl|exkl|sog|insb|"
        "insbes|geb|gest|gem|lt|max|min|mind|Mio|Mrd|Tel|Bd|Hrsg|Aufl|Jh|Jhd|v. Chr|n. Chr|usf|entspr|allg|ehem|einschl|verh|"
        "röm|griech|lat"
    ),
    "fr": _listed(
        "M|MM|Mme|Mmes|Mlle|Mlles|Me|Mgr|Dr|Pr|St|Ste|av|bd|boul|art|chap|fig|env|cf|Cf|p. ex|p.ex|P. ex|c.-à-d|c-à-d|vol|éd|"
        "tél|Tél|réf|dép|av. J.-C|ap. J.-C"
    ),
    "es": _listed(
        "EE|FF|JJ|Sr|Sra|Srta|Sres|Sras|D|Dª|Dña|Dr|Dra|Prof|Lic|Ing|Arq|Ud|Uds|Vd|Vds|p. ej|p.ej|P. ej|Av|Avda|art|arts|cap|fig|"
        "núm|"
        "pág|págs|tel|Tel|aprox|Gral|Sto|Sta|a. C|d. C|a.C|d.C|Excmo|Excma|cf|vol"
    ),
    "it": _listed(
        "Sig|Sigg|Sig.ra|Sig.na|sig|sig.ra|Dott|Dott.ssa|dott|dott.ssa|Prof|Prof.ssa|prof|prof.ssa|Avv|avv|Ing|ing|Arch|Geom|"
        "Rag|On|Mons|art|artt|cap|fig|pag|pagg|tel|Tel|p. es|p.es|ad es|Ad es|es|cfr|Cfr|ca|vol|a.C|d.C|S"
    ),
    "pt": _listed(
        "Sr|Sra|Srs|Sras|Srta|D|Dr|Dra|Drs|Prof|Profa|Eng|Exmo|Exma|Av|Tel|tel|p. ex|p.ex|P. ex|art|arts|cap|fig|núm|pág|págs|"
        "aprox|Gen|Cel|Cap|a.C|d.C|vol"
    ),
    "nl": _listed(
        "dhr|Dhr|mw|Mw|mevr|Mevr|dr|Dr|drs|Drs|ir|Ir|ing|Ing|mr|Mr|prof|Prof|bijv|Bijv|bv|Bv|d.w.z|D.w.z|m.a.w|o.a|O.a|nl|ca|"
        "Ca|incl|excl|resp|evt|t.a.v|vgl|Vgl|blz|afb|art|hfst|tel|Tel|z.g|zgn|t.o.v|i.v.m|m.b.t|St|v.Chr|n.Chr"
    ),
    "ar": _listed("د|أ|م|ص|ج|ت|ق.م|أ.د|ا.د"),
    "ur": _listed("ڈاکٹر|پروفیسر|ص|ج"),
    "hi": _listed("डॉ|श्री|श्रीमती|प्रो|पं|कु|सं|पृ"),
}
_SAME = {"ja": "en", "ko": "en", "zh": "en"}

_ELSEWHERE = frozenset(_listed("D|M|S|Me|On|Art|Arch|Cap|Mag|Tab|es|nl|ir|art|cap|min|max|lat|mind|gem|sig|م|ت|ص|ج"))
"""Words with another meaning in another of these languages, where they may well end a sentence: for who names the language."""


def abbreviations(language: Language | None = None) -> tuple[str, ...]:
    """The abbreviations of a language, for `by_sentence(abbreviations=…)`; without one, all of them that are no words in another.

    Raises:
        ValueError: the language is not among those that are known.

    Example:
        >>> from streamfilter.segment import abbreviations, by_sentence
        >>> by_sentence(abbreviations=abbreviations("de")).start().feed("Nr. 5 Abs. 2 gilt. Ja.")
        [19]
    """
    if language is None:
        return tuple(dict.fromkeys(word for words in _WORDS.values() for word in words if word not in _ELSEWHERE))
    words = _WORDS.get(_SAME.get(language, language))
    if words is None:
        raise ValueError(f"language is {language!r}: one of {', '.join(sorted([*_WORDS, *_SAME]))} is needed, or None")
    return tuple(dict.fromkeys(words))


BEFORE_NUMBERS = frozenset(
    _listed(
        "No|no|Nos|nos|Nr|nr|Art|art|Sec|sec|Sect|Vol|vol|Ch|ch|Chap|chap|Fig|fig|pp|ver|Ver|Eq|eq|Abs|Abb|Tab|Kap|Bd|"
        "núm|Núm|pág|pag|cap|blz|col|Rs|Tel|tel|Ext|ext|Pt|pt|Op|op|Ps|Cor|Gen|Ex|Mt|Mk|Lk|Jn"
    )
)
"""Words whose full stop ends no sentence where a number follows, in any language: "No. 5 The" is one, "No. It" is two. So do all
single letters: "p. 5"."""

STARTERS = frozenset(
    _listed(
        "The|This|That|These|Those|There|Then|They|He|She|It|We|You|I|A|An|And|But|Or|So|If|In|On|At|For|When|While|Where|"
        "What|Who|Why|How|Thus|However|Also|As|After|Although|Before|By|To|With|My|His|Her|Its|Our|Your|Their|Not|Yes|Here|"
        "Some|Many|Most|Both|Each|All|Because|Since|Let|Please|Now|Once|Until|Instead|Another|Every|Is|Are|Der|Die|Das|Er|Sie|"
        "Es|Wir|Ihr|Ich|Ein|Eine|Und|Aber|Oder|Wenn|Dann|Diese|Dieser|Dieses|Im|Am|Auf|Mit|Nach|Bei|Für|Auch|Man|Dort|Hier|Da|"
        "Als|Danach|Heute|Seine|Les|Une|Il|Elle|Ils|Elles|Nous|Vous|Ce|Cette|Ces|Et|Mais|Dans|Pour|Puis|Je|Los|Las|Una|Ella|"
        "Ellos|Pero|Esto|Esta|Este|Está|Se|Después|Cuando|También|Como|Y|Gli|Lui|Lei|Ma|Questo|Questa|È|Poi|Anche|Os|Uma|Ele|"
        "Ela|Eles|Mas|Isto|Depois|Quando|Het|Een|Hij|Zij|Wij|Maar|Dit|Dat|Deze|Ik|Daarna|Ook|Toen|See"
    )
)
"""Words that begin a sentence behind an initial or letters with full stops ("the U.S. The"), where any other capital goes on with a
name. Those that are parts of names ("La", "De", "El", "Van") are left out."""

ORDINALS = frozenset(
    _listed(
        "Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember|Jahrhundert|Jahrhunderts|"
        "Jahrtausend|Weltkrieg|Weltkriegs|Geburtstag|Jahrestag|Platz|Stock|Klasse|Auflage|Kapitel|Absatz|Tag|Mal|Semester|"
        "Quartal|Lebensjahr|Bundesliga|Spieltag|Etage"
    )
)
"""Words that a German number with a full stop belongs to: "am 3. Mai"."""
