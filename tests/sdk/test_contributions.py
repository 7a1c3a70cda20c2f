"""What hooks return: plain data, and the words that a handler raises."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from plugin_host.sdk.contributions import AsgiApp, EventHandler, Health, Job, Migrations, Retry, Service, ServiceKey
from plugin_host.sdk.services import FILES, MAIL, USERS


class Lookup:
    """A service of these tests."""


async def nothing(*_: Any) -> None:
    """Stand in for a handler."""


def test_key_is_typed_by_what_it_gives() -> None:
    key = ServiceKey[Lookup]("contacts.lookup", 1)
    assert (key.name, key.version) == ("contacts.lookup", 1)


def test_two_plugins_may_write_the_same_key() -> None:
    assert {ServiceKey[Lookup]("contacts.lookup", 1): "here"}[ServiceKey("contacts.lookup", 1)] == "here"


def test_key_of_another_version_is_another_key() -> None:
    assert ServiceKey[Lookup]("contacts.lookup", 1) != ServiceKey[Lookup]("contacts.lookup", 2)


@pytest.mark.parametrize(("key", "name"), [(USERS, "core.users"), (MAIL, "core.mail"), (FILES, "core.files")])
def test_services_of_core(key: ServiceKey[Any], name: str) -> None:
    assert (key.name, key.version) == (name, 1)


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (Migrations("host_contacts.migrations"), "package"),
        (Service(ServiceKey[Lookup]("contacts.lookup", 1), Lookup()), "obj"),
        (ServiceKey[Lookup]("contacts.lookup", 1), "name"),
        (AsgiApp(nothing), "app"),
        (Health("ok"), "status"),
        (EventHandler(Lookup, nothing), "fn"),
        (Job("contacts.tidy", nothing), "name"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_contributions_are_frozen(made: object, field: str) -> None:
    with pytest.raises(AttributeError):
        setattr(made, field, None)


def test_asgi_application_answers_below_the_root_unless_it_says_otherwise() -> None:
    assert (AsgiApp(nothing).path, AsgiApp(nothing).permission) == ("/", None)


def test_jobs_that_differ_only_in_a_function_are_equal() -> None:
    assert Job("contacts.tidy", nothing, unique_by=str) == Job("contacts.tidy", nothing)


@pytest.mark.parametrize("after", [5, dt.timedelta(minutes=1)])
def test_retry_says_when(after: float | dt.timedelta) -> None:
    assert Retry(after).after == after
