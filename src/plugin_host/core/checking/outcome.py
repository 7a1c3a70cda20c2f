"""What the plan and the trial say of a plugin, as findings: each reason code has its rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from plugin_host.core.checking.finding import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from plugin_host.core.checking.subject import Subject
    from plugin_host.plugins.plan import Plan, PlanEntry
    from plugin_host.sdk.errors import Reason, ReasonCode

RULE_OF: Final[dict[ReasonCode, str]] = {
    "manifest_invalid": "PH104",
    "version_mismatch": "PH106",
    "core_incompatible": "PH802",
    "dependency_missing": "PH802",
    "dependency_incompatible": "PH802",
    "dependency_cycle": "PH802",
    "dependency_inactive": "PH802",
    "conflict": "PH801",
    "duplicate_id": "PH801",
    "name_clash": "PH801",
    "permission_undeclared": "PH401",
    "permission_unknown": "PH204",
    "permission_foreign": "PH205",
    "public_unlisted": "PH402",
    "hook_unknown": "PH310",
    "hook_invalid": "PH314",
    "settings_invalid": "PH315",
    "ui_invalid": "PH701",
    "ui_contract_unknown": "PH702",
    "remote_not_supported": "PH908",
    "import_failed": "PH901",
    "hook_failed": "PH902",
    "time_limit": "PH904",
    "migration_failed": "PH604",
    "migration_pending": "PH908",
    "migration_foreign": "PH603",
    "migration_edited": "PH604",
    "migration_heads": "PH601",
    "migration_missing": "PH601",
    "migration_dirty": "PH604",
    "migration_unrecorded": "PH604",
    "schema_newer": "PH908",
    "startup_failed": "PH903",
    "runtime_errors": "PH908",
    "consent_required": "PH908",
    "disabled_by_operator": "PH908",
    "disabled_by_settings": "PH908",
    "safe_mode": "PH908",
    "package_missing": "PH501",
}
"""The rule that a reason for being parked breaks."""

_ANSWERED: Final = {
    "PH310": {"PH310", "PH311"},
    "PH314": {"PH314"},
    "PH604": {"PH601", "PH602", "PH603", "PH604"},
    "PH901": {"PH301", "PH303", "PH901"},
    "PH501": {"PH501", "PH502"},
}
"""Findings in the sources that tell the same as a reason, with their lines: then the reason is not told again."""

_PLACE: Final = re.compile(r"([^\s:(),;]+\.py):(\d+)")


def of_reason(subject: Subject, reason: Reason, told: Collection[Finding]) -> Iterator[Finding]:
    """Tell why the plugin would not run, unless what was found in its files tells that already."""
    code = RULE_OF[reason.code]
    if reason.code == "manifest_invalid" and any(each.level == "error" for each in told):
        return
    if {each.code for each in told} & _ANSWERED.get(code, {code}):
        return
    file, line = _place(subject, reason.text)
    yield finding(code, reason.text.rstrip(".").removeprefix(f"{subject.id}: "), reason.way_out, file, line)


def _place(subject: Subject, text: str) -> tuple[str, int | None]:
    """Find file and line in a sentence; only those of the plugin's own package are given."""
    folder = subject.folder
    for match in _PLACE.finditer(text) if folder is not None else ():
        label = match[1].removeprefix(f"{folder.parent}/") if folder is not None else match[1]
        if folder is not None and label.startswith(f"{folder.name}/"):
            return label, int(match[2])
    return "", None


def of_trial(subject: Subject) -> Iterator[Finding]:
    """Tell what only shows when the plugin runs."""
    if subject.built is None:
        return
    for text in subject.built.beyond:
        way_out = "Say it in the file, if it is always the same."
        yield finding("PH214", text, way_out, *_hook(subject, text.partition(" ")[0]))
    for text in subject.built.differences:
        yield finding("PH605", text, "Add a revision that makes it so.", _models(subject))


def _hook(subject: Subject, name: str) -> tuple[str, int | None]:
    for module in subject.sources:
        for node in module.nodes:
            if getattr(node, "name", None) == name and hasattr(node, "lineno"):
                return module.label, node.lineno
    return "", None


def _models(subject: Subject) -> str:
    labels = [module.label for module in subject.sources if module.label.endswith("/models.py")]
    return labels[0] if labels else ""


def of_others(subject: Subject, before: Plan, after: Plan) -> Iterator[Finding]:
    """Name the plugins that run now, and would not beside this one."""
    for entry in before.active:
        now = after.entry(entry.id)
        if entry.id != subject.id and now is not None and now.state != "active" and _is_through(subject.id, now):
            text = f"{entry.id} would be {now.state}: {now.reason.text if now.reason is not None else ''}".rstrip(". ")
            way_out = now.reason.way_out if now.reason is not None else ""
            yield finding("PH803", text, way_out)


def _is_through(plugin: str, entry: PlanEntry) -> bool:
    return entry.reason is not None and plugin in entry.reason.culprits
