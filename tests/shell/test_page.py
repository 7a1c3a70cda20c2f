from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

import plugin_host.shell
from plugin_host.shell.assets import Assets
from plugin_host.shell.page import ENTRY, PRELOADED, Page

STATIC = Path(plugin_host.shell.__file__).parent / "static"
PLAIN: dict[str, str | None] = {"name": "Acme Desk", "logo": None, "accent": None}


@pytest.fixture(scope="module")
def assets() -> Assets:
    return Assets.scan("core", STATIC)


@pytest.fixture(scope="module")
def page(assets: Assets) -> Page:
    return Page(assets, PLAIN)


def html_of(page: Page, base: str = "") -> str:
    return page.render(base)[0].decode()


def directives(page: Page, base: str = "") -> dict[str, str]:
    policy = dict(page.render(base)[1])[b"content-security-policy"].decode()
    return {name: value for name, _, value in (each.strip().partition(" ") for each in policy.split(";"))}


def import_map(html: str) -> str:
    found = re.search(r'<script type="importmap">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_policy_allows_nothing_but_what_the_page_needs(page: Page) -> None:
    policy = directives(page)
    assert re.fullmatch(r"'self' 'sha256-[A-Za-z0-9+/=]{44}'", policy.pop("script-src"))
    assert re.fullmatch(r"'self' 'nonce-[\w-]{20,}'", policy.pop("style-src"))
    assert policy == {
        "default-src": "'none'",
        "img-src": "'self' data: blob:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "frame-src": "'self'",
        "worker-src": "'self'",
        "form-action": "'none'",
        "base-uri": "'none'",
        "object-src": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "default angular dompurify lit-html svelte-trusted-html vue 'allow-duplicates'",
    }


@pytest.mark.parametrize("base", ["", "/apps"])
def test_the_policy_knows_the_import_map_by_its_hash(page: Page, base: str) -> None:
    body, headers = page.render(base)
    digest = base64.b64encode(hashlib.sha256(import_map(body.decode()).encode()).digest()).decode()
    assert f"'sha256-{digest}'" in dict(headers)[b"content-security-policy"].decode()


def test_the_other_headers(page: Page) -> None:
    body, headers = page.render("")
    found = dict(headers)
    del found[b"content-security-policy"]
    assert found == {
        b"cache-control": b"no-store",
        b"content-length": b"%d" % len(body),
        b"content-type": b"text/html; charset=utf-8",
        b"cross-origin-opener-policy": b"same-origin",
        b"cross-origin-resource-policy": b"same-origin",
        b"permissions-policy": b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
        b"referrer-policy": b"no-referrer",
        b"x-content-type-options": b"nosniff",
        b"x-frame-options": b"DENY",
    }


def test_each_answer_has_a_nonce_of_its_own(page: Page) -> None:
    assert directives(page)["style-src"] != directives(page)["style-src"]


def test_the_page_tells_its_scripts_the_nonce_of_the_policy(page: Page) -> None:
    body, headers = page.render("")
    nonce = re.search(r'data-nonce="([\w-]+)"', body.decode())
    assert nonce is not None
    assert f"'nonce-{nonce[1]}'".encode() in dict(headers)[b"content-security-policy"]


def test_the_import_map_stands_before_any_preload(page: Page) -> None:
    html = html_of(page)
    assert 0 < html.index("importmap") < html.index("modulepreload") < html.index('type="module"')


def test_the_import_map_offers_the_view_library(page: Page, assets: Assets) -> None:
    found = json.loads(import_map(html_of(page, "/apps")))
    assert found == {"imports": {"plugin-host/view": "/apps" + assets.url("vendor/view.js")}}


@pytest.mark.parametrize("base", ["", "/apps", "/a/b"])
def test_every_address_carries_the_base_path_and_is_there(page: Page, assets: Assets, base: str) -> None:
    addresses = re.findall(r'(?:href|src)="([^"]*)"', html_of(page, base))
    assert f"{base}/api/core/shell" in addresses
    addresses.remove(f"{base}/api/core/shell")  # asked for while the scripts come
    assert len(addresses) == len(PRELOADED) + 4
    prefix = f"{base}/ui/core/{assets.hash}/"
    assert all(address.startswith(prefix) for address in addresses)
    assert all(assets.find(address.removeprefix(prefix)) for address in addresses)


def test_the_page_tells_its_scripts_the_base_path(page: Page) -> None:
    assert 'data-base="/apps"' in html_of(page, "/apps")


def test_all_that_the_entry_imports_is_preloaded(assets: Assets) -> None:
    seen: set[str] = set()
    todo = [ENTRY]
    while todo:
        path = todo.pop()
        asset = assets.find(path)
        assert asset is not None
        if path not in seen and not path.startswith("vendor/"):
            todo += re.findall(r'^import .*?"\./(.*?)";', asset.body.decode(), re.MULTILINE)
        seen.add(path)
    assert seen - {ENTRY} == set(PRELOADED)


def test_the_page_has_neither_inline_scripts_nor_style_attributes(page: Page) -> None:
    html = html_of(page)
    scripts = re.findall(r"<script([^>]*)>([^<]*)</script>", html)
    assert [attributes for attributes, text in scripts if text] == [' type="importmap"']
    assert re.search(r"\son\w+=|\sstyle=", html) is None


@pytest.mark.security
@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "A & B", "$entry ${nonce}"]
)
def test_a_name_is_text(assets: Assets, name: str) -> None:
    html = html_of(Page(assets, {**PLAIN, "name": name}))
    assert "<script>alert" not in html
    assert "<img" not in html
    assert html.count("<script") == html_of(Page(assets, PLAIN)).count("<script")


@pytest.mark.security
def test_a_base_path_cannot_leave_the_import_map(page: Page) -> None:
    html = html_of(page, '/a"</script><script>alert(1)</script>')
    assert "<script>alert" not in html


def test_an_accent_becomes_a_style_sheet_with_the_nonce(assets: Assets) -> None:
    html = html_of(Page(assets, {**PLAIN, "accent": "#0b6bcb"}))
    assert re.search(r'<style nonce="[\w-]+">:root\{--ph-accent:light-dark\(#0b6bcb,#\w{6}\);', html)


@pytest.mark.security
@pytest.mark.parametrize("accent", ["red", "#12", "#12345g", "#fff;}body{display:none", "#0b6bcb\n", "url(//evil)"])
def test_an_accent_that_is_no_hex_colour_is_refused(assets: Assets, accent: str) -> None:
    with pytest.raises(ValueError, match="write a colour as"):
        Page(assets, {**PLAIN, "accent": accent})


@pytest.mark.parametrize("logo", ["/logo.svg", "data:image/png;base64,AAAA"])
def test_a_logo_is_told_to_the_page(assets: Assets, logo: str) -> None:
    assert f'data-logo="{logo}"' in html_of(Page(assets, {**PLAIN, "logo": logo}))


@pytest.mark.security
@pytest.mark.parametrize(
    "logo", ["https://evil.test/x.png", "//evil.test/x.png", "/\\evil.test", "javascript:alert(1)"]
)
def test_a_logo_from_elsewhere_is_refused(assets: Assets, logo: str) -> None:
    with pytest.raises(ValueError, match="on this server"):
        Page(assets, {**PLAIN, "logo": logo})


def test_a_shell_without_its_files_says_which_are_missing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"shell\.js, shell\.css"):
        Page(Assets.scan("core", tmp_path), PLAIN)
