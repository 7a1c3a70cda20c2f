"""Does what a plugin's files say fit together, and fit the package? One plugin at a time, all findings at once."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from plugin_host.plugins.discovery import parse_entry
from plugin_host.plugins.findings import Finding, Findings, file_label, nearest
from plugin_host.plugins.permission_checks import check_permissions, check_public, check_roles
from plugin_host.plugins.ui_checks import check_menu, check_ui
from plugin_host.sdk.manifest import RESERVED_IDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plugin_host.plugins.plan import Candidate
    from plugin_host.sdk.manifest import MenuFile, PermissionsFile, PluginManifest

BAD_ID: Final = "an id is one lower-case word of letters and digits"
GOOD_ID: Final = "Write 2 to 31 of a-z and 0-9, beginning with a letter: all that the plugin owns begins with it."

_ID: Final = re.compile(r"[a-z][a-z0-9]{1,30}")


def check(
    candidate: Candidate,
    manifest: PluginManifest,
    permissions: PermissionsFile,
    menu: MenuFile,
    findings: Findings,
) -> None:
    """Check the three files of one plugin, of which each fits its struct."""
    label = file_label(candidate, "plugin")
    _check_id(candidate, manifest, label, findings)
    _check_package(candidate, manifest, label, findings)
    _check_version(candidate, manifest, label, findings)
    _check_needs(manifest, label, findings)
    _check_prefixed(manifest.id, manifest.events.publishes, "$.events.publishes", label, findings)
    rights = file_label(candidate, "permissions")
    check_permissions(manifest.id, permissions.permissions, rights, findings)
    check_roles(manifest.id, permissions, rights, findings)
    check_public(permissions.public, rights, findings)
    names = frozenset(permission.name for permission in permissions.permissions)
    check_menu(manifest, names, menu.items, file_label(candidate, "menu"), findings)
    check_ui(manifest, names, candidate.folder, label, findings)


# -- who it is -----------------------------------------------------------------------------------------------


def _check_id(candidate: Candidate, manifest: PluginManifest, label: str, findings: Findings) -> None:
    if _ID.fullmatch(manifest.id) is None:  # the struct's pattern lets a line break at the end pass
        findings.add(Finding(label, "$.id", BAD_ID, GOOD_ID))
    elif manifest.id in RESERVED_IDS and candidate.source != "core":
        text = f"{manifest.id!r} is a word of the host itself"
        findings.add(Finding(label, "$.id", text, "Choose another id."))
    elif candidate.id != manifest.id:
        text = f"the id is {manifest.id!r}, but its entry point is named {candidate.id!r}"
        findings.add(Finding(label, "$.id", text, "Name the entry point in pyproject.toml like the id, and reinstall."))


def _check_package(candidate: Candidate, manifest: PluginManifest, label: str, findings: Findings) -> None:
    """Check where the hooks are: the entry point says it for wheels, `entry` for folders."""
    if candidate.source == "folder" and candidate.folder is not None:
        _check_folder(candidate.folder.name, manifest, label, findings)
        if not (candidate.folder / "__init__.py").is_file():
            findings.add(Finding(label, "", f"{candidate.folder} has no __init__.py beside it", "Add an empty one."))
    elif manifest.entry is not None and candidate.source == "wheel" and manifest.entry != candidate.entry:
        text = f"{manifest.entry!r} is not what the entry point of the distribution says: {candidate.entry!r}"
        findings.add(Finding(label, "$.entry", text, "Take `entry` out: the entry point says it."))


def _check_folder(name: str, manifest: PluginManifest, label: str, findings: Findings) -> None:
    if not name.isidentifier() or keyword.iskeyword(name):
        text = f"the folder {name!r} cannot be imported: its name is no word of Python"
        findings.add(Finding(label, "", text, f"Rename the folder, for example to host_{manifest.id}."))
    elif manifest.entry is not None and not (
        parse_entry(manifest.entry) and re.split("[.:]", manifest.entry, maxsplit=1)[0] == name
    ):
        text = f"{manifest.entry!r} names no module of the folder {name!r}"
        findings.add(Finding(label, "$.entry", text, f'Write "{name}.hooks" or "{name}.hooks:attribute".'))


def _check_version(candidate: Candidate, manifest: PluginManifest, label: str, findings: Findings) -> None:
    said, installed = _version(manifest.version), _version(candidate.version)
    if manifest.version is None:
        if candidate.source == "folder":
            findings.add(Finding(label, "$", "the key 'version' is missing", 'Add it, for example "version": "1.0".'))
    elif said is None:
        text = f"{manifest.version!r} is no PEP 440 version"
        findings.add(Finding(label, "$.version", text, 'Write for example "1.0" or "2.1.3".'))
    elif candidate.source == "wheel" and installed is not None and said != installed:
        text = f"the version is {manifest.version}, but {candidate.distribution} is installed as {candidate.version}"
        way_out = "Take `version` out of plugin.json (the distribution says it), and reinstall."
        findings.add(Finding(label, "$.version", text, way_out, "version_mismatch"))


def _version(text: str | None) -> Version | None:
    try:
        return Version(text) if text is not None else None
    except InvalidVersion:
        return None


# -- whom it needs -------------------------------------------------------------------------------------------


def _check_needs(manifest: PluginManifest, label: str, findings: Findings) -> None:
    if "core" not in manifest.requires:
        way_out = 'Add the contract that the plugin was written for: "core": ">=1.0,<2".'
        findings.add(Finding(label, "$.requires", "the key 'core' is missing", way_out))
    _check_ranges(manifest, manifest.requires, "$.requires", label, findings)
    _check_ranges(manifest, manifest.optional, "$.optional", label, findings)
    for other in sorted({*manifest.requires} & {*manifest.optional}):
        text = f"{other!r} stands in `requires` too"
        findings.add(Finding(label, f"$.optional.{other}", text, "Keep one of the two."))
    for n, other in enumerate(manifest.conflicts):
        if other in {manifest.id, "core", *manifest.requires}:
            text = f"it cannot be in conflict with {other!r}, which it {'is' if other == manifest.id else 'requires'}"
            findings.add(Finding(label, f"$.conflicts[{n}]", text, "Remove it from one of the two."))
    _check_asks(manifest, label, findings)


def _check_ranges(manifest: PluginManifest, ranges: dict[str, str], path: str, label: str, findings: Findings) -> None:
    for other, text in ranges.items():
        here = f"{path}.{other}"
        if _ID.fullmatch(other) is None:
            findings.add(Finding(label, here, f"{other!r} is no plugin's id: {BAD_ID}", GOOD_ID))
        elif other == manifest.id != "core":
            findings.add(Finding(label, here, "a plugin cannot need itself", "Remove it."))
        try:
            SpecifierSet(text)
        except InvalidSpecifier:
            findings.add(Finding(label, here, f'"{text}" is no PEP 440 range', 'Write e.g. ">=1.0,<2".'))


def _check_asks(manifest: PluginManifest, label: str, findings: Findings) -> None:
    needed = {*manifest.requires, *manifest.optional}
    for n, name in enumerate(manifest.asks):
        owner = name.partition(".")[0]
        if owner == manifest.id:
            text = f"{name!r} is the plugin's own permission, which it need not ask for"
            findings.add(Finding(label, f"$.asks[{n}]", text, "Remove it."))
        elif owner not in needed:
            text = f"{name!r} is a permission of {owner!r}, which the plugin does not need"
            way_out = f"Add {owner!r} to `requires` or `optional`. {nearest(owner, needed, 'ids there')}"
            findings.add(Finding(label, f"$.asks[{n}]", text, way_out))


def _check_prefixed(plugin: str, names: Iterable[str], path: str, label: str, findings: Findings) -> None:
    for n, name in enumerate(names):
        if not name.startswith(f"{plugin}."):
            way_out = f"Name it {plugin}.{name.rpartition('.')[2]}."
            findings.add(Finding(label, f"{path}[{n}]", f"{name!r} does not begin with '{plugin}.'", way_out))
