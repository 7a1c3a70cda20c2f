"""Consent as a value: what was approved runs, what is new waits, and nobody gets more than both say."""

from __future__ import annotations

from hypothesis import given, strategies as st

from plugin_host.plugins.consent import Asked, Consent, asked_by
from plugin_host.plugins.plan import Candidate, Found
from plugin_host.sdk.manifest import (
    EventsDeclared,
    Permission,
    PermissionsFile,
    PluginManifest,
    PublicRoute,
)

names = st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True).map(lambda found: tuple(sorted(found)))
asked = st.builds(Asked, permissions=names, asks=names, public=names, subscribes=names)
consents = st.builds(
    Consent,
    approved=st.none() | asked,
    ahead=st.lists(asked.map(lambda one: one.digest), max_size=2).map(tuple),
    awaiting=asked,
)


def parts(one: Asked) -> set[tuple[str, str]]:
    return {(kind, name) for kind in Asked.__struct_fields__ for name in getattr(one, kind)}


@given(asked, asked)
def test_sets_of_what_is_asked_for_are_sets(one: Asked, other: Asked) -> None:
    assert parts(one & other) == parts(one) & parts(other)
    assert parts(one | other) == parts(one) | parts(other)
    assert parts(one - other) == parts(one) - parts(other)
    assert (one.digest == other.digest) == (one == other)
    assert bool(one) == bool(parts(one))


@given(consents, asked, asked, st.booleans())
def test_nobody_gets_what_was_not_asked_for_or_not_approved(
    consent: Consent,
    said: Asked,
    beyond: Asked,
    by_default: bool,  # noqa: FBT001 - hypothesis passes by name
) -> None:
    granted = consent.granted(said, beyond, by_default=by_default)
    first = consent.approved is None
    if granted is None:
        assert first
        assert not by_default
        assert said.digest not in consent.ahead
        return
    assert parts(granted) <= parts(said | beyond)
    approved = parts(consent.approved or Asked()) | (parts(said) if said.digest in consent.ahead else set())
    if not (first and by_default):
        assert parts(granted) <= approved
        assert approved & parts(said | beyond) <= parts(granted)


@given(consents, asked, asked)
def test_whoever_was_asked_once_gets_all_that_was_shown(consent: Consent, said: Asked, beyond: Asked) -> None:
    granted = consent.granted(said, beyond, by_default=False)
    if granted is None:
        return
    settled = consent.settled(said, said | beyond, granted)
    assert parts(settled.awaiting) == parts(said | beyond) - parts(granted)
    after = settled.given(said)
    assert after.granted(said, beyond, by_default=False) == said | beyond


@given(asked, asked)
def test_a_later_version_can_be_approved_before_it_is_there(now: Asked, later: Asked) -> None:
    running = Consent(approved=now).given(later)
    assert running.granted(now, by_default=False) == now
    settled = running.settled(now, now, now)  # the old version goes on, and is activated again
    assert settled.granted(later, by_default=False) == later


@given(asked, asked)
def test_an_upgrade_that_asks_for_more_waits_with_the_rest(old: Asked, new: Asked) -> None:
    granted = Consent(approved=old).granted(new, by_default=True)
    assert granted == old & new


def test_a_consent_outlives_being_written_down() -> None:
    import msgspec

    said = Consent(approved=Asked(public=("GET /x",)), ahead=("1",), awaiting=Asked(asks=("b.c",)))
    assert msgspec.json.decode(msgspec.json.encode(said), type=Consent) == said


def test_what_a_plugin_asks_for_is_what_its_files_say() -> None:
    found = Found(
        candidate=Candidate(id="crm", source="folder", place="crm"),
        manifest=PluginManifest(
            id="crm",
            name="CRM",
            requires={"core": ""},
            asks=("contacts.view",),
            events=EventsDeclared(publishes=("crm.a",), subscribes=("contacts.b",)),
        ),
        permissions=PermissionsFile(
            permissions=(Permission(name="crm.view", title="See"),),
            public=(PublicRoute(method="GET", path="hello/", reason="x"),),
        ),
    )
    assert asked_by(found) == Asked(
        permissions=("crm.view",), asks=("contacts.view",), public=("GET /hello",), subscribes=("contacts.b",)
    )
