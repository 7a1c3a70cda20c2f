"""The front desk: who is asking, may they, and what stands at each address besides the plugins' API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar.connection import ASGIConnection

from plugin_host.auth.principals import HAS_FACTOR
from plugin_host.core.api.health import health_endpoints
from plugin_host.core.api.metrics import metrics_endpoint
from plugin_host.core.api.oauth import jwks_endpoint
from plugin_host.core.vouching import Vouching, identity_fault
from plugin_host.gateway.dispatcher import Table
from plugin_host.gateway.edge import FRAMED
from plugin_host.gateway.foreign import PATH
from plugin_host.gateway.gate import REVISION
from plugin_host.gateway.problems import send_problem
from plugin_host.sdk.context import ANONYMOUS, Actor, Identity
from plugin_host.sdk.errors import Problem
from plugin_host.shell.assets import Asset, frame_policy, send_asset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plugin_host.core.plugin import Core
    from plugin_host.core.standing import HostView, Standing
    from plugin_host.core.standings import Standings
    from plugin_host.core.supervisor import Supervisor
    from plugin_host.shell.assets import Assets

NO_FILE: Final = Problem(404, "not_found", "There is no such file; reload the page if the plugin was upgraded.")
WHILE_ENROLLING: Final = ("/api/core/auth/", "/api/core/shell", "/api/core/menu")
WHILE_SETTING_UP: Final = frozenset({"/api/core/setup", "/api/core/shell"})


class Front:
    """Answers the gate's questions from what stands now, and serves the page and its files."""

    def __init__(self, host: HostView, core: Core, supervisor: Supervisor, standings: Standings) -> None:
        self._host = host
        self._standings = standings
        self._core = core
        self._extra = {**health_endpoints(host), **metrics_endpoint(host, supervisor, self.authenticate)}
        self._vouching = Vouching(host.database, core.people if core.users is None else None)
        self._authenticators: Sequence[tuple[str, Any]] = ()
        if core.users is None:
            self._extra |= jwks_endpoint(core.credentials.ring)

    async def authenticate(self, scope: Any) -> Actor:
        """Say who sent this. Before there is an administrator, nobody may do anything but make one."""
        if self._core.setup_required and scope["path"] not in WHILE_SETTING_UP and await self._core.setup_needed():
            raise Problem(503, "setup_required", "There is no administrator yet: open /setup with the console's code.")
        actor = await self._who(scope)
        if not actor.signed_in and self._authenticators:
            actor = await self._vouching.ask(scope, self._authenticators)
        if not actor.signed_in:
            return actor
        # Read once a request; whoever says who asks has read it with the session's row.
        revision = scope.get(REVISION) or await self._host.database.revision()
        scope[REVISION] = revision
        await self._standings.at(revision.policy)
        path = scope.get(PATH, scope["path"])
        return self._limit(await self._standings.admit(actor, _plugin_of(path)), scope, path)

    async def _who(self, scope: Any) -> Actor:
        if self._core.users is None:
            return await self._core.principals.resolve(scope)
        identity = await self._core.users.authenticate(ASGIConnection(scope))
        if identity is None:
            return ANONYMOUS
        fault = "gave no Identity" if not isinstance(identity, Identity) else identity_fault(identity)
        if fault:  # it lets nobody in, and the log has the sentence
            msg = f"users.authenticate {fault}"
            raise TypeError(msg)
        return Actor(
            id=identity.id,
            username=identity.username,
            display=identity.display,
            roles=tuple(identity.roles),
            groups=tuple(identity.groups),
            credential="external",
        )

    def _limit(self, actor: Actor, scope: Any, path: str) -> Actor:
        """Let somebody who must have a second factor, and has none, do nothing but get one."""
        credentials = self._core.credentials
        if scope.get(HAS_FACTOR, True) or not credentials.factor_required(actor):
            return actor
        if not path.startswith(WHILE_ENROLLING):
            detail = "You must have a second factor first: begin with POST /api/core/auth/mfa/totp."
            raise Problem(403, "mfa_enrolment_required", detail)
        return msgspec.structs.replace(actor, scopes=frozenset())

    def table(self, standing: Standing) -> Table:
        """Lay out the addresses of what stands."""
        generation = standing.generation
        # Kept, since every request of somebody who is not signed in asks for them.
        self._authenticators = [each for each in self._host.authenticators if each[0] in generation.apps]
        return Table(
            apps=generation.apps,
            answer=generation.answer,
            page=self.page,
            assets=self.assets,
            extra=self._extra | {"/ui/core/frame.js": self.frame},
        )

    async def page(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the shell's page: the same for everybody, at every address of the shell."""
        body, headers = self._core.page.render(scope["plugin_host.base"])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def assets(self, scope: Any, receive: Any, send: Any, plugin: str, folder: str, path: str) -> None:
        """Send a file of the shell to anybody, a plugin's to whoever may see one of its screens."""
        shell = self._core.page.assets
        if plugin == "core" and folder == shell.hash:
            asset = shell.find(path)
            if asset is not None:
                # Frames without an origin load the shell's style sheet and their end of the port.
                scope[FRAMED] = True
                await send_asset(asset, scope, send, public=True, framed=asset.policy)
                return
        problem = await self._send_plugin_file(scope, send, plugin, folder, path)
        if problem is not None:
            await send_problem(problem, scope, send)

    async def _send_plugin_file(self, scope: Any, send: Any, plugin: str, folder: str, path: str) -> Problem | None:
        standing = self._host.standing
        if standing.framed(plugin, path):
            policy = frame_policy(self._origin(scope), scope["plugin_host.base"], plugin)
            return await self._send_framed(standing, (plugin, folder, path), scope, send, policy)
        try:
            actor = await self.authenticate(scope)
        except Problem as problem:
            return problem
        if not standing.may_load(actor, plugin):
            # Whether the plugin or the file exists is not told to those who may see neither.
            return Problem(403, "forbidden") if actor.signed_in else Problem(401, "not_signed_in")
        asset = _find(standing, plugin, folder, path)
        if asset is None:
            return NO_FILE
        await send_asset(asset, scope, send, public=standing.public_files(plugin))
        return None

    async def _send_framed(
        self, standing: Standing, place: tuple[str, str, str], scope: Any, send: Any, policy: bytes
    ) -> Problem | None:
        """Send a file of a frame, which comes without cookies."""
        asset = _find(standing, *place)
        if asset is None:
            return NO_FILE
        scope[FRAMED] = True
        await send_asset(asset, scope, send, public=True, framed=policy)
        return None

    def _origin(self, scope: Any) -> str:
        """Give the address that the browser knows this host by."""
        public = self._host.settings.public_url
        if public:
            return "/".join(public.split("/", 3)[:3])
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        return f"{scope.get('scheme', 'http')}://{host}"

    async def frame(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the frame's end of the port from the address that never changes: it leads to today's file."""
        shell = self._core.page.assets
        body = f'export * from "./{shell.hash}/frame.js";\n'.encode()
        asset = Asset.read("frame.js", body)
        scope[FRAMED] = True
        await send_asset(asset, scope, send, public=True, framed=asset.policy, fixed=False)


def _find(standing: Standing, plugin: str, folder: str, path: str) -> Asset | None:
    files: Mapping[str, Assets] = standing.assets
    return files[plugin].find(path) if plugin in files and files[plugin].hash == folder else None


def _plugin_of(path: str) -> str:
    """Say whose address it is; of what is no plugin's API, core's: it asks about all of them."""
    parts = path.split("/", 3)
    return parts[2] if len(parts) > 3 and parts[1] == "api" else "core"  # noqa: PLR2004 - "", api, <id>, the rest
