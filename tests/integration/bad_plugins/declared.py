"""Permissions, menus, screens and settings that do not fit together: told without importing anything, or at once."""

from __future__ import annotations

from typing import Final

from .making import GET, Bad


def screen(**keys: object) -> dict[str, object]:
    return {"id": "all", "title": "All", "kind": "module", "entry": "ui/all.js", "permission": "signed-in", **keys}


def view(plugin: str, **more: object) -> dict[str, object]:
    return {"permissions": [{"name": f"{plugin}.view", "title": "See"}], **more}


DECLARED: Final = (
    Bad(
        plugin="rolegivesall",
        what="role that grants another plugin's permission",
        permissions=view(
            "rolegivesall",
            roles=[
                {"name": "rolegivesall.boss", "title": "Boss", "grants": [{"permission": "core.users.manage"}]},
            ],
        ),
        state="refused",
        code="permission_foreign",
        says="'core.users.manage' is a permission of 'core'",
        way_out="Remove it",
        culprits=("rolegivesall", "host_rolegivesall/permissions.json"),
    ),
    Bad(
        plugin="rolegivesnone",
        what="role that grants what is not there",
        permissions=view(
            "rolegivesnone",
            roles=[
                {"name": "rolegivesnone.it", "title": "It", "grants": [{"permission": "rolegivesnone.veiw"}]},
            ],
        ),
        state="refused",
        code="permission_unknown",
        says="'rolegivesnone.veiw' is no permission of rolegivesnone",
        way_out="Did you mean 'rolegivesnone.view'?",
        culprits=("rolegivesnone", "host_rolegivesnone/permissions.json"),
    ),
    Bad(
        plugin="squatter",
        what="permission with another plugin's name",
        permissions={"permissions": [{"name": "good.everything", "title": "All"}]},
        state="refused",
        code="manifest_invalid",
        says="'good.everything' is no name of a permission",
        way_out="Name it squatter.<action>",
        culprits=("squatter", "host_squatter/permissions.json"),
    ),
    Bad(
        plugin="circles",
        what="permissions that imply each other",
        permissions={
            "permissions": [
                {"name": "circles.one", "title": "One", "implies": ["circles.two"]},
                {"name": "circles.two", "title": "Two", "implies": ["circles.one"]},
            ]
        },
        state="refused",
        code="manifest_invalid",
        says="in a circle",
        way_out="Take one `implies` out",
        culprits=("circles", "host_circles/permissions.json"),
    ),
    Bad(
        plugin="conditions",
        what="role with a condition on no model",
        permissions={
            "permissions": [{"name": "conditions.thing.view", "title": "See", "scope": "object"}],
            "roles": [
                {
                    "name": "conditions.viewer",
                    "title": "Viewer",
                    "grants": [{"permission": "conditions.thing.view", "where": {"==": [{"row": "colour"}, "red"]}}],
                }
            ],
        },
        state="refused",
        code="manifest_invalid",
        says='no model says __object__ = "conditions.thing"',
        way_out="correct the model",
    ),
    Bad(
        plugin="climbs",
        what="public path that climbs out",
        permissions={"public": [{"method": "GET", "path": "/../good/*", "reason": "why not"}]},
        state="refused",
        code="manifest_invalid",
        says="no path below the plugin's API",
        way_out="the handler's own path",
        culprits=("climbs", "host_climbs/permissions.json"),
    ),
    Bad(
        plugin="asker",
        what="asks for a permission that nobody has",
        keys={"requires": {"core": ">=1.0", "good": ">=1"}, "asks": ["good.evrything"]},
        state="refused",
        code="permission_unknown",
        says="'good.evrything' (plugin.json: asks)",
        way_out="good.view",
        culprits=("asker", "good"),
    ),
    Bad(
        plugin="menuless",
        what="menu item for a screen that is not there",
        menu={"items": [{"id": "menuless.all", "screen": "al"}]},
        keys={"ui": {"screens": [screen()]}},
        files={"ui/all.js": "export function mount() {}"},
        state="refused",
        code="manifest_invalid",
        says="no screen 'al'",
        way_out="Did you mean 'all'?",
        culprits=("menuless", "host_menuless/menu.json"),
    ),
    Bad(
        plugin="menuaway",
        what="menu item that leads to another plugin's page",
        menu={"items": [{"id": "menuaway.all", "title": "All", "to": "/good", "permission": "public"}]},
        state="refused",
        code="manifest_invalid",
        says="'/good' is no page of menuaway",
        way_out='Write "/menuaway"',
        culprits=("menuaway", "host_menuaway/menu.json"),
    ),
    Bad(
        plugin="menuopen",
        what="menu item without a permission",
        menu={"items": [{"id": "menuopen.all", "title": "All", "to": "/menuopen"}]},
        state="refused",
        code="manifest_invalid",
        says="has no 'permission'",
        way_out="Add 'permission'",
        culprits=("menuopen", "host_menuopen/menu.json"),
    ),
    Bad(
        plugin="nofile",
        what="screen whose file is not in the wheel",
        keys={"ui": {"screens": [screen()]}},
        state="refused",
        code="ui_invalid",
        says="no file 'ui/all.js'",
        way_out="see that the build packs the file",
        culprits=("nofile", "host_nofile/plugin.json"),
    ),
    Bad(
        plugin="outside",
        what="screen whose file is outside of ui/",
        keys={"ui": {"screens": [screen(entry="ui/../hooks.py")]}},
        state="refused",
        code="ui_invalid",
        says="no file in the package's folder ui/",
        way_out="Put it there",
        culprits=("outside", "host_outside/plugin.json"),
    ),
    Bad(
        plugin="contract",
        what="browser contract of the future",
        keys={"ui": {"contract": 99, "screens": [screen()]}},
        state="refused",
        code="ui_contract_unknown",
        says="not 99",
        way_out="upgrade the host",
        culprits=("contract", "host_contract/plugin.json"),
    ),
    Bad(
        plugin="wrongsettings",
        what="setting of another type than its struct says",
        hooks=GET + "import msgspec\n\nclass Mine(msgspec.Struct):\n    size: int = 3\n\n"
        "@hookimpl\ndef register_settings():\n    return Mine\n",
        settings='size = "large"',
        state="refused",
        code="settings_invalid",
        says="plugins.wrongsettings.size",
        way_out="[plugins.wrongsettings]",
    ),
    Bad(
        plugin="nosettings",
        what="settings for a plugin that takes none",
        settings='size = "large"',
        state="refused",
        code="settings_invalid",
        says="takes none",
        way_out="Remove [plugins.nosettings]",
    ),
)
