"""One accent colour in, colours that can be read out: for light and dark, as a link and under text.

Contrast is that of WCAG 2: at least 4.5 between text and what lies behind it.
"""

from __future__ import annotations

import re
from typing import Final

MIN_CONTRAST: Final = 4.5
LIGHT_SURFACE: Final = "#f6f7f9"
DARK_SURFACE: Final = "#1d2127"
_HEX: Final = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_STEPS: Final = 50

Rgb = tuple[float, float, float]


def accent_css(accent: str) -> str:
    """Give a style sheet that sets the accent colours of the page.

    Raises `ValueError` for anything but `#rgb` or `#rrggbb`: the text ends up in a style sheet.
    """
    if _HEX.fullmatch(accent) is None:
        raise ValueError(f"theme.accent is {accent!r}: write a colour as #0b6bcb or #06c")
    light, dark = readable(accent, LIGHT_SURFACE), readable(accent, DARK_SURFACE)
    pairs = {
        "--ph-accent": (light, dark),
        "--ph-on-accent": (text_on(light), text_on(dark)),
    }
    rules = "".join(f"{name}:light-dark({on_light},{on_dark});" for name, (on_light, on_dark) in pairs.items())
    return f":root{{{rules}}}"


def readable(colour: str, surface: str) -> str:
    """Move a colour towards black or white, as far as needed to be read on a surface and no further."""
    rgb, behind = _parse(colour), _parse(surface)
    goal = 0.0 if _luminance(behind) > 0.5 else 1.0  # noqa: PLR2004 - the middle between black and white
    for step in range(_STEPS + 1):
        moved = _mix(rgb, goal, step / _STEPS)
        # Rounded first: what is written must hold, not what was computed.
        written = _write(moved)
        if contrast(written, surface) >= MIN_CONTRAST:
            return written
    return _write((goal, goal, goal))


def text_on(colour: str) -> str:
    """Choose white or nearly black, whichever is easier to read on a colour."""
    return max("#ffffff", "#10131a", key=lambda text: contrast(text, colour))


def contrast(one: str, other: str) -> float:
    """Give the contrast of two colours, from 1 (the same) to 21 (black on white)."""
    high, low = sorted((_luminance(_parse(one)), _luminance(_parse(other))), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _parse(colour: str) -> Rgb:
    digits = colour[1:] if len(colour) == len("#rrggbb") else "".join(2 * digit for digit in colour[1:])
    red, green, blue = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue


def _write(rgb: Rgb) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in rgb)


def _mix(rgb: Rgb, goal: float, share: float) -> Rgb:
    red, green, blue = (part + (goal - part) * share for part in rgb)
    return red, green, blue


def _luminance(rgb: Rgb) -> float:
    """Relative luminance of sRGB, as WCAG 2 defines it."""
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb)  # noqa: PLR2004
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
