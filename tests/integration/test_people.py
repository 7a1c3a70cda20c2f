"""People on a whole host: who must have a second factor, and what commands do while it runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pyotp
import pytest
from click.testing import CliRunner

from plugin_host import PluginHost, Settings
from plugin_host.cli.main import cli
from plugin_host.settings import Auth
from plugin_host.settings.mail import Mail
from tests.integration.conftest import PASSWORD, client, running, signed_in

pytestmark = pytest.mark.anyio
# What does not depend on the kind of database is tested on one.
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

Command = Callable[..., "Outcome"]


class Outcome:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text


@pytest.fixture
async def host(settings: Settings) -> AsyncIterator[PluginHost]:
    async with running(PluginHost(settings, safe=True)) as host:
        yield host


@pytest.fixture
def command(settings: Settings, tmp_path: Path) -> Command:
    """Run a command in another thread, as another process would, on the same database."""
    config = tmp_path / "plugin-host.toml"
    config.write_text(f"data_dir = {json.dumps(settings.data_dir)}\ndatabase = {json.dumps(settings.database)}\n")

    async def run(*words: str, stdin: str = "") -> Outcome:
        def call() -> Outcome:
            result = CliRunner().invoke(cli, [*words, "--config", str(config)], input=stdin)
            return Outcome(result.exit_code, result.output + (f"{result.exception}" if result.exception else ""))

        return await asyncio.to_thread(call)

    return run


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).removeprefix("urn:plugin-host:problem:")


@on_sqlite
@pytest.mark.parametrize("policy", ["admins", "all"])
async def test_who_must_have_a_second_factor_gets_one_first(settings: Settings, policy: str) -> None:
    import msgspec

    auth = Auth(mfa=policy)  # type: ignore[arg-type]
    async with (
        running(PluginHost(msgspec.structs.replace(settings, auth=auth), safe=True)) as host,
        signed_in(host) as admin,
        signed_in(host, "bob") as bob,
    ):
        me = (await admin.get("/api/core/auth/me")).json()
        users = await admin.get("/api/core/users")
        bobs = (await bob.post("/api/core/access/check", json={"checks": []})).status_code
        shell = (await admin.get("/api/core/shell")).status_code
        seed = (await admin.post("/api/core/auth/mfa/totp")).json()
        await admin.post("/api/core/auth/mfa/totp/confirm", json={"otp": pyotp.TOTP(seed["secret"]).now()})
        after = await admin.get("/api/core/users")
        kept = await admin.delete("/api/core/auth/mfa/totp")
    assert (me["permissions"], users.status_code, code_of(users)) == ([], 403, "mfa_enrolment_required")
    assert (bobs, shell, after.status_code) == (200 if policy == "admins" else 403, 200, 200)
    assert (kept.status_code, code_of(kept)) == (409, "mfa_required")


async def test_commands_hold_at_the_next_request_of_a_running_host(host: PluginHost, command: Command) -> None:
    async with signed_in(host, "bob") as bob:
        granted = await command("users", "grant", "bob", "core.admin")
        with_role = (await bob.get("/api/core/users")).status_code
        revoked = await command("users", "revoke", "bob", "core.admin")
        without = (await bob.get("/api/core/users")).status_code
        disabled = await command("users", "disable", "BOB")
        gone = (await bob.get("/api/core/auth/me")).status_code
    assert [each.code for each in (granted, revoked, disabled)] == [0, 0, 0], granted.text
    assert (with_role, without, gone) == (200, 403, 401)


@on_sqlite
async def test_a_command_invites_and_the_person_accepts(host: PluginHost, command: Command) -> None:
    made = await command("users", "invite", "bob", "--role", "core.admin", "--email", "bob@example.org", "--json")
    said = json.loads(made.text)
    token = said["invitation"]["url"].partition("#")[2]
    async with client(host) as browser:
        accepted = await browser.post("/api/core/auth/invitation", json={"token": token, "password": PASSWORD})
        await browser.post("/api/core/auth/login", json={"username": "bob", "password": PASSWORD})
        users = await browser.get("/api/core/users")
    assert (accepted.status_code, users.status_code, said["roles"]) == (200, 200, ["core.admin"])


async def test_a_command_gives_a_new_password_and_ends_the_sessions(host: PluginHost, command: Command) -> None:
    async with signed_in(host, "bob") as bob:
        done = await command("users", "set-password", "bob", "--password-file", "-", stdin="another-long-one-of-his\n")
        seen = (await bob.get("/api/core/auth/me")).status_code
        again = await bob.post("/api/core/auth/login", json={"username": "bob", "password": "another-long-one-of-his"})
    assert (done.code, seen, again.status_code) == (0, 401, 200)


async def test_a_command_rotates_the_keys_of_a_running_host(host: PluginHost, command: Command) -> None:
    body = {"username": "root", "password": PASSWORD, "client": "app"}
    async with client(host) as one:
        token = (await one.post("/api/core/auth/login", json=body)).json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    seen = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(host.asgi), base_url="http://127.0.0.1:8000") as one:
        for words in (["--json"], ["--json", "--revoke-old"]):
            done = await command("auth", "rotate-keys", *words)
            answer = await one.get("/api/core/auth/me", headers=headers)
            published = (await one.get("/.well-known/jwks.json")).json()
            seen.append((answer.status_code, len(published["keys"]), published == json.loads(done.text)))
    assert seen == [(200, 2, True), (401, 1, True)]


@on_sqlite
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["users", "show", "nobody"], "there is no user 'nobody'"),
        (["users", "grant", "root", "contacts.emperor"], "there is no role 'contacts.emperor'"),
        (["users", "revoke", "root", "contacts.editor"], "root does not have: contacts.editor"),
        (["users", "disable", "root"], "last administrator"),
        (["users", "revoke", "root", "core.admin"], "last administrator"),
        (["users", "invite", "root", "--role", "core.admin"], "there is 'root' already"),
    ],
    ids=" ".join,
)
async def test_what_cannot_be_is_told(host: PluginHost, command: Command, words: list[str], told: str) -> None:
    done = await command(*words)
    assert (done.code, told in done.text) == (1, True), done.text
    assert host.standing.generation.number > 0


@on_sqlite
async def test_people_are_listed_and_shown(host: PluginHost, command: Command) -> None:
    await command("users", "create", "robot", "--service")
    listed = json.loads((await command("users", "list", "--json")).text)["items"]
    shown = json.loads((await command("users", "show", "robot", "--json")).text)
    async with signed_in(host) as admin:
        answered = (await admin.get("/api/core/users")).json()["items"]
    assert (listed, shown) == (answered, next(each for each in answered if each["username"] == "robot"))
    assert shown["kind"] == "service"


async def test_two_hundred_who_sign_in_at_once_leave_the_loop_to_others(host: PluginHost) -> None:  # A07
    body = {"username": "root", "password": PASSWORD}
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with client(host) as browser:
        beside = asyncio.create_task(others())
        answers = await asyncio.gather(*(browser.post("/api/core/auth/login", json=body) for _ in range(200)))
        beside.cancel()
    codes = {answer.status_code for answer in answers}
    assert codes <= {200, 429, 503}
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) > 100
    assert {(code_of(answer), answer.headers["retry-after"]) for answer in refused} == {("busy", "1")}
    assert turns > 200


@on_sqlite
async def test_a_link_is_mailed_only_where_there_is_a_server(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    import msgspec

    caplog.set_level("DEBUG")
    body = {"username": "bob", "email": "bob@example.org"}
    seen = []
    for mail in (Mail(), Mail(host="127.0.0.1", port=9, security="none", timeout=0.1)):
        changed = msgspec.structs.replace(
            settings, mail=mail, data_dir=f"{settings.data_dir}{len(seen)}", database=None
        )
        async with running(PluginHost(changed, safe=True)) as host, signed_in(host) as admin:
            made = (await admin.post("/api/core/users", json=body)).json()["invitation"]
            letters = (await admin.get("/api/core/jobs")).json()
            seen.append((made["mailed"], "core.mail" in json.dumps(letters)))
            assert made["url"].partition("#")[2] not in caplog.text
    assert seen[0][0] is False
    assert seen[1][0] is True
