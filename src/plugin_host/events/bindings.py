"""Who owns which event, and who is called for it: what plugins registered, held to the rules.

Made once for each plugin when it is activated; whatever does not fit is the plugin's fault (`hook_invalid`).
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from plugin_host.events.codec import upcasters_of, version_of
from plugin_host.events.schedules import Schedule, ScheduleError
from plugin_host.events.tables import MAX_NAME, MAX_SUBSCRIBER
from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from plugin_host.sdk.contributions import EventHandler, Job

_EVENT: Final = re.compile(r"[a-z][a-z0-9]{1,30}\.[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\Z")
_JOB: Final = re.compile(r"[a-z][a-z0-9]{1,30}\.[a-z][a-z0-9_.]*\Z")

PARTS: Final = frozenset("actor access db events jobs services settings log delivery".split())
"""What a handler and a job may ask for by name; the one also `event`, the other also `args`."""


@dataclass(frozen=True, slots=True)
class EventType:
    """An event that a plugin owns; `public` ones may be listened to by other plugins."""

    name: str
    plugin: str
    struct: type[Any]
    version: int
    public: bool = True


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that is called for an event (`event` is its name), or as a job (`job` is its name)."""

    subscriber: str
    plugin: str
    fn: Callable[..., Any]
    wanted: tuple[str, ...]
    struct: type[Any] | None
    retry: int
    timeout: float
    event: str | None = None
    job: str | None = None
    ordered: bool = False
    schedule: Schedule | None = None
    unique_by: Callable[[Any], str] | None = None
    # The struct of the event's owner, whose upcasters bring old ones up to date; None while the owner is not active.
    owner: type[Any] | None = None

    @property
    def foreign(self) -> bool:
        """Whether the event is another plugin's."""
        return self.event is not None and self.event.partition(".")[0] != self.plugin


@dataclass(frozen=True, slots=True)
class Bound:
    """What one plugin registered."""

    plugin: str
    events: Mapping[str, EventType] = field(default_factory=dict)
    handlers: tuple[Handler, ...] = ()
    jobs: Mapping[str, Handler] = field(default_factory=dict)

    @property
    def foreign(self) -> tuple[str, ...]:
        """The events of other plugins that it listens to."""
        return tuple(sorted({handler.event for handler in self.handlers if handler.event and handler.foreign}))


def bind(  # noqa: PLR0913 - what a plugin registered, and what it may
    plugin: str,
    events: Sequence[type[Any]],
    handlers: Sequence[EventHandler],
    jobs: Sequence[Job],
    *,
    publishes: Collection[str] = (),
    requires: Collection[str] = (),
    optional: Collection[str] = (),
    known: Mapping[str, EventType] | None = None,
) -> Bound:
    """Hold what a plugin registered to the rules.

    `publishes` are the events of its plugin.json, which others may listen to; `requires` and `optional` the plugins
    that it needs; `known` the events of the plugins that run. Raises `PluginFault` `hook_invalid`.
    """
    rules = _Rules(plugin)
    types = {each.name: each for each in (rules.event(struct, publishes) for struct in events)}
    if len(types) != len(events):
        raise rules.fault("register_events returns two types with one tag.", "Give each event a tag of its own.")
    needs = {*requires, *optional, plugin, "core"}
    reachable = {**(known or {}), **types}
    bound = [rules.handler(each, needs, set(requires), reachable) for each in handlers]
    rules.unique([each.subscriber for each in bound], "register_event_handlers", "EventHandler(…, name=…)")
    made = [rules.job(each) for each in jobs]
    rules.unique([each.subscriber for each in made], "register_jobs", "another Job.name")
    return Bound(plugin, types, tuple(bound), {each.subscriber: each for each in made})


class _Rules:
    def __init__(self, plugin: str) -> None:
        self._plugin = plugin

    def fault(self, text: str, way_out: str, *culprits: str) -> PluginFault:
        return PluginFault(
            Reason(
                code="hook_invalid",
                text=f"{self._plugin}: {text}",
                culprits=(self._plugin, *culprits),
                way_out=way_out,
            )
        )

    def event(self, struct: type[Any], publishes: Collection[str]) -> EventType:
        shown, name = struct.__name__, _tag(struct)
        if name is None or _EVENT.match(name) is None or len(name) > MAX_NAME:
            text = f"the event {shown} has the tag {name!r}, which is not <id>.<object>.<past verb>."
            raise self.fault(text, f'Write class {shown}(Struct, frozen=True, tag="{self._plugin}.person.created").')
        if name.partition(".")[0] != self._plugin:
            text = f"register_events returns {name!r}: its events begin with '{self._plugin}.'."
            raise self.fault(text, "Publish only what is yours; listen to others with register_event_handlers.")
        if not struct.__struct_config__.frozen:
            raise self.fault(f"the event {shown} can be changed.", f"Write class {shown}(Struct, frozen=True, …).")
        if "__version__" in vars(struct) and (version_of(struct) or 0) < 1:
            raise self.fault(f"{shown}.__version__ is {struct.__version__!r}.", "Count from 1, as a whole number.")
        version = version_of(struct) or 1
        missing = [step for step in range(1, version) if not callable(upcasters_of(struct).get(step))]
        if missing:
            text = f"{name} is of version {version}, and nothing turns version {missing[0]} into {missing[0] + 1}."
            raise self.fault(
                text, f"Add to {shown}: __upcasters__: ClassVar = {{{missing[0]}: function of the old fields}}."
            )
        return EventType(name, self._plugin, struct, version, public=name in publishes)

    def handler(
        self, said: EventHandler, needs: set[str], requires: set[str], known: Mapping[str, EventType]
    ) -> Handler:
        struct, name = said.event, _tag(said.event) if _is_struct(said.event) else None
        if name is None or _EVENT.match(name) is None:
            text = f"an EventHandler is for {struct!r:.80}, which is no event: a struct with the event's tag."
            raise self.fault(text, 'Write class Created(Struct, frozen=True, tag="contacts.person.created").')
        at = f"the handler {_name_of(said)!r} of {name}"
        owner = name.partition(".")[0]
        if owner not in needs:
            text = f"{at} listens to {owner!r}, which the plugin does not need."
            raise self.fault(text, f"Add {owner!r} to requires or optional in plugin.json.", owner)
        found = known.get(name)
        if found is None and (owner in requires or owner == self._plugin):
            near = ", ".join(sorted(each for each in known if each.startswith(f"{owner}."))) or "none"
            raise self.fault(f"{at}: {owner} registers no such event.", f"The events of {owner} are: {near}.", owner)
        if found is not None and owner != self._plugin and not found.public:
            text = f"{at}: {owner} keeps that event to itself."
            raise self.fault(text, f"It is for others when plugin.json of {owner} has it in events.publishes.", owner)
        version = version_of(struct)
        if found is not None and version is not None and version != found.version:
            text = f"{at} is written for version {version}; {owner} publishes version {found.version}."
            raise self.fault(
                text, "Install versions of both that match, or leave out __version__ and read what is there."
            )
        if said.order not in (None, "key"):
            raise self.fault(f"{at} has order={said.order!r}.", 'Write order="key", or leave it out.')
        subscriber = f"{self._plugin}:{name}:{_name_of(said)}"
        return Handler(
            subscriber=self._checked(subscriber, at),
            plugin=self._plugin,
            fn=said.fn,
            wanted=self._wanted(said.fn, "event", at),
            struct=struct,
            retry=self._retry(said.retry, at),
            timeout=self._timeout(said.timeout, at),
            event=name,
            ordered=said.order == "key",
            owner=found.struct if found is not None else None,
        )

    def job(self, said: Job) -> Handler:
        at = f"the job {said.name!r:.80}"
        if _JOB.match(str(said.name)) is None or len(said.name) > MAX_NAME:
            raise self.fault(f"{at} has no name of the form <id>.<word>.", f"Name it {self._plugin}.tidy, for example.")
        if said.name.partition(".")[0] != self._plugin:
            raise self.fault(f"{at}: its jobs begin with '{self._plugin}.'.", f"Name it {self._plugin}.<word>.")
        if said.args is not None and not _is_struct(said.args):
            raise self.fault(f"{at} has args={said.args!r:.80}.", "Give a msgspec Struct type.")
        return Handler(
            subscriber=said.name,
            plugin=self._plugin,
            fn=said.fn,
            wanted=self._wanted(said.fn, "args", at),
            struct=said.args,
            retry=self._retry(said.retry, at),
            timeout=self._timeout(said.timeout, at),
            job=said.name,
            ordered=said.unique_by is not None,  # two of the same never run at once
            schedule=self._schedule(said, at),
            unique_by=said.unique_by,
        )

    def unique(self, names: Sequence[str], hook: str, way_out: str) -> None:
        for n, name in enumerate(names):
            if name in names[:n]:
                raise self.fault(f"{hook} returns {name!r} twice.", f"Tell them apart by {way_out}.")

    def _schedule(self, said: Job, at: str) -> Schedule | None:
        if said.schedule is None:
            return None
        try:
            schedule = Schedule.parse(said.schedule, said.timezone)
        except ScheduleError as error:
            raise self.fault(
                f"{at}: {error}.", 'Write a cron line and a time zone: schedule="0 3 * * *", timezone="UTC".'
            ) from error
        if said.args is not None:
            try:
                msgspec.json.decode(b"{}", type=said.args)
            except msgspec.ValidationError as error:
                text = f"{at} has a schedule, and {said.args.__name__} needs values that nobody gives: {error}."
                raise self.fault(text, "Give the fields of its arguments defaults.") from error
        return schedule

    def _wanted(self, fn: Callable[..., Any], own: str, at: str) -> tuple[str, ...]:
        if not callable(fn):
            raise self.fault(f"{at} is {fn!r:.80}, which cannot be called.", "Give a function.")
        try:
            parameters = inspect.signature(fn).parameters.values()
        except (TypeError, ValueError) as error:
            text = f"{at}: nobody can tell what its function takes."
            raise self.fault(text, "Give a plain function.") from error
        may = {own, *PARTS}
        wanted = []
        for each in parameters:
            if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
                continue
            if each.name in may and each.kind is not each.POSITIONAL_ONLY:
                wanted.append(each.name)
            elif each.default is each.empty:
                text = f"{at} takes {each.name!r}, which the host does not give."
                raise self.fault(text, f"It may ask by name for: {', '.join(sorted(may))}.")
        return tuple(wanted)

    def _retry(self, retry: object, at: str) -> int:
        if not isinstance(retry, int) or isinstance(retry, bool) or not 0 <= retry <= 100:  # noqa: PLR2004 - a bound
            raise self.fault(f"{at} has retry={retry!r}.", "Give a whole number from 0 to 100.")
        return retry

    def _timeout(self, timeout: object, at: str) -> float:
        if not isinstance(timeout, int | float) or not timeout > 0:
            raise self.fault(f"{at} has timeout={timeout!r}.", "Give seconds, more than 0.")
        return float(timeout)

    def _checked(self, subscriber: str, at: str) -> str:
        if len(subscriber) > MAX_SUBSCRIBER:
            raise self.fault(f"{at} has a name that is too long.", "Give it a shorter one: EventHandler(…, name=…).")
        return subscriber


def _is_struct(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, msgspec.Struct)


def _tag(struct: type[Any]) -> str | None:
    config = struct.__struct_config__
    return config.tag if isinstance(config.tag, str) and config.tag_field == "type" else None


def _name_of(said: EventHandler) -> str:
    return said.name or str(getattr(said.fn, "__name__", type(said.fn).__name__))
