from __future__ import annotations

import pytest

from plugin_host.plugins.services import Offers
from plugin_host.sdk.contributions import Service, ServiceKey
from plugin_host.sdk.errors import PluginFault

KEY = ServiceKey[str]("contacts.lookup", 1)


@pytest.fixture
def offers() -> Offers:
    made = Offers()
    made.add("contacts", Service(KEY, "the look-up"))
    return made


@pytest.mark.parametrize(("plugin", "declared"), [("invoicing", {"contacts"}), ("contacts", set())])
def test_a_plugin_gets_what_it_declared_to_need(offers: Offers, plugin: str, declared: set[str]) -> None:
    assert offers.seen_by(plugin, declared).get(KEY) == "the look-up"


def test_the_application_gets_everything(offers: Offers) -> None:
    assert offers.everything().get(KEY) == "the look-up"


def test_what_was_not_declared_is_not_seen(offers: Offers) -> None:
    with pytest.raises(LookupError, match="add it to requires or optional"):
        offers.seen_by("invoicing", set()).get(KEY)


def test_what_nobody_offers_is_an_error(offers: Offers) -> None:
    with pytest.raises(LookupError, match="is not active, or does not offer it"):
        offers.everything().get(ServiceKey[str]("contacts.other", 1))


def test_another_version_is_an_error(offers: Offers) -> None:
    with pytest.raises(LookupError, match="offers version 1"):
        offers.everything().get(ServiceKey[str]("contacts.lookup", 2))


def test_a_plugin_that_stopped_offers_nothing(offers: Offers) -> None:
    offers.withdraw("contacts")
    assert offers.find("contacts.lookup") is None


@pytest.mark.parametrize(("name", "code"), [("other.lookup", "hook_invalid"), ("contacts.lookup", "name_clash")])
def test_an_offer_is_the_plugins_own_and_made_once(offers: Offers, name: str, code: str) -> None:
    with pytest.raises(PluginFault) as caught:
        offers.add("contacts", Service(ServiceKey[str](name, 1), "again"))
    assert caught.value.reason.code == code
