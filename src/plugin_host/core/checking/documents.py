"""The three JSON files of a plugin, each mistake with its line. What they must say, `plugins.consistency` knows."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from plugin_host.core.checking.finding import Finding, finding
from plugin_host.core.checking.fitting import fit
from plugin_host.core.checking.places import Places, line_of_byte, places
from plugin_host.plugins import consistency
from plugin_host.plugins.discovery import MAX_BYTES
from plugin_host.plugins.findings import Findings, file_label
from plugin_host.plugins.manifests import MAX_DEPTH
from plugin_host.sdk.manifest import FILES, MenuFile, PermissionsFile, PluginManifest

if TYPE_CHECKING:
    from pathlib import Path

    from plugin_host.plugins.findings import Finding as Told
    from plugin_host.plugins.plan import Candidate

_BYTE: Final = re.compile(r"\(byte (\d+)\)")
_SYNTAX: Final = "Correct the syntax."

# What the checks of the files find, by file, by reason code or by path: the first that fits.
_BY_CODE: Final = {
    "permission_unknown": "PH204",
    "permission_foreign": "PH205",
    "ui_invalid": "PH701",
    "ui_contract_unknown": "PH702",
    "version_mismatch": "PH106",
}
_BY_PATH: Final = {
    "plugin": {
        r"\$\.id": "PH105",
        r"\$(\.version)?": "PH106",
        r"\$\.(requires|optional|conflicts|asks).*": "PH107",
        r"\$\.events.*": "PH110",
        r"(\$\.entry)?": "PH109",
    },
    "permissions": {r"\$\.permissions.*": "PH201", r"\$\.roles.*": "PH202", r"\$\.public.*": "PH203"},
    "menu": {r".*": "PH211"},
}


@dataclass(frozen=True)
class Documents:
    """The three files as far as they can be read; `spots` tells where what stands, by file."""

    manifest: PluginManifest | None
    permissions: PermissionsFile
    menu: MenuFile
    findings: tuple[Finding, ...]
    labels: dict[str, str]
    spots: dict[str, Places]

    def at(self, word: str, path: str) -> tuple[str, int | None]:
        """Give file and line of a JSON path in one of the files."""
        spot = self.spots.get(word)
        return self.labels[word], spot.line(path) if spot is not None else None


def read_documents(candidate: Candidate) -> Documents:
    """Read the files of a candidate that lies in a folder; never raises."""
    labels = {word: file_label(candidate, word) for word in FILES}
    structs: dict[str, Any] = {}
    found: list[Finding] = []
    spots: dict[str, Places] = {}
    for word, struct in FILES.items():
        raw, text, wrong = _load(candidate.folder, word, labels[word])
        if wrong is not None:
            found.append(wrong)
        if text is not None:
            spots[word] = places(text)
            found += _doubles(spots[word], labels[word])
            structs[word], misfits = fit(raw, struct, word)
            found += [
                finding(
                    "PH103" if misfit.unknown else _rule_of_value(word, misfit.path),
                    misfit.text,
                    misfit.way_out,
                    labels[word],
                    spots[word].line(misfit.path),
                )
                for misfit in misfits
            ]
    read = Documents(
        structs.get("plugin"),
        structs.get("permissions") or PermissionsFile(),
        structs.get("menu") or MenuFile(),
        tuple(found),
        labels,
        spots,
    )
    if read.manifest is None:
        return read
    # A file that is there and could not be read says nothing, which is not the same as saying that there is nothing.
    unread = "permissions" in structs and structs["permissions"] is None
    more = [each for each in _consistent(candidate, read) if not (unread and each.code == "PH204")]
    return Documents(read.manifest, read.permissions, read.menu, (*found, *more), labels, spots)


def _load(folder: Path | None, word: str, label: str) -> tuple[Any, str | None, Finding | None]:
    """Give the data and the text of one file, or what is wrong with it."""
    path = folder / f"{word}.json" if folder is not None else None
    if path is None or not path.is_file():
        if word != "plugin":
            return None, None, None
        way_out = "Add it; in a wheel, see that the build packs it (setuptools leaves it out)."
        return None, None, finding("PH101", "it is missing", way_out, label)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        told = f"it cannot be read ({error.strerror})"
        return None, None, finding("PH101", told, "Make it readable.", label)
    if len(content) > MAX_BYTES:
        return None, None, finding("PH101", f"it is larger than {MAX_BYTES:,} bytes", "Make it smaller.", label)
    try:
        raw, text = msgspec.json.decode(content), content.decode()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        byte = _BYTE.search(str(error))
        line = line_of_byte(content, int(byte[1])) if byte else None
        return None, None, finding("PH101", f"it is no JSON: {error}", _SYNTAX, label, line)
    except RecursionError:
        raw, text = None, ""
    if not text or _is_deep(raw):
        told = f"it is nested deeper than {MAX_DEPTH} levels"
        return None, None, finding("PH101", told, "Keep data of your own outside of it.", label)
    return raw, text, None


def _is_deep(raw: Any) -> bool:
    level = [raw]
    for _ in range(MAX_DEPTH):
        level = [
            part
            for whole in level
            if isinstance(whole, dict | list)
            for part in (whole.values() if isinstance(whole, dict) else whole)
        ]
    return bool(level)


def _doubles(spots: Places, label: str) -> list[Finding]:
    return [
        finding("PH102", f"{path} stands there twice; only the last is read", "Remove one of them.", label, line)
        for path, line in spots.doubles
    ]


def _rule_of_value(word: str, path: str) -> str:
    return "PH105" if word == "plugin" and path == "$.id" else "PH104"


class _Collected(Findings):
    """Keeps what the checks find one by one, instead of one reason for all."""

    def __init__(self, plugin: str) -> None:
        super().__init__(plugin)
        self.told: list[Told] = []

    def add(self, finding: Told) -> None:
        self.told.append(finding)


def _consistent(candidate: Candidate, read: Documents) -> list[Finding]:
    if read.manifest is None:
        return []
    collected = _Collected(candidate.id)
    consistency.check(candidate, read.manifest, read.permissions, read.menu, collected)
    words = {label: word for word, label in read.labels.items()}
    found = []
    for told in collected.told:
        word = words.get(told.file, "plugin")
        code = _rule_of(word, told)
        if code == "PH105" and candidate.source == "wheel" and candidate.id != read.manifest.id:
            code = "PH502"
        found.append(finding(code, told.text, told.way_out, *read.at(word, told.path or "$")))
    return found


def _rule_of(word: str, told: Told) -> str:
    if told.code in _BY_CODE:
        return _BY_CODE[told.code]
    if told.path == "" and word == "plugin":
        return "PH109"
    fitting = (code for path, code in _BY_PATH[word].items() if re.fullmatch(path, told.path))
    return next(fitting, "PH104")
