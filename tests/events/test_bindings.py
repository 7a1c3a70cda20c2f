"""What a plugin may register as events, handlers and jobs, and what it is told otherwise."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

from plugin_host.events.bindings import EventType, bind
from plugin_host.events.codec import MAX_PAYLOAD, Undecodable, decode, encode
from plugin_host.events.publishing import MAX_HOPS, Origin
from plugin_host.sdk import EventHandler, Job
from plugin_host.sdk.errors import PluginFault


class Made(msgspec.Struct, frozen=True, tag="shop.order.made"):
    n: int


class Second(msgspec.Struct, frozen=True, tag="shop.order.made"):
    """The second version: `n` became `number`."""

    number: int
    currency: str = "EUR"
    __version__: ClassVar[int] = 2
    __upcasters__: ClassVar[dict[int, Any]] = {1: lambda old: {"number": old["n"]}}


class Changeable(msgspec.Struct, tag="shop.order.made"):
    n: int


class Untagged(msgspec.Struct, frozen=True):
    n: int


class Short(msgspec.Struct, frozen=True, tag="shop.made"):
    n: int


class Foreign(msgspec.Struct, frozen=True, tag="other.order.made"):
    n: int


class NoWay(msgspec.Struct, frozen=True, tag="shop.order.made"):
    n: int
    __version__: ClassVar[int] = 3


class Zero(msgspec.Struct, frozen=True, tag="shop.order.made"):
    n: int
    __version__: ClassVar[int] = 0


class First(msgspec.Struct, frozen=True, tag="shop.order.made"):
    n: int
    __version__: ClassVar[int] = 1


class Need(msgspec.Struct):
    n: int


def on_made(event: object) -> None:
    """Take an event."""


def on_foreign(event: object, request: object) -> None:
    """Take what nobody gives."""


def work() -> None:
    """Be a job."""


OTHER = {"other.order.made": EventType("other.order.made", "other", Foreign, 1, public=False)}


@pytest.mark.parametrize(
    ("events", "handlers", "jobs", "words"),
    [
        ([Changeable], [], [], "the event Changeable can be changed"),
        ([Untagged], [], [], "has the tag None"),
        ([Short], [], [], "has the tag 'shop.made'"),
        ([Foreign], [], [], "its events begin with 'shop.'"),
        ([NoWay], [], [], "nothing turns version 1 into 2"),
        ([Zero], [], [], "__version__ is 0"),
        ([Made, Second], [], [], "two types with one tag"),
        ([], [EventHandler(Made, on_made)], [], "shop registers no such event"),
        ([Made], [EventHandler(int, on_made)], [], "which is no event"),
        ([], [EventHandler(Foreign, on_made)], [], "listens to 'other', which the plugin does not need"),
        ([Made], [EventHandler(Made, on_foreign)], [], "takes 'request', which the host does not give"),
        ([Made], [EventHandler(Made, 3)], [], "cannot be called"),  # type: ignore[arg-type]
        ([Made], [EventHandler(Made, on_made, order="time")], [], "order='time'"),  # type: ignore[arg-type]
        ([Made], [EventHandler(Made, on_made, retry=-1)], [], "retry=-1"),
        ([Made], [EventHandler(Made, on_made, timeout=0)], [], "timeout=0"),
        ([Made], [EventHandler(Made, on_made), EventHandler(Made, on_made)], [], "twice"),
        ([Second], [EventHandler(First, on_made)], [], "is written for version 1; shop publishes version 2"),
        ([], [], [Job("other.work", work)], "its jobs begin with 'shop.'"),
        ([], [], [Job("work", work)], "has no name of the form"),
        ([], [], [Job("shop.work", work), Job("shop.work", work)], "twice"),
        ([], [], [Job("shop.work", work, schedule="never")], "is no cron line"),
        ([], [], [Job("shop.work", work, schedule="0 3 * * *", timezone="Moon")], "no time zone 'Moon'"),
        ([], [], [Job("shop.work", work, args=Need, schedule="0 3 * * *")], "needs values that nobody gives"),
        ([], [], [Job("shop.work", work, args=int)], "has args=<class 'int'>"),
    ],
)
def test_what_does_not_fit_is_told_with_a_way_out(events: Any, handlers: Any, jobs: Any, words: str) -> None:
    with pytest.raises(PluginFault) as caught:
        bind("shop", events, handlers, jobs)
    assert words in caught.value.reason.text
    assert (caught.value.reason.code, bool(caught.value.reason.way_out)) == ("hook_invalid", True)


@pytest.mark.security
def test_what_a_plugin_keeps_to_itself_is_not_for_others() -> None:
    with pytest.raises(PluginFault, match="other keeps that event to itself"):
        bind("shop", [], [EventHandler(Foreign, on_made)], [], requires=["other"], known=OTHER)


def test_a_handler_of_a_plugin_that_is_not_there_waits_for_it() -> None:
    bound = bind("shop", [], [EventHandler(Foreign, on_made)], [], optional=["other"])
    assert [(each.subscriber, each.owner) for each in bound.handlers] == [("shop:other.order.made:on_made", None)]


def test_an_older_event_is_brought_up_to_date_before_it_is_read() -> None:
    assert decode(encode(Made(7)), Second, 1, Second) == Second(7)
    assert decode(encode(Second(7, "CHF")), Second, 2, Second) == Second(7, "CHF")


def test_a_newer_event_is_read_as_far_as_it_fits() -> None:
    with pytest.raises(Undecodable, match="version 2 does not fit Made"):
        decode(encode(Second(7)), Made, 2, Made)


def test_an_event_that_is_too_large_is_refused_when_it_is_published() -> None:
    class Large(msgspec.Struct, frozen=True, tag="shop.order.made"):
        text: str

    with pytest.raises(ValueError, match="keep the content in a table or a file"):
        encode(Large("x" * MAX_PAYLOAD))


@pytest.mark.security
def test_events_that_answer_each_other_in_a_circle_come_to_an_end() -> None:
    origin = Origin(("user:7",))
    for _ in range(MAX_HOPS):
        origin = origin.through("shop")
    with pytest.raises(ValueError, match="in a circle"):
        origin.through("shop")
