"""Texts in which sentences are known: a table made by hand, and what models said in the recordings.

The table is of the kind that splitters are known by (abbreviations, initials, numbers, quotations, lists, marked up text, other
scripts); each case was written for this table, and decided by reading it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from recordings import body, shared

GOLDEN: dict[str | None, list[str]] = {
    "en": [
        "Hello there. |My name is Ada.",
        "What is it? |It is a boat! |Really.",
        "Mr. Brown met Mrs. Black and Dr. White. |They talked.",
        "Prof. Green teaches at St. Mary's. |He likes it.",
        "It costs $3.50 today. |Tomorrow it is $4.00.",
        "The value of pi is 3.14159. |The value of e is 2.71828.",
        "J. R. R. Tolkien wrote it. |He was English.",
        "It was written by T. S. Eliot in 1922. |Then came the rest.",
        "She lives in the U.S. Army base. |She likes it.",
        "He moved to the U.S. |The house is small.",
        "We met at 5 p.m. on Monday. |It rained.",
        "We left at 5 p.m. |The train was late.",
        "Fruit, e.g. apples, and nuts, i.e. almonds, are fine. |Eat them.",
        "Use tools (e.g. Git, Make, etc.) with care. |They bite.",
        "He paid Apple Inc. for it. |So did I.",
        "She works at Apple Inc. |The company is large.",
        'He said "Go." |Then he left.',
        '"Where are you?" she asked. |"Here!" he cried.',
        "“Are you sure?” she asked. |“I am.”",
        "He asked, 'Is it done?' and left. |Nobody answered.",
        'She shouted, "Stop!" |He did not.',
        "(This is a note.) |This is not.",
        "It works (mostly!). |See below.",
        "Wait... what is that? |I see.",
        "I am not sure… |Maybe tomorrow.",
        "And then… nothing happened. |At all.",
        "Well... |It happened.",
        "See https://a.b/?q=1&r=2 for more. |It helps.",
        "Visit www.example.com. |Then call us.",
        "Write to ada@example.org. |She answers.",
        "Open file.txt and main.py. |Run it.",
        "Version 2.0.1 is out. |Update now.",
        "Python 3. |It is.",
        "1. First do this.\n|2. Then do that.\n|3. Stop.",
        "1. One. |It is small.\n|2. Two. |It is large.",
        "1.2. Scope. |It is wide.\n|1.3. Terms. |They are few.",
        "a. First.\n|b. Second.",
        "I. Beginnings\n|II. Ends",
        "IV. The war. |It was long.",
        "- One thing. |And more.\n|- Another.",
        "## 1. Introduction\n|\nThis is it. |Good.",
        "> 1. Quoted. |Yes.",
        "**Note!** |Read this. |Then go.",
        "It is **done.** |Next one.",
        "_Why?_ |Because it is so.",
        "This was shown before.[1] |Others disagree.[2] |So be it.",
        "This was shown before.[1][2] |Others disagree [3]. |So be it.",
        "Wow! |🎉 That is great.",
        "Done.🎉 |Next.",
        "No. |It is not.",
        "Look at No. 5 and No. 6. |They shine.",
        "See Fig. 3 and Eq. 2. |They agree.",
        "Smith et al. showed this in 2010. |It holds.",
        "See pp. 5-7 and vol. 2. |It is there.",
        "Yes. |No. |Maybe.",
        "Stop!!! |Now!",
        "What?! |No way.",
        "He is 6 ft. tall. |She is not.",
        "Dr. No is a film. |So is Goldfinger.",
        "The temperature is -3.5 °C. |It is cold.",
        "If a != b, stop. |If a == b, go on.",
        "Is x ? y : z clear? |Not to me.",
        "It was 16 °C. |Wind blew at 20 km/h. |We froze.",
        "The Lt. Col. and Gen. Lee met. |Nobody came.",
        "Plants (roses, lilies, vs. weeds) grow. |Water them.",
        "One line without a stop\n|Another line",
        "Title\n|\nText begins. |It goes on.",
        "Tea.  |Two blanks.",
        "He said: 'No.' |I left.",
        "It is 5:30 a.m. and dark. |I sleep.",
        "In 1999. |We were young.",
        "Call me, John D. Rockefeller. |Please.",
        "Answer B. |The others are wrong.",
        "Run `a.b()` and wait. |Done.",
        "I bought eggs; then milk. |And tea.",
        "Is this the end?… |No.",
    ],
    "de": [
        "Guten Tag. |Ich heiße Ada.",
        "Am 3. Mai kam Hr. Müller. |Er blieb.",
        "Das kostet 3,50 Euro. |Viel ist das nicht.",
        "Obst, z.B. Äpfel, ist gesund. |Nüsse auch.",
        "Obst, z. B. Birnen, ist gesund. |Nüsse auch.",
        "Das gilt d.h. für alle. |Wirklich.",
        "Siehe Nr. 5 und Abs. 2. |Dort steht es.",
        "Prof. Dr. Schmidt kam. |Er sprach.",
        "Im 19. Jahrhundert war das so. |Heute nicht.",
        "Er ist 30. |Sie ist 20.",
        "Das sind ca. 5 Mio. Euro. |Genug.",
        "Er rief: „Halt!“ |Dann ging er.",
        "„Warum?“, fragte sie. |Er schwieg.",
        "»Warum?«, fragte sie. |»Darum.«",
        "Ja! |»Nein«, sagte er.",
        "Das ist bzw. war so. |Ja.",
        "Der Zweite Weltkrieg endete 1945. |Dann war Frieden.",
    ],
    "fr": [
        "Bonjour. |Je m'appelle Ada.",
        "M. Dupont et Mme. Durand sont là. |Ils parlent.",
        "Pourquoi ? |Parce que c'est ainsi.",
        "« Pourquoi ? » demanda-t-il. |« Comme ça. »",
        "Il dit : « Non. » |Elle rit.",
        "Des fruits, p. ex. Golden ou Gala, sont bons. |Oui.",
        "Voir art. 5 et chap. 2. |C'est clair.",
        "Il est né av. J.-C. à Rome. |C'est vrai.",
        "Quoi !? |Non !",
    ],
    "es": [
        "Hola. |Me llamo Ada.",
        "El Sr. López y la Sra. Gil llegaron. |Hablaron.",
        "¿Qué es? |¡Es un barco! |Claro.",
        "Frutas, p. ej. manzanas, son buenas. |Sí.",
        "Véase la pág. 5 y el art. 3. |Está claro.",
        "La Dra. Ruiz vive en EE. UU. desde 1990. |Es feliz.",
        "«¿Por qué?», dijo. |Nadie habló.",
    ],
    "it": [
        "Ciao. |Mi chiamo Ada.",
        "Il Sig. Rossi e la Dott.ssa Bianchi sono qui. |Parlano.",
        "Vedi pag. 5 e art. 3. |È chiaro.",
        "Frutta, p. es. Mele, fa bene. |Sì.",
        "Perché? |Non so.",
    ],
    "pt": [
        "Olá. |Chamo-me Ada.",
        "O Sr. Silva e a Dra. Souza chegaram. |Falaram.",
        "Frutas, p. ex. Maçãs, fazem bem. |Sim.",
        "Veja a pág. 5. |Está claro.",
    ],
    "nl": [
        "Hallo. |Ik heet Ada.",
        "Dhr. Jansen en mevr. De Vries zijn er. |Ze praten.",
        "Fruit, bijv. Appels, is gezond. |Ja.",
        "Het is o.a. Jan die komt. |Mooi.",
        "Zie blz. 5 en art. 3. |Dat is duidelijk.",
    ],
    "zh": [
        "你好。|我叫小明。",
        "是吗？|是的！|好。",
        "他说：“你好。”|我笑了。",
        "这是3.14。|对。",
        "真的吗？！|真的。",
        "**好。**|下一句。",
        "（完。）|下一句。",
        "你好。|Hello there. |再见。",
    ],
    "ja": [
        "こんにちは。|元気ですか？|はい。",
        "「行くよ。」|彼は言った。",
        "バージョン2.0です。|新しい！|すごい。",
    ],
    "ko": [
        "안녕하세요. |저는 아다입니다.",
        "정말요? |네!",
    ],
    "ar": [
        "مرحبا. |كيف حالك؟ |أنا بخير.",
        "جاء د. محمد اليوم. |شكرا.",
        "نعم! |لا.",
    ],
    "ur": [
        "سلام۔ |آپ کیسے ہیں؟ |میں ٹھیک ہوں۔",
        "ڈاکٹر. احمد آئے۔ |شکریہ۔",
    ],
    "hi": [
        "नमस्ते। |आप कैसे हैं? |मैं ठीक हूँ।",
        "डॉ. शर्मा आए। |वे बैठे।",
        "क्या? |हाँ!",
    ],
    None: [
        "Mr. Brown met Herr Brown on May 3. |They spoke.",
        "Obst, z.B. Äpfel, e.g. Boskoop. |Gut.",
        "I like art. |So does he.",
        "This is the top. |It is enough.",
        "El Sr. López vino. |Bien.",
        "Es war am 3. Mai. |Er kam.",
        "It was me. |It was Al. |Really.",
        "你好。|Hello. |مرحبا؟ |نعم.",
    ],
}
"""`|` stands where a sentence ends. None: no language is named."""


def recorded_texts() -> list[str]:
    """Each text of the shared recordings, joined without our help; none where these are absent."""
    texts: dict[str, None] = {}
    for api in ("openai.chat", "openai.responses", "anthropic.messages"):
        for entry in shared(api):
            parts: dict[object, list[str]] = {}
            for payload in _payloads(body(entry)):
                for key, text in _said(payload):
                    parts.setdefault(key, []).append(text)
            texts.update(dict.fromkeys("".join(part) for part in parts.values()))
    return [text for text in texts if text.strip()]


def _payloads(raw: bytes) -> Iterator[dict[str, Any]]:
    """The JSON of each event that is JSON: some recordings are of faults."""
    for line in raw.decode(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            payload = json.loads(line.removeprefix("data:"))
            if line.startswith("data:") and isinstance(payload, dict):
                yield payload


def _said(payload: dict[str, Any]) -> Iterator[tuple[object, str]]:
    for choice in payload.get("choices") or ():
        for name in ("content", "reasoning_content", "reasoning"):
            text = (choice.get("delta") or {}).get(name)
            if isinstance(text, str):
                yield (choice["index"], name), text
    delta = payload.get("delta")
    if payload.get("type") == "response.output_text.delta" and isinstance(delta, str):
        yield (payload.get("output_index"), payload.get("content_index")), delta
    if payload.get("type") == "content_block_delta" and isinstance(delta, dict):
        text = delta.get("text", delta.get("thinking"))
        if isinstance(text, str):
            yield payload["index"], text
