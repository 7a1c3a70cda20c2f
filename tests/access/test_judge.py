"""Casbin on the rules it is shown. Some of these are defects of Casbin's own parts that cannot happen here."""

from __future__ import annotations

import logging
import logging.config
import threading

import pytest

from plugin_host.access.judge import allows

EDITOR = frozenset({"role:editor"})
ASK = ("contacts.person", "*", "view")


def line(
    subject: str = "role:editor", typ: str = "*", act: str = "*", cond: str = "", effect: str = "allow"
) -> tuple[str, ...]:
    return subject, typ, "*", act, cond, effect


def test_a_rule_that_fits_allows() -> None:
    assert allows([line(typ="contacts.person", act="view")], EDITOR, ASK, frozenset())


@pytest.mark.parametrize("other", [{"subject": "role:viewer"}, {"typ": "contacts"}, {"act": "edit"}])
def test_a_rule_about_something_else_does_not(other: dict[str, str]) -> None:
    assert not allows([line(**other)], EDITOR, ASK, frozenset())


def test_deny_beats_allow_whatever_the_order() -> None:
    lines = [line(), line(act="view", effect="deny"), line()]
    assert not allows(lines, EDITOR, ASK, frozenset())


def test_a_condition_counts_when_it_is_among_the_true_ones() -> None:
    assert allows([line(cond="owner")], EDITOR, ASK, frozenset({"owner"}))


def test_a_condition_does_not_count_otherwise() -> None:
    assert not allows([line(cond="owner")], EDITOR, ASK, frozenset({"small"}))


def test_no_rules_are_refused_because_casbin_would_compare_empty_strings() -> None:
    with pytest.raises(ValueError, match="no rules"):
        allows([], frozenset({""}), ("", "", ""), frozenset())


@pytest.mark.security
@pytest.mark.parametrize(
    "name", ["mallory, admin", 'a"b', "it's", "two\nlines", "Sales)", " admin ", "p", "r.sub", "*"]
)
def test_a_name_is_data_and_never_syntax(name: str) -> None:
    lines = [line(subject=name, typ=name, act=name)]
    other = frozenset({"mallory", "admin", "role:editor", ""})
    assert allows(lines, frozenset({name}), (name, name, name), frozenset())
    assert not allows(lines, other, (name, name, name), frozenset())


@pytest.mark.security
def test_a_condition_is_never_evaluated() -> None:
    assert not allows([line(cond="True")], EDITOR, ASK, frozenset())


def test_a_rule_of_another_shape_is_an_error_and_no_answer() -> None:
    with pytest.raises(RuntimeError, match="invalid policy size"):
        allows([("role:editor", "*")], EDITOR, ASK, frozenset())


def test_denials_are_not_written_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        allows([line(subject="role:secret")], EDITOR, ASK, frozenset())
    assert caplog.records == []


def test_a_servers_set_up_of_logging_does_not_bring_denials_back(caplog: pytest.LogCaptureFixture) -> None:
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "incremental": False})
    with caplog.at_level(logging.DEBUG):
        allows([line(subject="role:secret")], EDITOR, ASK, frozenset())
    assert caplog.records == []


def test_threads_do_not_see_each_others_questions() -> None:
    wrong: list[int] = []

    def ask(number: int) -> None:
        lines = [line(subject=f"role:{number}", act=f"act{number}"), line(subject="role:all", effect="deny")]
        for other in range(8):
            subjects = frozenset({f"role:{number}"} | ({"role:all"} if other % 2 else set()))
            expected = other == number and not other % 2
            if allows(lines, subjects, ("contacts", "*", f"act{other}"), frozenset()) is not expected:
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
