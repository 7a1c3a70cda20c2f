"""Errors as data: what a problem document holds, and what a parked plugin's reason says."""

from __future__ import annotations

import msgspec
import pytest

from plugin_host.sdk.errors import REASON_CODES, FieldError, PluginFault, Problem, Reason


def test_problem_with_the_least_said() -> None:
    body = Problem(404, "not_found").body()
    assert body == {"type": "urn:plugin-host:problem:not_found", "title": "Not Found", "status": 404}


def test_problem_with_everything_said() -> None:
    problem = Problem(422, "invalid", "The name is missing.", errors=[FieldError("/name", "missing")])
    assert problem.body("r-1") == {
        "type": "urn:plugin-host:problem:invalid",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "The name is missing.",
        "instance": "r-1",
        "errors": [{"pointer": "/name", "detail": "missing"}],
    }


def test_problem_with_a_title_of_its_own() -> None:
    assert Problem(409, "conflict", title="Taken").body()["title"] == "Taken"


def test_problem_keeps_its_own_copy_of_the_headers() -> None:
    headers = {"retry-after": "1"}
    problem = Problem(503, "busy", headers=headers)
    headers.clear()
    assert problem.headers == {"retry-after": "1"}


@pytest.mark.parametrize(("detail", "text"), [("No such person.", "No such person."), ("", "not_found")])
def test_problem_as_text(detail: str, text: str) -> None:
    assert str(Problem(404, "not_found", detail)) == text


def test_problem_of_a_status_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="999"):
        Problem(999, "odd")


def test_fault_carries_its_reason() -> None:
    reason = Reason(code="import_failed", text="contacts cannot be imported", culprits=("contacts",), way_out="Fix it.")
    fault = PluginFault(reason)
    assert (fault.reason, str(fault)) == (reason, "contacts cannot be imported")


def test_reason_as_json() -> None:
    reason = Reason(code="conflict", text="a and b", culprits=("a", "b"))
    assert msgspec.to_builtins(reason) == {"code": "conflict", "text": "a and b", "culprits": ("a", "b"), "way_out": ""}


def test_codes_are_words_that_scripts_can_compare() -> None:
    assert len(set(REASON_CODES)) == len(REASON_CODES)
    assert all(code.replace("_", "").isalpha() and code.islower() for code in REASON_CODES)
