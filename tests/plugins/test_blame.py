from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from plugin_host.plugins.blame import define_place, describe, did_you_mean, fault

HERE = Path(__file__).parent


def raised(error: BaseException) -> BaseException:
    try:
        _raise(error)
    except BaseException as caught:  # noqa: BLE001 - any
        return caught
    raise AssertionError


def _raise(error: BaseException) -> None:
    raise error


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("boom"), "ValueError: boom"),
        (ValueError(), "ValueError"),
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (ValueError("\x1b[31mred\x07"), "ValueError: [31mred"),
        (ValueError("x" * 400), f"ValueError: {'x' * 300}…"),
        (Speechless(), "Speechless"),
        (SyntaxError("odd"), "SyntaxError: odd"),
    ],
)
def test_an_error_is_told_in_one_line(error: BaseException, expected: str) -> None:
    assert describe(error, HERE) == expected


def test_the_deepest_frame_in_the_folder_is_the_place() -> None:
    line = _raise.__code__.co_firstlineno + 1
    assert describe(raised(ValueError("x")), HERE) == f"ValueError: x (plugins/test_blame.py:{line})"


@pytest.mark.parametrize("folder", [None, Path("/elsewhere")])
def test_without_a_frame_in_the_plugin_there_is_no_place(folder: Path | None) -> None:
    assert describe(raised(ValueError("x")), folder) == "ValueError: x"


@pytest.mark.parametrize(
    ("function", "expected"), [(len, ""), (partial(raised, ValueError()), ""), (raised, f"{__file__}:")]
)
def test_the_place_of_a_definition_is_told_where_there_is_one(function: object, expected: str) -> None:
    assert define_place(function, None).startswith(expected)


def test_a_fault_names_the_plugin_first() -> None:
    reason = fault("hook_failed", "hello", "it broke.", "Mend it.", "other").reason
    assert (reason.text, reason.culprits) == ("hello: it broke.", ("hello", "other"))


def test_nothing_near_is_nothing() -> None:
    assert did_you_mean("abc", ["xyz"]) is None
