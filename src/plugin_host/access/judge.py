"""Casbin, the judge: shown only the rules that can match, it decides.

The model is parsed once and shared. Each question gets a shallow shell of its own around it, with its
rules, its subjects and its functions, so that threads cannot see each other's. Rules are handed over as
values: no text of a rule is ever parsed or evaluated. Left out of Casbin on purpose: adapters, watchers,
its role managers (they remember every name they are asked about, and stop at a depth), `eval()` in rules,
and the answer to an empty policy (there the matcher runs on empty strings, and `"" == ""` allows).
"""

from __future__ import annotations

import ast
import logging
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import casbin
from casbin.rbac import RoleManager

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Judge: TypeAlias = "Callable[[Sequence[tuple[str, ...]], frozenset[str], tuple[str, str, str], frozenset[str]], bool]"
"""What `allows` is: a stand-in for it can be handed to a snapshot."""

ANY: Final = "*"
MODEL: Final = """
[request_definition]
r = sub, typ, id, act, ctx
[policy_definition]
p = sub, typ, id, act, cond, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && (p.typ == "*" || p.typ == r.typ) && (p.id == "*" || p.id == r.id) \
&& (p.act == "*" || p.act == r.act) && (p.cond == "" || cond(p.cond, r.ctx))
"""
"""Deny beats allow, at every level; what nobody allows is denied."""


def allows(
    lines: Sequence[tuple[str, ...]],
    subjects: frozenset[str],
    question: tuple[str, str, str],
    true: frozenset[str],
) -> bool:
    """Tell whether the rules allow it.

    `lines` are rules as the model's `p` has them, at least one; `subjects` all names under which a rule can
    mean whoever asks; `question` the type, the id (or `*`: no object) and the action; `true` the conditions
    that hold for the object. Whatever Casbin raises goes to the caller: an error is never an answer.
    """
    if not lines:
        raise ValueError("no rules: Casbin would run its matcher on empty strings")
    allowed: bool = _Shell(lines, subjects).enforce("actor", *question, true)
    return allowed


class _Closure(RoleManager):  # type: ignore[misc]  # casbin has no types
    """Whoever asks is linked to exactly their subjects: nothing to walk, nothing to remember."""

    def __init__(self, subjects: frozenset[str]) -> None:
        self.subjects = subjects

    def has_link(self, _asking: str, subject: str, *_domain: str) -> bool:
        return subject in self.subjects


class _Functions:
    """The functions that the matcher calls, for one question: Casbin adds `g`."""

    @staticmethod
    def get_functions() -> dict[str, Callable[..., Any]]:
        return {"cond": _holds}


class _Shell(casbin.Enforcer):  # type: ignore[misc]  # casbin has no types
    """An enforcer for one question, around what all share."""

    def __init__(self, lines: Sequence[tuple[str, ...]], subjects: frozenset[str]) -> None:
        # Not Casbin's own: it would parse, build and log all that is shared here.
        self.__dict__.update(_PREPARED.__dict__)
        policy, roles = _copy(_PREPARED.model["p"]["p"]), _copy(_PREPARED.model["g"]["g"])
        policy.policy, roles.rm = lines, _Closure(subjects)
        self.model = _copy(_PREPARED.model)
        self.model.model = {**_PREPARED.model.model, "p": {"p": policy}, "g": {"g": roles}}
        self.fm = _Functions()

    @staticmethod
    def _get_expression(_text: str, functions: dict[str, Callable[..., Any]]) -> _Matcher:
        return _Matcher(functions)


class _Matcher:
    """The model's matcher, compiled once: the same tree that simpleeval would walk anew for each rule.

    Its text is `MODEL`'s, which nobody can change; what rules and questions say are values of names in it.
    """

    __slots__ = ("_functions",)

    def __init__(self, functions: dict[str, Callable[..., Any]]) -> None:
        functions["__builtins__"] = _NOTHING  # else Python would put its own there
        self._functions = functions

    def eval(self, names: dict[str, Any]) -> Any:
        return eval(_MATCHER, self._functions, names)  # noqa: S307 - a constant of ours, see above


def _copy(thing: Any) -> Any:
    """Do what `copy.copy` does, in a tenth of the time."""
    made = object.__new__(type(thing))
    made.__dict__.update(thing.__dict__)
    return made


def _holds(condition: str, true: frozenset[str]) -> bool:
    return condition in true


def _prepare() -> tuple[casbin.Enforcer, Any]:
    model = casbin.Model()
    model.load_model_from_text(MODEL)
    enforcer = casbin.Enforcer(model)
    # Casbin would put every denial, with all names, into the log. One of `getLogger` that is only disabled
    # would not do: `logging.config`, as uvicorn uses it, enables loggers that it does not know.
    enforcer.logger = logging.Logger("casbin", logging.CRITICAL + 1)  # noqa: LOG001
    expression = enforcer._get_expression(model["m"]["m"].value, {})  # noqa: SLF001 - to parse it only once
    model["m"]["m"].value = "m"  # Casbin searches it for `eval(` at every question, and reads it no more
    return enforcer, compile(ast.Expression(expression.ast_parsed_value), "matcher", "eval")


_PREPARED, _MATCHER = _prepare()
_NOTHING: Final[Any] = {}
