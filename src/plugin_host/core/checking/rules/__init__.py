"""The table of rules: everything that `plugin-host check` may say."""

from __future__ import annotations

from typing import Final

from plugin_host.core.checking.rules import code, files, package, rights
from plugin_host.core.checking.rules.rule import Level, Rule

__all__ = ["RULES", "Level", "Rule"]

RULES: Final[dict[str, Rule]] = {
    rule.code: rule for table in (files.RULES, rights.RULES, code.RULES, package.RULES) for rule in table
}
"""Every rule by its code, in the order of the reference."""
