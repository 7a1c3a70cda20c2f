"""The policy by commands: by the operator's own hand, on a host that need not run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from plugin_host.cli.main import cli

PASSWORD = "correct-horse-battery"


class Shell:
    """Calls plugin-host on one data folder."""

    def __init__(self, folder: Path) -> None:
        config = folder / "plugin-host.toml"
        config.write_text(f'data_dir = "{folder / "data"}"\n')
        self._config = str(config)

    def run(self, *words: str, stdin: str = "") -> tuple[int, str]:
        done = CliRunner().invoke(cli, [*words, "--config", self._config], input=stdin)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            return 1, str(done.exception)  # `main` words it in one line
        return done.exit_code, done.output

    def json(self, *words: str) -> dict[str, Any]:
        code, output = self.run(*words, "--json")
        assert code == 0, output
        said: dict[str, Any] = json.loads(output)
        return said

    def person(self, name: str, *roles: str) -> str:
        given = [word for role in roles for word in ("--role", role)]
        code, output = self.run("users", "create", name, "--json", "--password-file", "-", *given, stdin=PASSWORD)
        assert code == 0, output
        return str(json.loads(output)["id"])


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_group_is_made_filled_shown_and_deleted(shell: Shell) -> None:
    ada = shell.person("ada", "core.admin")
    made = shell.json("groups", "create", 'Sales, "EMEA"', "--role", "contacts.viewer")
    assert (made["members"], made["roles"]) == ([], ["contacts.viewer"])
    added = shell.json("groups", "add", 'sales, "emea"', "ada")
    assert (added["members"], added["revision"] > made["revision"]) == ([ada], True)
    assert shell.json("groups", "grant", made["id"], "contacts.editor")["roles"] == [
        "contacts.editor",
        "contacts.viewer",
    ]
    assert shell.json("groups", "revoke", made["id"], "contacts.viewer")["roles"] == ["contacts.editor"]
    assert "members: ada" in shell.run("groups", "show", made["id"])[1]
    assert shell.json("groups", "remove", made["id"], "ada")["members"] == []
    assert shell.json("groups", "delete", made["id"])["deleted"] == made["id"]
    assert shell.json("groups", "list")["items"] == []


def test_what_is_not_there_is_said_in_a_line(shell: Shell) -> None:
    shell.person("ada", "core.admin")
    for words in (
        ["groups", "show", "nobody"],
        ["groups", "delete", "nobody"],
        ["groups", "create", "x", "--member", "nobody"],
        ["groups", "create", "x", "--role", "nobody"],
        ["groups", "create", "x" * 10_000],
        ["groups", "create", "a\nb"],
        ["roles", "show", "nobody"],
    ):
        code, output = shell.run(*words)
        assert code == 1, words
        assert "nobody" in output or "characters" in output, words
    assert shell.json("groups", "list")["items"] == []


@pytest.mark.security
def test_the_last_administrator_stays_also_by_command(shell: Shell) -> None:
    shell.person("ada")
    group = shell.json("groups", "create", "admins", "--member", "ada", "--role", "core.admin")
    for words in (["remove", group["id"], "ada"], ["revoke", group["id"], "core.admin"], ["delete", group["id"]]):
        code, output = shell.run("groups", *words)
        assert (code, "no administrator" in output) == (1, True), words
    assert shell.json("groups", "show", "admins")["roles"] == ["core.admin"]


def test_roles_say_what_they_give_and_who_brings_them(shell: Shell) -> None:
    listed = shell.json("roles", "list")["items"]
    assert {"core.admin", "contacts.editor"} <= {role["name"] for role in listed}
    shown = shell.json("roles", "show", "contacts.editor")
    assert shown["plugin"] == "contacts"
    code, text = shell.run("roles", "show", "contacts.editor")
    assert (code, "contacts.person.edit where" in text) == (0, True)


def test_the_policy_goes_to_a_file_and_comes_back(shell: Shell, tmp_path: Path) -> None:
    shell.person("ada", "core.admin")
    shell.person("rolf", "contacts.viewer")
    shell.json("groups", "create", "Sales", "--member", "rolf", "--role", "contacts.editor")
    code, text = shell.run("access", "export")
    assert code == 0, text
    policy = json.loads(text)
    assert policy["groups"] == [{"name": "Sales", "members": ["rolf"], "roles": ["contacts.editor"]}]
    assert policy["users"] == {"ada": ["core.admin"], "rolf": ["contacts.viewer"]}

    policy["roles"] = [
        {"name": "inner", "grants": [{"permission": "core.api.view"}], "includes": ["outer"]},
        {"name": "outer", "includes": ["inner"]},
    ]
    policy["users"]["rolf"] = ["outer"]
    policy["rules"] = [{"subject": "group:Sales", "permission": "contacts.create", "effect": "deny"}]
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(policy))
    tried = shell.json("access", "import", str(file), "--dry-run")
    assert [(each["username"], each["gains"], each["loses"]) for each in tried["items"]] == [
        ("rolf", ["core.api.view"], ["contacts.create"])
    ]
    assert shell.json("roles", "list", "--json")["revision"] == tried["revision"]
    done = shell.json("access", "import", str(file))
    assert (done["items"], done["revision"] > tried["revision"]) == (tried["items"], True)
    again = json.loads(shell.run("access", "export")[1])
    assert [role["name"] for role in again["roles"]] == ["inner", "outer"]
    assert again["users"]["rolf"] == ["outer"]
    assert shell.json("access", "import", str(file))["items"] == []
    file.write_text(json.dumps({"format": 1, "rules": [], "roles": [], "groups": []}))
    code, text = shell.run("access", "import", str(file), "--replace")
    assert (code, "rolf: + " in text or "rolf: - " in text) == (0, True), text
    assert json.loads(shell.run("access", "export")[1])["groups"] == []


@pytest.mark.security
def test_an_import_is_all_or_nothing(shell: Shell, tmp_path: Path) -> None:
    shell.person("ada", "core.admin")
    file = tmp_path / "policy.json"
    good = {"format": 1, "roles": [{"name": "kept", "grants": [{"permission": "contacts.view"}]}]}
    wrong: list[Any] = [
        {**good, "rules": [{"subject": "user:nobody", "permission": "contacts.view"}]},
        {**good, "users": {"ada": []}},
        {**good, "users": {"nobody": []}},
        {**good, "groups": [{"name": "x", "members": ["nobody"]}]},
        {**good, "roles": [*good["roles"], {"name": "x", "includes": ["nobody"]}]},  # type: ignore[misc]
        {**good, "format": 2},
        {**good, "more": 1},
        [],
    ]
    for policy in wrong:
        file.write_text(json.dumps(policy))
        code, text = shell.run("access", "import", str(file))
        assert code == 1, (policy, text)
        assert text.strip(), policy
    file.write_bytes(b"\xff{")
    assert shell.run("access", "import", str(file))[0] == 1
    assert [role["name"] for role in shell.json("roles", "list")["items"] if role["plugin"] is None] == []


def test_why_and_who_and_sharing(shell: Shell) -> None:
    shell.person("ada", "core.admin")
    rolf = shell.person("rolf", "contacts.viewer")
    said = shell.json("access", "explain", "rolf", "contacts.create")
    assert (said["allowed"], said["reason"]) == (False, "no_grant")
    code, text = shell.run("access", "explain", "rolf", "contacts.view")
    assert (code, f"through user:{rolf} → role:contacts.viewer" in text) == (0, True)
    assert [each["username"] for each in shell.json("access", "who-can", "contacts.view")["items"]] == ["ada", "rolf"]
    code, text = shell.run("access", "share", "contacts.person.edit", "nothing", "user:rolf")
    assert (code, "there is no contacts.person" in text) == (1, True)
    assert shell.run("access", "share", "contacts.person.edit", "1", "user:rolf", "--until", "soon")[0] == 2
    assert shell.run("access", "explain", "nobody", "contacts.view")[0] == 1


def test_a_role_of_ones_own_is_given_by_command(shell: Shell, tmp_path: Path) -> None:
    shell.person("ada", "core.admin")
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"format": 1, "roles": [{"name": "Sales, EMEA"}]}))
    shell.json("access", "import", str(file))
    assert shell.json("users", "grant", "ada", "Sales, EMEA")["roles"] == ["Sales, EMEA", "core.admin"]
    assert shell.json("users", "revoke", "ada", "Sales, EMEA")["roles"] == ["core.admin"]
    assert shell.run("users", "revoke", "ada", "core.admin")[0] == 1
