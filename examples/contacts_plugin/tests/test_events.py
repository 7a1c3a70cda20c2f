"""Who was added is told to other plugins, if and only if they were added."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plugin_host.testing.events import Deliveries

if TYPE_CHECKING:
    import httpx

    from plugin_host import PluginHost

pytestmark = pytest.mark.anyio


async def test_who_is_added_is_told(host: PluginHost, ann: httpx.AsyncClient) -> None:
    made = (await ann.post("/people", json={"name": "Kim"})).json()
    assert (await ann.post("/people", json={"name": ""})).status_code == 422
    (told,) = await Deliveries(host).published("contacts.person.created")
    assert (told.key, told.fields["name"], told.fields["owner_id"]) == (made["id"], "Kim", "1")
