from __future__ import annotations

import asyncio
import gzip
import mimetypes
from pathlib import Path
from typing import Any

import pytest

from plugin_host.shell.assets import MAX_BYTES, Asset, Assets, send_asset

SCRIPT = b"export const answer = 42;\n" * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "ui"
    (root / "parts").mkdir(parents=True)
    (root / "main.js").write_bytes(SCRIPT)
    (root / "parts" / "cell.mjs").write_text("export default 1;")
    (root / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (root / "font.woff2").write_bytes(b"\x00\x01" * 400)
    return root


class Answer:
    def __init__(self, messages: list[dict[str, Any]]) -> None:
        start, body = messages
        self.status: int = start["status"]
        self.headers: dict[bytes, bytes] = dict(start["headers"])
        self.body: bytes = body["body"]


def ask(asset: Asset, *headers: tuple[bytes, bytes], method: str = "GET", public: bool = True) -> Answer:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(send_asset(asset, {"method": method, "headers": list(headers)}, send, public=public))
    return Answer(sent)


def find(folder: Path, path: str = "main.js") -> Asset:
    asset = Assets.scan("contacts", folder).find(path)
    assert asset is not None
    return asset


def test_files_of_subfolders_are_found_by_their_name(folder: Path) -> None:
    assets = Assets.scan("contacts", folder)
    assert set(assets.files) == {"main.js", "parts/cell.mjs", "logo.svg", "font.woff2"}


@pytest.mark.security
@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "parts/../../secret.txt",
        "parts/../main.js",
        "./main.js",
        "/main.js",
        "//main.js",
        "..\\secret.txt",
        "parts\\cell.mjs",
        "%2e%2e/secret.txt",
        "main.js\x00",
        "main.js\x00.png",
        "MAIN.JS",
        "main.js/",
        "parts",
        "parts/",
        "",
        ".",
        "..",
    ],
)
def test_only_the_exact_name_finds_a_file(folder: Path, path: str) -> None:
    (folder.parent / "secret.txt").write_text("secret")
    assert Assets.scan("contacts", folder).find(path) is None


@pytest.mark.security
@pytest.mark.parametrize(
    "name", [".env.json", ".git/config.txt", "code.py", "main.js.bak", "Makefile", "x.pyc", "a\\b.js"]
)
def test_what_is_no_ui_file_is_not_served(folder: Path, name: str) -> None:
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("secret")
    assets = Assets.scan("contacts", folder)
    assert name not in assets.files
    assert name in assets.skipped


@pytest.mark.security
def test_a_link_that_leads_out_is_not_served(folder: Path) -> None:
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "out.txt").symlink_to(folder.parent / "secret.txt")
    assets = Assets.scan("contacts", folder)
    assert assets.find("out.txt") is None
    assert "leads out" in assets.skipped["out.txt"]


@pytest.mark.security
def test_a_linked_folder_is_not_walked(folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (folder / "linked").symlink_to(outside)
    assert not any("secret" in path for path in Assets.scan("contacts", folder).files)


def test_a_link_within_the_folder_is_served(folder: Path) -> None:
    (folder / "same.js").symlink_to(folder / "main.js")
    assert find(folder, "same.js").body == SCRIPT


def test_a_huge_file_is_left_out_with_a_reason(folder: Path) -> None:
    with (folder / "film.mp4").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert "larger" in Assets.scan("contacts", folder).skipped["film.mp4"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Assets.scan("contacts", tmp_path / "ui")


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.MJS", "text/javascript; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.svg", "image/svg+xml; charset=utf-8"),
        ("a.woff2", "font/woff2"),
        ("a.wasm", "application/wasm"),
    ],
)
def test_media_types_do_not_come_from_the_system(monkeypatch: pytest.MonkeyPatch, name: str, media_type: str) -> None:
    monkeypatch.setattr(mimetypes, "types_map", {".js": "text/plain"})
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_: ("text/plain", None))
    assert Asset.read(name, b"").media_type == media_type


def test_the_address_carries_owner_and_hash(folder: Path) -> None:
    assets = Assets.scan("contacts", folder)
    assert assets.url("parts/cell.mjs") == f"/ui/contacts/{assets.hash}/parts/cell.mjs"
    assert len(assets.hash) == 16


def test_the_address_of_a_strange_name_is_quoted(folder: Path) -> None:
    assets = Assets.scan("contacts", folder)
    assert assets.url("ä ?#.js").endswith("/%C3%A4%20%3F%23.js")


def test_the_same_files_have_the_same_hash(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "copy"
    (other / "parts").mkdir(parents=True)
    for path, asset in Assets.scan("contacts", folder).files.items():
        (other / path).write_bytes(asset.body)
    assert Assets.scan("contacts", other).hash == Assets.scan("contacts", folder).hash


def test_a_changed_byte_changes_the_hash(folder: Path) -> None:
    before = Assets.scan("contacts", folder).hash
    (folder / "main.js").write_bytes(SCRIPT + b" ")
    assert Assets.scan("contacts", folder).hash != before


def test_a_new_name_changes_the_hash(folder: Path) -> None:
    before = Assets.scan("contacts", folder).hash
    (folder / "main.js").rename(folder / "other.js")
    assert Assets.scan("contacts", folder).hash != before


def test_translations_stand_beside_the_files(folder: Path, tmp_path: Path) -> None:
    locales = tmp_path / "locales"
    locales.mkdir()
    (locales / "de.json").write_text('{"people": "Personen"}')
    assets = Assets.scan("contacts", folder, locales)
    assert assets.locales == {"de": assets.url("locales/de.json")}
    assert assets.find("locales/de.json") is not None


def test_a_plugin_without_translations_has_none(folder: Path, tmp_path: Path) -> None:
    assert Assets.scan("contacts", folder, tmp_path / "locales").locales == {}


def test_an_answer_has_its_headers(folder: Path) -> None:
    answer = ask(find(folder))
    assert answer.status == 200
    assert answer.body == SCRIPT
    assert answer.headers == {
        b"cache-control": b"public, max-age=31536000, immutable",
        b"content-length": b"%d" % len(SCRIPT),
        b"content-security-policy": b"default-src 'self'; frame-ancestors 'none'",
        b"content-type": b"text/javascript; charset=utf-8",
        b"cross-origin-resource-policy": b"same-origin",
        b"etag": find(folder).etag.encode(),
        b"referrer-policy": b"no-referrer",
        b"vary": b"Accept-Encoding",
        b"x-content-type-options": b"nosniff",
    }


@pytest.mark.security
def test_files_that_not_everybody_may_load_stay_out_of_shared_caches(folder: Path) -> None:
    answer = ask(find(folder), public=False)
    assert answer.headers[b"cache-control"].startswith(b"private")


def test_head_is_get_without_a_body(folder: Path) -> None:
    answer = ask(find(folder), method="HEAD")
    assert answer.body == b""
    assert answer.headers == ask(find(folder)).headers


def test_other_methods_are_refused(folder: Path) -> None:
    answer = ask(find(folder), method="POST")
    assert answer.status == 405
    assert answer.headers[b"allow"] == b"GET, HEAD"


@pytest.mark.parametrize("wanted", ["{etag}", '"x", {etag}', "*", "{strong}"])
def test_what_the_browser_has_is_not_sent_again(folder: Path, wanted: str) -> None:
    etag = find(folder).etag
    value = wanted.format(etag=etag, strong=etag.removeprefix("W/")).encode()
    answer = ask(find(folder), (b"if-none-match", value))
    assert answer.status == 304
    assert answer.body == b""
    assert answer.headers[b"etag"] == etag.encode()


def test_another_state_of_the_file_is_sent(folder: Path) -> None:
    assert ask(find(folder), (b"if-none-match", b'W/"x"')).status == 200


def test_a_text_is_sent_packed_to_whoever_takes_it(folder: Path) -> None:
    answer = ask(find(folder), (b"accept-encoding", b"br, gzip;q=0.8"))
    assert answer.headers[b"content-encoding"] == b"gzip"
    assert answer.headers[b"content-length"] == b"%d" % len(answer.body)
    assert gzip.decompress(answer.body) == SCRIPT


@pytest.mark.parametrize("accepted", [b"", b"br", b"gzip;q=0", b"gzip; q=0.000", b"x-gzip"])
def test_a_text_is_sent_plain_to_whoever_does_not(folder: Path, accepted: bytes) -> None:
    answer = ask(find(folder), (b"accept-encoding", accepted))
    assert b"content-encoding" not in answer.headers
    assert answer.body == SCRIPT


@pytest.mark.parametrize("path", ["parts/cell.mjs", "font.woff2"])
def test_short_texts_and_packed_formats_stay_as_they_are(folder: Path, path: str) -> None:
    assert find(folder, path).packed is None


@pytest.mark.security
def test_a_picture_that_may_hold_scripts_is_sandboxed(folder: Path) -> None:
    answer = ask(find(folder, "logo.svg"))
    assert answer.headers[b"content-security-policy"] == b"default-src 'none'; style-src 'unsafe-inline'; sandbox"


def test_integrity_is_that_of_the_bytes() -> None:
    asset = Asset.read("empty.js", b"")
    assert asset.integrity == "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
