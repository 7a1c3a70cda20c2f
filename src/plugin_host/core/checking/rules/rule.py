"""One rule of `plugin-host check`: its code, its name, how serious it is, and why there is such a rule."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Level: TypeAlias = Literal["error", "warning"]


class Rule(msgspec.Struct, frozen=True):
    """A rule; codes are stable, so that scripts may compare them.

    `error`: the host refuses it, or it is wrong whenever it runs; `warning`: it is surely not meant, and fails only
    with `--strict`. `wrong` and `right` are the shortest example of each, in the language `shown`.
    """

    code: str
    name: str
    level: Level
    reason: str
    wrong: str
    right: str
    shown: Literal["json", "python", "javascript", "toml", "text"] = "json"
