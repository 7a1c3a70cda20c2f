"""What `plugin-host check` has to say: one finding for each place where a rule is broken."""

from __future__ import annotations

import msgspec

from plugin_host.core.checking.rules import RULES, Level


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One broken rule.

    `code` and `rule` name it; `file` is the file as people know it (`host_contacts/plugin.json`, relative to where
    the package lies, or a member of the wheel), empty if it is about the plugin as a whole; `line` counts from 1,
    None where it cannot be told. `way_out` says what to do.
    """

    code: str
    rule: str
    level: Level
    text: str
    file: str = ""
    line: int | None = None
    way_out: str = ""

    @property
    def place(self) -> str:
        """Say where, as editors and terminals understand it: `host_contacts/plugin.json:12`."""
        return f"{self.file}:{self.line}" if self.line is not None and self.file else self.file


def finding(code: str, text: str, way_out: str, file: str = "", line: int | None = None) -> Finding:
    """Make a finding of a rule by its code."""
    rule = RULES[code]
    return Finding(code=code, rule=rule.name, level=rule.level, text=text, file=file, line=line, way_out=way_out)
