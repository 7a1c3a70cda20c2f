"""E: personal and service tokens."""

from __future__ import annotations

import pytest

from .conftest import PASSWORD, Served, code

pytestmark = pytest.mark.security

TOKENS = "/api/core/auth/tokens"
ME = "/api/core/auth/me"


def make(served: Served, name: str, **more: object) -> dict[str, str]:
    with served.signed_in(name) as browser:
        answer = browser.post(TOKENS, json={"name": "script", **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_e01_a_token_may_not_have_what_its_owner_has_not(served: Served) -> None:
    _, name = served.person("probe.viewer")
    with served.signed_in(name) as browser:
        answer = browser.post(TOKENS, json={"name": "script", "scopes": ["core.users.manage"]})
    assert code(answer)[0] == 403


def test_e01_a_token_has_only_its_scopes(served: Served) -> None:
    token = make(served, "root", scopes=["probe.view"])["token"]
    with served.bearer(token) as script:
        assert script.get("/api/probe/guarded").status_code == 200
        assert code(script.get("/api/core/users")) == (403, "forbidden")


def test_e02_what_the_owner_loses_the_token_loses(served: Served) -> None:
    user_id, name = served.person("probe.viewer")
    with served.bearer(make(served, name)["token"]) as script, served.signed_in() as root:
        assert script.get("/api/probe/guarded").status_code == 200
        assert root.put(f"/api/core/users/{user_id}/roles", json={"roles": []}).status_code == 200
        assert code(script.get("/api/probe/guarded")) == (403, "forbidden")


def test_e03_a_token_makes_no_tokens_and_administers_nothing(served: Served) -> None:
    with served.bearer(make(served, "root")["token"]) as script:
        answers = [
            script.post(TOKENS, json={"name": "another"}),
        ]
    assert [code(answer) for answer in answers] == [(403, "interactive_session_required")]


def test_e04_a_token_that_is_revoked_or_whose_owner_is_out_is_no_more(served: Served) -> None:
    user_id, name = served.person()
    first, second = make(served, name), make(served, name)
    with served.signed_in(name) as browser:
        assert browser.delete(f"{TOKENS}/{first['id']}").status_code == 204
    with served.bearer(first["token"]) as script:
        assert script.get(ME).status_code == 401
    with served.bearer(second["token"]) as script, served.signed_in() as root:
        assert script.get(ME).status_code == 200
        assert root.patch(f"/api/core/users/{user_id}", json={"status": "disabled"}).status_code == 200
        assert script.get(ME).status_code == 401
    with served.bearer(second["token"][:-1] + ("a" if second["token"][-1] != "a" else "b")) as script:
        assert script.get(ME).status_code == 401


def test_e06_a_token_is_shown_once(served: Served) -> None:
    made = make(served, "root")
    with served.signed_in() as root:
        listed, shown = root.get(TOKENS).text, root.get(f"{TOKENS}/{made['id']}").text
    for text in (listed, shown):
        assert made["token"] not in text
        assert PASSWORD not in text
        assert made["last4"] in text
