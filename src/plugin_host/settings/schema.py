"""The settings as frozen structs. Each field's description is its manual, and its bounds hold in code too."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from plugin_host.settings import reading, wording
from plugin_host.settings.auth import Auth
from plugin_host.settings.databases import OwnDatabase, Pool
from plugin_host.settings.events import Events
from plugin_host.settings.mail import Mail
from plugin_host.settings.rates import Rates
from plugin_host.settings.section import Section as _Section, Text
from plugin_host.settings.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plugin_host.settings.reading import Key

_SECRET_WORD: Final = re.compile(r"secret|password|token|credential|key$", re.IGNORECASE)


class Loader(_Section, frozen=True, kw_only=True):
    """`[loader]`: which plugins are looked for and run."""

    folders: Annotated[
        tuple[Text, ...], Meta(description="Folders whose sub-folders are plugins, beside those that pip installed.")
    ] = ()
    disabled: Annotated[
        tuple[Text, ...], Meta(description="Ids of plugins that never run, whatever is wished in the running host.")
    ] = ()
    default: Annotated[
        Literal["enable", "ask"],
        Meta(
            description="What happens to a plugin seen for the first time: it runs, with all that it asks for, or it "
            "waits until somebody consents."
        ),
    ] = "enable"
    strict: Annotated[
        bool, Meta(description="Do not start while a plugin is parked by a fault of its own; for images and CI.")
    ] = False


class Migrations(_Section, frozen=True, kw_only=True):
    """`[migrations]`: who brings the tables up to date."""

    on_start: Annotated[
        Literal["auto", "check"],
        Meta(description="Migrate at the start, or only look: plugins with pending migrations are then parked."),
    ] = "auto"


class Audit(_Section, frozen=True, kw_only=True):
    """`[audit]`: the log of who did what."""

    keep_days: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Days after which entries of the audit log are removed. Without it they are kept for ever."),
    ] = None


class Limits(_Section, frozen=True, kw_only=True):
    """`[limits]`: what one request, and one plugin, may take."""

    rates: Rates = Rates()
    body: Annotated[int, Meta(ge=1, description="Bytes of a request's body; more gets 413.")] = 10_000_000
    import_timeout: Annotated[
        float, Meta(gt=0, description="Seconds that importing a plugin, and hearing its hooks, may take.")
    ] = 30.0
    startup_timeout: Annotated[
        float, Meta(gt=0, description="Seconds that a plugin's `startup` and `shutdown` may take.")
    ] = 10.0
    concurrency: Annotated[
        int, Meta(ge=1, description="Requests of one plugin that may be under way at once; more get 503 `overloaded`.")
    ] = 100
    request_timeout: Annotated[
        float,
        Meta(gt=0, description="Seconds until a request's answer must have begun; later ones get 503 `time_limit`."),
    ] = 60.0
    threads: Annotated[
        int, Meta(ge=1, description="Handlers without `async` of one plugin that run at once; more wait.")
    ] = 8
    errors_per_minute: Annotated[
        int, Meta(ge=1, description="Answers of 500 and above in a minute that may quarantine a plugin.")
    ] = 60
    error_share: Annotated[
        float, Meta(gt=0, le=1, description="Share of a plugin's answers that must be errors for that.")
    ] = 0.5
    timeouts_per_minute: Annotated[
        int, Meta(ge=1, description="Requests over `limits.request_timeout` in a minute that quarantine a plugin.")
    ] = 20
    lag: Annotated[
        float, Meta(gt=0, description="Seconds for which a plugin may block the event loop before it is reported.")
    ] = 0.2


class Remote(_Section, frozen=True, kw_only=True):
    """`[remote.<id>]`: a plugin that runs elsewhere. Shown, and refused by this release: `remote_not_supported`."""

    url: Annotated[
        Annotated[
            str,
            Meta(pattern=r"^(https://[^\s/?#@]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?)(/[^\s?#]*)?$(?![^a])"),
        ],
        Meta(description="Where it answers: `https`, or `http` on this machine; without a password."),
    ]


class Theme(_Section, frozen=True, kw_only=True):
    """`[theme]`: how the pages look."""

    name: Annotated[Text, Meta(description="Name of the application: the header, the title.")] = "Plugin Host"
    logo: Annotated[
        Annotated[str, Meta(pattern=r"^(/(?![/\\])|data:image/)")] | None,
        Meta(description="Picture for the header: an address on this server, as `/logo.svg`, or a `data:image/` URL."),
    ] = None
    accent: Annotated[
        Annotated[str, Meta(pattern="^#([0-9a-fA-F]{3}){1,2}$")] | None,
        Meta(description="Colour of buttons and links, as `#0b6bcb`."),
    ] = None


class Settings(_Section, frozen=True, kw_only=True):
    """All settings. `Settings()` reads neither file nor environment; `Settings.load()` does."""

    data_dir: Annotated[
        Text, Meta(description="Folder for the database and files; made with mode 0700 if it is not there.")
    ] = "./plugin-host-data"
    database: Annotated[
        Text | None,
        Meta(description="`sqlite:///file.db` or `postgresql://user@host/name`. Without it: `<data_dir>/host.db`."),
    ] = None
    schema: Annotated[
        Annotated[str, Meta(pattern="^[a-z_][a-z0-9_]{0,62}$")] | None,
        Meta(description="PostgreSQL schema that holds the tables; made if it is not there."),
    ] = None
    public_url: Annotated[
        Annotated[str, Meta(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")] | None,
        Meta(description="Address that people type. With `https` cookies are sent over TLS only."),
    ] = None
    secret_key: Annotated[
        Annotated[str, Meta(min_length=32)] | None,
        Meta(
            description="Seals signing keys and second factors: at least 32 characters, the same in every process. "
            "Better given as `secret_key_file`. Without it: made in `<data_dir>/secret.key`."
        ),
    ] = None
    server: Server = Server()
    loader: Loader = Loader()
    migrations: Migrations = Migrations()
    auth: Auth = Auth()
    audit: Audit = Audit()
    limits: Limits = Limits()
    pool: Pool = Pool()
    events: Events = Events()
    mail: Mail = Mail()
    theme: Theme = Theme()
    databases: Annotated[
        dict[str, OwnDatabase],
        Meta(
            description="`[databases.<id>]`: where a plugin with a database of its own has it, as `url` and, on "
            "PostgreSQL, `schema`. Without it: a file in `<data_dir>/databases`, or a schema beside the host's."
        ),
    ] = {}  # noqa: RUF012 - msgspec gives each its own
    remote: Annotated[
        dict[str, Remote],
        Meta(description="`[remote.<id>]`: plugins that run elsewhere. Shown, and refused by this release."),
    ] = {}  # noqa: RUF012 - msgspec gives each its own
    plugins: Annotated[
        dict[str, dict[str, Any]],
        Meta(description="`[plugins.<id>]`: what the plugin's own settings struct says; the plugin checks it."),
    ] = {}  # noqa: RUF012 - msgspec gives each its own

    @property
    def database_url(self) -> str:
        """The database, or the default one in the data folder."""
        return self.database or f"sqlite:///{self.data_dir.rstrip('/')}/host.db"

    @classmethod
    def load(
        cls, config: str | Path | None = None, environ: Mapping[str, str] = os.environ, cwd: Path | None = None
    ) -> Settings:
        """Read the settings file and the environment.

        The file is `config`, else the one `PLUGIN_HOST_CONFIG` names, else plugin-host.toml in `cwd` (default:
        the working folder) if it is there. Relative paths are relative to `cwd`, not to the file.
        Raises `SettingsError`.
        """
        return cls.load_with_sources(config, environ, cwd)[0]

    @classmethod
    def load_with_sources(
        cls, config: str | Path | None = None, environ: Mapping[str, str] = os.environ, cwd: Path | None = None
    ) -> tuple[Settings, dict[str, str]]:
        """Read as `load` does, and tell of each key where it comes from: `default`, the file, or the variable."""
        leaves = reading.read(cls, config, environ, cwd or Path())
        sources = {row.key: "default" for row in describe_settings() if row.key != "plugins"}
        sources |= {".".join(key): leaf.source for key, leaf in leaves.items()}
        return msgspec.convert(reading.tree_of(leaves), cls), sources


class SettingRow(NamedTuple):
    """One setting as the reference shows it; `fields` are those of each section of a kind, as `[remote.<id>]`."""

    key: str
    type: str
    default: str
    description: str
    fields: tuple[SettingRow, ...] = ()


def describe_settings() -> list[SettingRow]:
    """List every setting with its type, its default as TOML would say it, and its manual, in the structs' order."""
    return [_row(key, field) for key, field in reading.fields_of(Settings)]


def _row(key: Key, field: msgspec.structs.FieldInfo) -> SettingRow:
    default = {} if field.default is msgspec.NODEFAULT and not field.required else field.default
    shown = "" if default is None or field.required else msgspec.json.encode(default).decode()
    manual = next(note.description for note in field.type.__metadata__ if note.description)
    named = reading.named_section(field.type)
    fields = () if named is None else tuple(_row(inner, each) for inner, each in reading.fields_of(named))
    return SettingRow(".".join(key), wording.words(field.type), shown, manual, fields)


def show_settings(
    config: str | Path | None = None, environ: Mapping[str, str] = os.environ, cwd: Path | None = None
) -> list[dict[str, Any]]:
    """List `key`, `value` and `source` of every setting in force, for `config show`; secrets are masked."""
    leaves = reading.read(Settings, config, environ, cwd or Path())
    settings, sources = Settings.load_with_sources(config, environ, cwd)
    return [
        {
            "key": ".".join(key),
            "value": "***" if key in leaves and leaves[key].secret else _mask(key, value),
            "source": sources.get(".".join(key), "default"),  # a named section has fields that nobody said
        }
        for key, value in reading.flatten(Settings, msgspec.to_builtins(settings))
    ]


def _mask(key: Key, value: Any) -> Any:
    """Hide what may be a secret: a password in the database's address, and a plugin's key that sounds like one."""
    if value is not None and (key == ("database",) or (key[0] == "databases" and key[-1] == "url")):
        return re.sub(r"(?<=password=)[^&]*", "***", re.sub(r"(://[^/]*?:).*@", r"\1***@", value))
    if key == ("limits", "rates", "store"):
        return re.sub(r"://.*@", "://***@", value)
    if (key == ("secret_key",) or key[-1] == "client_secret") and value is not None:
        return "***"
    if key[0] == "plugins" and any(_SECRET_WORD.search(word) for word in key[2:]):
        return "***"
    return value
