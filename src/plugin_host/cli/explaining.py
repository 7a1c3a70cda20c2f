"""How the commands word why somebody may or may not, and what a change means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

_REASONS: Final = {
    "no_grant": "nothing allows it",
    "explicit_deny": "it is denied, and that beats whatever allows",
    "condition_false": "what would allow it depends on the object, and does not hold for this one",
    "plugin_inactive": "its plugin is not active, or nobody has consented to it yet",
    "unknown_permission": "no plugin declares such a permission",
}


def tell(said: Mapping[str, Any], actor: str, permission: str, object_id: str | None) -> None:
    """Say whether somebody may, and why."""
    may = "may" if said["allowed"] else "may not"
    on = f" {object_id}" if object_id else ""
    why = "" if said["allowed"] else f": {said['reason']}, {_REASONS[said['reason']]}"
    click.echo(f"{actor} {may} {permission}{on}{why}")
    if said["path"]:
        click.echo(f"  through {' → '.join(said['path'])}")
    for rule in said["rules"]:
        click.echo(f"  {_rule(rule)}")
    for condition in said["conditions"]:
        holds = "holds" if condition["holds"] else "does not hold"
        values = ", ".join(f"{name} = {value!r}" for name, value in condition["values"].items())
        click.echo(f"  {_json(condition['where'])} {holds}: {values}")
    if said["would_allow"]:
        click.echo(f"  with one of these roles they could: {', '.join(said['would_allow'])}")


def tell_change(said: Mapping[str, Any], *, dry_run: bool) -> None:
    """Say who gains and who loses what by a change."""
    for each in said["items"]:
        for word, sign in (("gains", "+"), ("loses", "-"), ("widened", "more of"), ("narrowed", "less of")):
            if each[word]:
                click.echo(f"{each['username']}: {sign} {', '.join(each[word])}")
    if not said["items"]:
        click.echo("Nobody gains or loses anything by rules and roles.")
    click.echo("Nothing was changed: this was a dry run." if dry_run else "Done.")


def _rule(rule: Mapping[str, Any]) -> str:
    word = "allows" if rule["effect"] == "allow" else "denies"
    where = f" where {_json(rule['where'])}" if rule.get("where") else ""
    on = f" on {rule['object']}" if rule.get("object") else ""
    of = f" (rule {rule['rule']})" if rule.get("rule") else ""
    applies = "" if rule["applies"] else ", which does not apply here"
    return f"{rule['subject']} {word} {rule['permission']}{on}{where}{of}{applies}"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
