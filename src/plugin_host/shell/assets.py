"""The files of a user interface: read once, found by exact name, sent with fixed types.

A folder is walked when its plugin is activated. What was found then is all that can be asked for later: a
request is a look-up in a dictionary, so `..`, backslashes, NUL and encodings are names that are not there.
Each address carries a hash of the whole folder, so files may be kept by browsers for a year, and relative
imports between files of one folder just work.

Media types come from the table below, never from the operating system: a Windows registry that calls
JavaScript `text/plain` turns every page white.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping

    Scope = Mapping[str, Any]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    Headers = list[tuple[bytes, bytes]]

_TEXT: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
    ".xml": "application/xml",
}
_BINARY: Final = {
    ".avif": "image/avif",
    ".gif": "image/gif",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".otf": "font/otf",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
MEDIA_TYPES: Final[Mapping[str, str]] = _BINARY | {end: f"{kind}; charset=utf-8" for end, kind in _TEXT.items()}

MAX_BYTES: Final = 16 * 1024 * 1024
_WORTH_PACKING: Final = 400
# A picture or page that is opened by itself must not act in the name of this origin.
_SANDBOXED: Final = {".svg", ".html", ".xml"}
_SANDBOX_CSP: Final = b"default-src 'none'; style-src 'unsafe-inline'; sandbox"
# A worker's policy is that of its own file, so code keeps what the page allows it.
_FILE_CSP: Final = b"default-src 'self'; frame-ancestors 'none'"


_FOR_EVER: Final = b"max-age=31536000, immutable"


class Asset(msgspec.Struct, frozen=True):
    """One file as it is sent: `body`, and `packed` (gzip) where that is smaller.

    `etag` is a whole header value; `integrity` is what an `integrity` attribute takes.
    """

    path: str
    media_type: str
    etag: str
    body: bytes
    packed: bytes | None
    integrity: str
    policy: bytes = _FILE_CSP

    @classmethod
    def read(cls, path: str, body: bytes) -> Asset:
        """Prepare a file for sending: `path` is its name below the folder, with slashes."""
        end = Path(path).suffix.lower()
        digest = hashlib.sha256(body)
        return cls(
            path=path,
            media_type=MEDIA_TYPES[end],
            # Weak, since the packed and the plain bytes share it.
            etag=f'W/"{digest.hexdigest()[:32]}"',
            body=body,
            packed=_pack(body) if end in _TEXT else None,
            integrity="sha256-" + base64.b64encode(digest.digest()).decode(),
            policy=_SANDBOX_CSP if end in _SANDBOXED else _FILE_CSP,
        )


class Assets:
    """The files of one owner, a plugin's id or `core`, as they were when the folder was walked.

    `hash` names this state of the folder. `locales` gives the address of each translation by language.
    `skipped` says why a file of the folder is not among them, for whoever wonders.
    """

    def __init__(self, owner: str, files: Mapping[str, Asset], skipped: Mapping[str, str] | None = None) -> None:
        self.owner: Final = owner
        self.files: Final = dict(sorted(files.items()))
        self.skipped: Final = dict(skipped or {})
        self.hash: Final = _hash(self.files)
        self.locales: Final = {
            path.removeprefix("locales/").removesuffix(".json"): self.url(path)
            for path in self.files
            if path.startswith("locales/") and path.endswith(".json")
        }

    @classmethod
    def scan(
        cls,
        owner: str,
        root: Path,
        locales: Path | None = None,
        prepare: Callable[[str, bytes], bytes] = lambda _path, body: body,
    ) -> Assets:
        """Walk `root` and read what may be served; `locales` is the folder of translations beside the manifest.

        `prepare` makes of a file, by its name and content, what is sent.

        Left out are dotfiles, extensions that are not in the table, files above 16 MiB, and links that lead
        out of the folder. Raises `NotADirectoryError` if `root` is no folder.
        """
        files: dict[str, Asset] = {}
        skipped: dict[str, str] = {}
        for folder, prefix in ((root, ""), (locales, "locales/")):
            if folder is None or (prefix and not folder.is_dir()):
                continue
            for path, file in _walk(folder):
                reason = _reason_to_skip(path, file, folder)
                if reason is None:
                    files[prefix + path] = Asset.read(prefix + path, prepare(prefix + path, file.read_bytes()))
                else:
                    skipped[prefix + path] = reason
        return cls(owner, files, skipped)

    def url(self, path: str) -> str:
        """Give the address of a file below the host's base path. It is not checked that the file is there."""
        return f"/ui/{self.owner}/{self.hash}/{quote(path)}"

    def find(self, path: str) -> Asset | None:
        """Look up a file by its exact name below the folder."""
        return self.files.get(path)


def frame_policy(origin: str, base: str, plugin: str) -> bytes:
    """Give the policy of a sandboxed frame's files: no origin, nothing from elsewhere, no call to anybody.

    `origin` is the address that the browser knows the host by. A frame that is opened as a page of its own stays
    without an origin, too.
    """
    own, shell = f"{origin}{base}/ui/{plugin}/", f"{origin}{base}/ui/core/"
    return (
        f"sandbox allow-scripts allow-forms allow-downloads; default-src 'none'; script-src {own} {shell}; "
        f"style-src {own} {shell}; img-src {own} data: blob:; font-src {own}; media-src {own}; connect-src 'none'; "
        f"form-action 'none'; base-uri 'none'; frame-ancestors {origin}"
    ).encode()


async def send_asset(
    asset: Asset, scope: Scope, send: Send, *, public: bool, framed: bytes | None = None, fixed: bool = True
) -> None:
    """Answer a GET or HEAD for a file; `public` lets shared caches keep it.

    `framed` is the policy of files that a frame without an origin may load: to browsers it is somebody else. Without
    `fixed` the address has no hash, and whoever keeps the file asks each time whether it still holds.
    """
    asked = {
        name: value for name, value in reversed(scope["headers"]) if name in {b"if-none-match", b"accept-encoding"}
    }
    headers: Headers = [
        (b"cache-control", b"%s, %s" % (b"public" if public else b"private", _FOR_EVER if fixed else b"no-cache")),
        (b"content-security-policy", asset.policy if framed is None else framed),
        (b"cross-origin-resource-policy", b"same-origin" if framed is None else b"cross-origin"),
        (b"etag", asset.etag.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"vary", b"Accept-Encoding"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if framed is not None:
        headers += [(b"access-control-allow-origin", b"*"), (b"x-frame-options", b"SAMEORIGIN")]
    if scope["method"] not in {"GET", "HEAD"}:
        refusal: Headers = [(b"allow", b"GET, HEAD"), (b"content-length", b"0")]
        await _send(send, HTTPStatus.METHOD_NOT_ALLOWED, refusal, b"")
    elif _matches(asked.get(b"if-none-match", b""), asset.etag):
        await _send(send, HTTPStatus.NOT_MODIFIED, headers, b"")
    else:
        packed = asset.packed if _takes_gzip(asked.get(b"accept-encoding", b"")) else None
        if packed is not None:
            headers.append((b"content-encoding", b"gzip"))
        body = asset.body if packed is None else packed
        headers += [(b"content-type", asset.media_type.encode()), (b"content-length", b"%d" % len(body))]
        await _send(send, HTTPStatus.OK, headers, b"" if scope["method"] == "HEAD" else body)


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    """Give each file with its name below the root; linked folders are not followed."""
    for entry in sorted(root.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            yield from ((f"{entry.name}/{below}", file) for below, file in _walk(entry))
        else:
            yield entry.name, entry


def _reason_to_skip(path: str, file: Path, root: Path) -> str | None:
    """Say why a file is not served; None if it is."""
    if any(part.startswith(".") for part in path.split("/")):
        return "its name begins with a dot"
    if "\\" in path or not path.isprintable():
        return "its name has a backslash or an unprintable character"
    if file.suffix.lower() not in MEDIA_TYPES:
        return f"files named *{file.suffix or file.name} are not served"
    if not file.resolve().is_relative_to(root.resolve()):
        return "it is a link that leads out of the folder"
    if not file.is_file():
        return "it is no file"
    if file.stat().st_size > MAX_BYTES:
        return f"it is larger than {MAX_BYTES} bytes"
    return None


def _hash(files: Mapping[str, Asset]) -> str:
    """Hash names and contents; lengths stand between, so that no two folders can be read as one text."""
    digest = hashlib.sha256()
    for path, asset in files.items():
        name = path.encode()
        digest.update(b"%d %d " % (len(name), len(asset.body)))
        digest.update(name)
        digest.update(asset.body)
    return digest.hexdigest()[:16]


def _pack(body: bytes) -> bytes | None:
    """Compress a text if that is worth it; without a date, so that the bytes are the same everywhere."""
    if len(body) <= _WORTH_PACKING:
        return None
    packed = gzip.compress(body, 9, mtime=0)
    return packed if len(packed) < len(body) else None


def _takes_gzip(accepted: bytes) -> bool:
    """Read an Accept-Encoding header: tell whether gzip is named, and not with weight zero."""
    for part in accepted.lower().split(b","):
        name, _, weight = part.partition(b";")
        if name.strip() == b"gzip":
            return weight.replace(b" ", b"").removeprefix(b"q=").strip(b"0.") != b"" or not weight
    return False


def _matches(wanted: bytes, etag: str) -> bool:
    """Compare as RFC 9110 says for If-None-Match: weakly, against each of a list."""
    tags = {tag.strip().removeprefix(b"W/") for tag in wanted.split(b",")}
    return wanted.strip() == b"*" or etag.encode().removeprefix(b"W/") in tags
