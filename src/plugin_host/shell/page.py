"""The one HTML page, and the headers that keep it safe.

The page holds no data of anybody: who is asking and what they may see comes from `/api/core/shell`. So it is
the same for everybody but for the base path, and for a nonce that is new in each answer.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from html import escape
from string import Template
from typing import TYPE_CHECKING, Final

from plugin_host.shell.colours import accent_css

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plugin_host.shell.assets import Assets

ENTRY: Final = "shell.js"
STYLES: Final = "shell.css"
ICON: Final = "favicon.svg"
VIEW: Final = "vendor/view.js"
# What `shell.js` imports, and what those import: fetched side by side instead of one after the other.
PRELOADED: Final = (
    "api.js",
    "brand.js",
    "config.js",
    "icons.js",
    "layers.js",
    "layout.js",
    "lazy.js",
    "menu.js",
    "router.js",
    "state.js",
    "text.js",
    "theme.js",
    "trust.js",
    VIEW,
)
CONTENT: Final = "content.css"

# Names under which libraries that plugins bundle make their policies; a plugin may bring its own copy of each.
# `default` is the page's own (trust.js): it lets scripts of plugins' files pass, and no markup.
_POLICIES: Final = "default angular dompurify lit-html svelte-trusted-html vue 'allow-duplicates'"
_CSP: Final = Template(
    "default-src 'none'; script-src 'self' 'sha256-$import_map'; style-src 'self' 'nonce-$nonce'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; frame-src 'self'; worker-src 'self'; "
    "form-action 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; "
    f"require-trusted-types-for 'script'; trusted-types {_POLICIES}"
)
_HEADERS: Final = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
# The import map stands before any modulepreload: with a preload first, Firefox ignores the map (blank page).
_PAGE: Final = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<script type="importmap">$import_map</script>
$preloads
<link rel="preload" as="fetch" href="$base/api/core/shell" crossorigin>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="plugin-host" data-base="$base" data-nonce="$nonce" data-name="$name" data-logo="$logo"
 data-languages="$languages">
<title>$name</title>
<link rel="icon" href="$icon" type="image/svg+xml">
<link rel="stylesheet" href="$styles" id="ph-css">
<style nonce="$nonce">$accent</style>
<script type="module" src="$entry"></script>
</head>
<body>
<div id="app" aria-busy="true"></div>
<noscript><link rel="stylesheet" href="$content"><div class="ph-card-page"><div class="card"><h1>$name</h1>
<p>This application needs JavaScript. Please switch it on and reload the page.</p></div></div></noscript>
</body>
</html>
"""
)


class Page:
    """The page of one host.

    `assets` are the shell's own files. `theme` has `name`, and `logo` and `accent` or None. Raises
    `ValueError` for an accent that is no hex colour, for a logo of another origin (the page loads nothing
    from elsewhere), and if a file of the shell is missing.
    """

    def __init__(self, assets: Assets, theme: Mapping[str, str | None]) -> None:
        missing = [path for path in (ENTRY, STYLES, CONTENT, ICON, *PRELOADED) if assets.find(path) is None]
        if missing:
            raise ValueError(f"the page's own files are incomplete: {', '.join(missing)} not found; install again")
        accent, logo = theme.get("accent"), theme.get("logo")
        self.assets: Final = assets
        self._name: Final = theme.get("name") or "Plugin Host"
        self._logo: Final = _check_logo(logo) if logo else ""
        self._accent: Final = accent_css(accent) if accent else ""

    def render(self, base: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """Give the body and the headers for a base path: "" or, inside another application, as `/apps`."""
        url = self.assets.url
        nonce = secrets.token_urlsafe(18)
        import_map = _json_in_html({"imports": {"plugin-host/view": base + url(VIEW)}})
        preloads = "\n".join(f'<link rel="modulepreload" href="{escape(base + url(path))}">' for path in PRELOADED)
        body = _PAGE.substitute(
            accent=self._accent,
            base=escape(base),
            content=escape(base + url(CONTENT)),
            entry=escape(base + url(ENTRY)),
            icon=escape(base + url(ICON)),
            languages=escape(" ".join(self.assets.locales)),
            import_map=import_map,
            logo=escape(self._logo),
            name=escape(self._name),
            nonce=nonce,
            preloads=preloads,
            styles=escape(base + url(STYLES)),
        ).encode()
        map_hash = base64.b64encode(hashlib.sha256(import_map.encode()).digest()).decode()
        policy = _CSP.substitute(import_map=map_hash, nonce=nonce).encode()
        length = (b"content-length", b"%d" % len(body))
        return body, [*_HEADERS, length, (b"content-security-policy", policy)]


def _json_in_html(value: object) -> str:
    """Write JSON that may stand inside a script element: nothing in it can end the element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _check_logo(logo: str) -> str:
    own = logo.startswith("/") and not logo.startswith(("//", "/\\"))
    if own or logo.startswith("data:image/"):
        return logo
    raise ValueError(f"theme.logo is {logo!r}: write an address on this server, as /logo.svg, or a data:image/ URL")
