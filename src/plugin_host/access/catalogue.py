"""The permissions there are: those of the active plugins, and what comes with each."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from plugin_host.access.judge import ANY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from plugin_host.sdk.manifest import Permission

PATTERN: Final = ".*"


class UnknownPermission(LookupError):
    """A permission that no active plugin declares: a mistake in code, or the plugin is not active."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        near = difflib.get_close_matches(name[:200], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "is its plugin active, and does its permissions.json list it?"
        super().__init__(f"there is no permission {name[:200]!r}; {hint}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Entry:
    """A permission as Casbin sees it: `implied` are the permissions that come with it, itself among them.

    `reads` and `writes` are fields of the object that are read and written only with it.
    """

    name: str
    typ: str
    act: str
    of_objects: bool
    implied: tuple[str, ...]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


class Giver(NamedTuple):
    """A name, or a pattern of names, that gives a permission to whoever is allowed it.

    `conditional` says what becomes of a condition it is given under: it is dropped (holding a thing for one row is
    holding the permission of type scope that comes with it), kept, or it gives nothing (it is about other rows).
    """

    permission: str
    conditional: Literal["dropped", "kept", "nothing"]


class Catalogue:
    """The permissions of the active plugins."""

    __slots__ = ("_entries", "_givers", "_granting", "_meaning")

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries
        self._givers: dict[str, tuple[Giver, ...]] = {}
        self._granting: dict[str, frozenset[str]] = {}
        self._meaning: dict[str, tuple[str, ...]] = {}

    @classmethod
    def of(cls, permissions: Iterable[Permission]) -> Catalogue:
        """Make the catalogue. Raises `UnknownPermission` if one implies what is not there."""
        by_name = {permission.name: permission for permission in permissions}
        return cls({name: _entry(permission, by_name) for name, permission in by_name.items()})

    def entry(self, name: str) -> Entry:
        """Give the permission of that name, or raise `UnknownPermission` with the nearest one."""
        entry = self._entries.get(name)
        if entry is None:
            raise UnknownPermission(name, self._entries)
        return entry

    def nearest(self, name: str) -> str | None:
        """Give the name that is most like this one."""
        return next(iter(difflib.get_close_matches(name[:200], self._entries, n=1)), None)

    def matching(self, pattern: str) -> tuple[str, ...]:
        """Give the names that a pattern means: `*`, `contacts.*` or `contacts.person.*`; of no pattern none."""
        if pattern == ANY:
            return tuple(self._entries)
        if not pattern.endswith(PATTERN):
            return ()
        return tuple(name for name in self._entries if name.startswith(pattern[:-1]))

    def givers(self, name: str) -> tuple[Giver, ...]:
        """Give the names and patterns that give a permission when they are allowed: itself among them."""
        found = self._givers.get(name)
        if found is None:
            asked = self.entry(name)
            strongest: dict[str, Literal["dropped", "kept", "nothing"]] = {}
            for entry in self._entries.values():
                if name in entry.implied:
                    kept = _conditional(entry, asked)
                    for said in (entry.name, *patterns(entry.name)):
                        strongest[said] = max(strongest.get(said, "nothing"), kept, key=_STRENGTH.index)
            found = self._givers[name] = tuple(Giver(said, kept) for said, kept in strongest.items())
        return found

    def meaning(self, name: str) -> tuple[str, ...]:
        """Give the name and the patterns that mean a permission."""
        found = self._meaning.get(name)
        if found is None:
            found = self._meaning[name] = (name, *patterns(name))
        return found

    def granting(self, name: str) -> frozenset[str]:
        """Give the names that, granted on some object, bring a permission: of another object they bring none."""
        found = self._granting.get(name)
        if found is None:
            names = (giver.permission for giver in self.givers(name) if giver.conditional != "nothing")
            found = self._granting[name] = frozenset(names)
        return found

    def acts(self, name: str) -> tuple[str, ...]:
        """Give the actions that, granted on an object, bring a permission of that object; itself among them."""
        asked = self.entry(name)
        return (*(each.act for each in self._entries.values() if each.typ == asked.typ and name in each.implied), ANY)

    def guarding(self, typ: str) -> tuple[Entry, ...]:
        """Give the permissions of a type of objects without which some field is not read, or not written."""
        return tuple(each for each in self._entries.values() if each.typ == typ and (each.reads or each.writes))

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)


_STRENGTH: Final = ("nothing", "kept", "dropped")


def patterns(name: str) -> tuple[str, ...]:
    """Give the patterns that mean a permission, the widest first."""
    words = name.split(".")
    return (ANY, *(".".join(words[:length]) + PATTERN for length in range(1, len(words))))


def _conditional(giving: Entry, asked: Entry) -> Literal["dropped", "kept", "nothing"]:
    if not giving.of_objects:
        return "nothing"  # a condition is about rows: there are none
    if not asked.of_objects:
        return "dropped"
    return "kept" if asked.typ == giving.typ else "nothing"


def _entry(permission: Permission, by_name: Mapping[str, Permission]) -> Entry:
    typ, _, act = permission.name.rpartition(".")
    if not typ or ANY in permission.name:
        raise ValueError(f"{permission.name!r} is no name of a permission: <id>.<action> or <id>.<object>.<action>")
    implied, todo = {permission.name}, [permission]
    while todo:
        for name in todo.pop().implies:
            if name not in by_name:
                raise UnknownPermission(name, by_name)
            if name not in implied:
                implied.add(name)
                todo.append(by_name[name])
    return Entry(
        permission.name,
        typ,
        act,
        permission.scope == "object",
        tuple(sorted(implied)),
        permission.reads,
        permission.writes,
    )
