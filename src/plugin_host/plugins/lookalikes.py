"""Which words people read as the same one: `contacts`, `Contacts`, `c0ntacts`, and one with a Cyrillic `о`.

The idea is Unicode's (UTS 39): words with one skeleton are confusable. The table is small: letters that look like
a Latin one in most fonts, of the scripts that a keyboard, or a trickster, has at hand.
"""
# ruff: noqa: RUF001, RUF002, RUF003 - ambiguous letters are what this is about

from __future__ import annotations

import unicodedata
from typing import Final

# Small letters and capitals, since not all of them look like theirs: Η is an H, η is an n.
_LOOKALIKES: Final = {
    "a": "аАαΑɑᴀ",
    "b": "вВβΒ",
    "c": "сСᴄ",
    "d": "ԁԀᴅ",
    "e": "еЕεΕᴇ",
    "g": "ɡց",
    "h": "һҺнНΗհ",
    "i": "іІιΙıɩꙇ",
    "j": "јЈᴊ",
    "k": "кКκΚᴋ",
    "l": "ӏӀʟ",
    "m": "мМΜᴍ",
    "n": "пηΝոɴ",
    "o": "оОοΟσςօՕᴏ",
    "p": "рРρΡᴘ",
    "q": "ԛԚզ",
    "r": "гʀ",
    "s": "ѕЅ",
    "t": "тТτΤᴛ",
    "u": "μυսՍᴜ",
    "v": "ѵѴνᴠ",
    "w": "ԝԜωաᴡ",
    "x": "хХχΧ",
    "y": "уУүҮγΥ",
    "z": "ζΖᴢ",
}
_LETTERS: Final = str.maketrans({like: letter for letter, likes in _LOOKALIKES.items() for like in likes})

# Pairs of letters that look like another one (`rn` and `m`) are left out: English words differ in them, as corn
# and com do, and an honest plugin must not be refused for its name.
_DIGITS: Final = str.maketrans("01", "ol")

_UNSEEN: Final = frozenset({"Mn", "Me", "Cf"})  # accents, and characters that take no room


def skeleton(word: str) -> str:
    """Give what two words have in common if people read them as one: small Latin letters, where there are any."""
    apart = unicodedata.normalize("NFKD", word)
    bare = "".join(letter for letter in apart if unicodedata.category(letter) not in _UNSEEN)
    return bare.translate(_LETTERS).casefold().translate(_DIGITS)
