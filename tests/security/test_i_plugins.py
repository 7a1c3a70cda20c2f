"""I: plugins among themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from .conftest import Served, code, outcome, request, write_plugin

pytestmark = pytest.mark.security


def test_i01_a_plugin_has_no_more_rights_than_the_person_it_works_for(served: Served) -> None:
    _, name = served.person("invoicing.editor")  # and no role of contacts, whose service invoicing calls
    _, owner = served.person("contacts.editor")
    with served.signed_in(owner) as browser:
        person = browser.post("/api/contacts/people", json={"name": "Ann"}).json()["id"]
    with served.signed_in(name) as browser:
        answer = browser.post("/api/invoicing/invoices", json={"customer_id": person, "lines": []})
        assert answer.status_code in (403, 404, 422)
        assert "Ann" not in answer.text
        listed = browser.get("/api/invoicing/customers")
    assert listed.status_code in (403, 404) or "Ann" not in listed.text


FOREIGN: Final = (
    "op.create_table('core_evil', sa.Column('id', sa.Integer))",
    "op.drop_table('core_user')",
    "op.execute('DELETE FROM core_user')",
    "op.execute('UPDATE core_role_member SET role = 1')",
    "op.add_column('core_user', sa.Column('evil', sa.Integer))",
    "op.create_table('badly_named', sa.Column('id', sa.Integer))",
    "op.create_table('bad0_x', sa.Column('id', sa.Integer))",
)


def test_i05_a_migration_touches_its_own_tables_only(tmp_path: Path) -> None:
    for number, statement in enumerate(FOREIGN):
        write_plugin(tmp_path / "plugins", f"bad{number + 1}", "")
        migrations = tmp_path / "plugins" / f"bad{number + 1}" / "migrations"
        migrations.mkdir()
        head = "import sqlalchemy as sa\nfrom alembic import op\n\ndef upgrade() -> None:\n    "
        (migrations / "0001_evil.py").write_text(f"{head}{statement}\n")
    entries, _ = outcome(tmp_path)
    reasons = [entries[f"bad{number + 1}"].reason for number in range(len(FOREIGN))]
    assert {reason and reason.code for reason in reasons} <= {"migration_foreign", "migration_failed"}
    again, _ = outcome(tmp_path)  # and core is as it was
    assert again["core"].state == "active"


@pytest.mark.parametrize(
    "name",
    [
        b"X-Plugin-Host-User",
        b"X-PLUGIN-HOST-IDENTITY",
        b"x_plugin_host_user",
        b"X-Plugin_Host-Actor",
        b"X-Real-IP",
        b"Forwarded",
        b"X-Original-URL",
        b"X-Forwarded-User",
        b"Proxy",
    ],
)
def test_i06_headers_that_only_the_host_sets_do_not_come_in(served: Served, name: bytes) -> None:
    raw, _ = served.talk(request("/api/probe/said", name + b": admin", b"Connection: close"))
    said = json.loads(raw.partition(b"\r\n\r\n")[2])
    assert "admin" not in said["headers"].values()
    assert said["headers"]["host"] == "127.0.0.1"


def test_i06_an_address_is_believed_from_a_trusted_proxy_only(served: Served) -> None:
    with served.client() as caller:
        said = caller.get("/api/probe/said", headers={"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"})
    assert (said.json()["client"], said.json()["scheme"]) == ("203.0.113.7", "https")
    assert code(httpx_get(served, "evil.test")) == (400, "bad_host")


def httpx_get(served: Served, host: str) -> object:
    with served.client(**{"x-forwarded-host": host}) as caller:
        return caller.get("/api/probe/said")
