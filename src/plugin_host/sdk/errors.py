"""What goes wrong, as data: each error says what, who, who else, and the way out.

`Reason` tells an operator why a plugin is parked; `Problem` tells a caller of the HTTP API why a
request failed (RFC 9457). Both are values that the edges word, print or serialise.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal, get_args

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ReasonCode = Literal[
    "manifest_invalid",
    "version_mismatch",
    "core_incompatible",
    "dependency_missing",
    "dependency_incompatible",
    "dependency_cycle",
    "dependency_inactive",
    "conflict",
    "duplicate_id",
    "name_clash",
    "permission_undeclared",
    "permission_unknown",
    "permission_foreign",
    "public_unlisted",
    "hook_unknown",
    "hook_invalid",
    "settings_invalid",
    "ui_invalid",
    "ui_contract_unknown",
    "remote_not_supported",
    "import_failed",
    "hook_failed",
    "time_limit",
    "migration_failed",
    "migration_pending",
    "migration_foreign",
    "migration_edited",
    "migration_heads",
    "migration_missing",
    "migration_dirty",
    "migration_unrecorded",
    "schema_newer",
    "startup_failed",
    "runtime_errors",
    "consent_required",
    "disabled_by_operator",
    "disabled_by_settings",
    "safe_mode",
    "package_missing",
]
"""Why a plugin is parked: stable words that scripts and dashboards may compare."""

REASON_CODES: Final[tuple[str, ...]] = get_args(ReasonCode)


_MAX_TEXT: Final = 3000
_MAX_CULPRITS: Final = 50


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a plugin is parked: the same object in the plan, the API, the commands and the log.

    `code` is one of `REASON_CODES`, `text` a sentence naming all culprits, `culprits` the ids,
    files or distributions at fault, `way_out` what to do about it.
    """

    code: ReasonCode
    text: str
    culprits: tuple[str, ...] = ()
    way_out: str = ""

    def __post_init__(self) -> None:
        """Keep it readable: what a plugin did wrong a million times is said once."""
        if len(self.text) > _MAX_TEXT:
            msgspec.structs.force_setattr(self, "text", f"{self.text[:_MAX_TEXT]} …")
        if len(self.culprits) > _MAX_CULPRITS:
            msgspec.structs.force_setattr(self, "culprits", self.culprits[:_MAX_CULPRITS])


class PluginFault(Exception):
    """A plugin is at fault: carries the `Reason`. It parks that plugin and never stops the host."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


class FieldError(msgspec.Struct, frozen=True):
    """One wrong field of a request: `pointer` is a JSON pointer into the body (`/name`)."""

    pointer: str
    detail: str


class Problem(Exception):
    """An error answer in the form of RFC 9457, raised by handlers, services and the host itself.

    `status` is the HTTP status, `code` the last word of `type` (`urn:plugin-host:problem:<code>`),
    `detail` a sentence for people, `errors` the wrong fields, `headers` extra answer headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        title: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or code)
        self.status = status
        self.code = code
        self.detail = detail
        self.title = title or HTTPStatus(status).phrase
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def body(self, instance: str = "") -> dict[str, object]:
        """Give the members of the problem document; `instance` is the request's id."""
        members: dict[str, object] = {
            "type": f"urn:plugin-host:problem:{self.code}",
            "title": self.title,
            "status": self.status,
        }
        if self.detail:
            members["detail"] = self.detail
        if instance:
            members["instance"] = instance
        if self.errors:
            members["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in self.errors]
        return members
