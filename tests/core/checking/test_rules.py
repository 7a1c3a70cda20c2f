"""Every rule: the sound plugin keeps it, and one change breaks it, at a place that is named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pytest

from plugin_host.core.checking import outcome
from plugin_host.core.checking.distribution import distribution_of
from plugin_host.core.checking.examining import examine
from plugin_host.core.checking.finders import imports
from plugin_host.core.checking.finding import Finding
from plugin_host.core.checking.rules import RULES
from plugin_host.core.checking.subject import Built, Route, Subject
from plugin_host.plugins.plan import Candidate, Found
from plugin_host.plugins.preflight import read_path, unpack
from plugin_host.sdk.deprecations import Deprecation
from plugin_host.sdk.errors import REASON_CODES, Reason
from plugin_host.sdk.manifest import Permission, PermissionsFile, PluginManifest

from .notes import PYPROJECT, Change, replace, write_project, write_wheel

P: Final = "host_notes/plugin.json"
R: Final = "host_notes/permissions.json"
M: Final = "host_notes/menu.json"
ROUTES: Final = "host_notes/routes.py"
HOOKS: Final = "host_notes/hooks.py"
MODELS: Final = "host_notes/models.py"
JS: Final = "host_notes/ui/notes.js"
ONE: Final = "host_notes/migrations/0001_notes.py"
TWO: Final = "host_notes/migrations/0002_more.py"
TOML: Final = "pyproject.toml"

CONTACTS: Final = Found(
    candidate=Candidate(
        id="contacts",
        source="wheel",
        place="host-contacts 1.0",
        entry="host_contacts.hooks",
        distribution="host-contacts",
        version="1.0",
    ),
    manifest=PluginManifest(id="contacts", name="Contacts", requires={"core": ">=1.0,<2"}),
    permissions=PermissionsFile(permissions=(Permission(name="contacts.view", title="Open contacts"),)),
)
SQUATTER: Final = msgspec.structs.replace(
    CONTACTS,
    candidate=msgspec.structs.replace(
        CONTACTS.candidate, id="squatter", entry="host_notes.hooks", distribution="my-notes"
    ),
)
BUILT: Final = Built(
    routes=(
        Route("GET", "/api/notes/notes", "notes.view"),
        Route("PATCH", "/api/notes/notes/{note_id}", "notes.note.edit"),
    ),
    kinds={"notes.note": ("host_notes.models.Note",)},
)


class Case(NamedTuple):
    """Changes of the sound plugin, and where the finding must be."""

    changes: Mapping[str, Change]
    place: str = ""
    others: tuple[Found, ...] = ()
    built: Built | None = None
    reason: Reason | None = None


def reason(code: Any, text: str = "notes: it is so.") -> Reason:
    return Reason(code=code, text=text, culprits=("notes",), way_out="Correct it.")


def more(text: str) -> Any:
    return lambda before: before + text


def second(does: str, says: str = "") -> Mapping[str, Change]:
    """Write a second revision, in which line 6 does something."""
    head = "import sqlalchemy as sa\nfrom alembic import op\n"
    return {TWO: f"{head}{says}\n\ndef upgrade() -> None:\n    {does}\n"}


CASES: Final[dict[str, Case]] = {
    "PH101": Case({P: replace('"Notes",\n  "req', '"Notes",,\n  "req')}, f"{P}:3"),
    "PH102": Case({P: replace('"name": "Notes",', '"name": "Notes",\n  "name": "Notes",')}, f"{P}:4"),
    "PH103": Case({P: replace('"name": "Notes",', '"name": "Notes",\n  "nmae": "Notes",')}, f"{P}:4"),
    "PH104": Case({R: replace('"title": "See a note"', '"title": 7')}, f"{R}:4"),
    "PH105": Case({P: replace('"id": "notes"', '"id": "No_Tes"')}, f"{P}:2"),
    "PH106": Case({P: replace('"name": "Notes",', '"name": "Notes",\n  "version": "1.1",')}, f"{P}:4"),
    "PH107": Case({P: replace(">=1.0,<2", "1.x")}, f"{P}:4"),
    "PH108": Case({P: replace(">=1.0,<2", ">=1.0")}, f"{P}:4"),
    "PH109": Case({P: replace('"name": "Notes",', '"name": "Notes",\n  "entry": "elsewhere.hooks",')}, f"{P}:4"),
    "PH110": Case({P: replace('"name"', '"events": {"publishes": ["note.written"]},\n  "name"')}, f"{P}:3"),
    "PH201": Case({R: replace('"name": "notes.view"', '"name": "view"')}, f"{R}:3"),
    "PH202": Case({R: replace('"notes.editor"', '"editor"')}, f"{R}:8"),
    "PH203": Case(
        {R: replace('"roles"', '"public": [{"method": "GET", "path": "hello", "reason": "open"}],\n  "roles"')},
        f"{R}:7",
    ),
    "PH204": Case({ROUTES: replace('VIEW = "notes.view"', 'VIEW = "notes.veiw"')}, f"{ROUTES}:11"),
    "PH205": Case(
        {ROUTES: replace("permission=VIEW", 'permission="contacts.view"')}, f"{ROUTES}:11", others=(CONTACTS,)
    ),
    "PH206": Case(
        {
            R: replace(
                '"title": "Open notes"},', '"title": "Open notes"},\n    {"name": "notes.print", "title": "Print"},'
            )
        },
        f"{R}:4",
    ),
    "PH207": Case({MODELS: replace('    __object__ = "notes.note"\n', "")}, f"{R}:4"),
    "PH208": Case(
        {
            R: replace(
                ', "where": {"==": [{"row": "owner_id"}, {"actor": "id"}]}}',
                '},\n      {"permission": "notes.note.view"}',
            )
        },
        f"{R}:11",
    ),
    "PH209": Case({ROUTES: more('    await access.can("contacts.view")\n')}, f"{ROUTES}:19", others=(CONTACTS,)),
    "PH210": Case(
        {P: replace('"requires": {', '"asks": ["contacts.view"],\n  "requires": {"contacts": ">=1.0", ')},
        f"{P}:4",
        others=(CONTACTS,),
    ),
    "PH211": Case({M: replace('"notes.all"', '"all"')}, f"{M}:3"),
    "PH212": Case(
        {M: replace('"screen": "all"', '"title": "All", "to": "/notes/list", "permission": "notes.view"')}, f"{M}:3"
    ),
    "PH213": Case({M: replace('"screen": "all"', '"screen": "all", "permission": "signed-in"')}, f"{M}:3"),
    "PH214": Case(
        {HOOKS: more("\n\n@hookimpl\ndef register_menu():\n    return []\n")},
        f"{HOOKS}:11",
        built=msgspec.structs.replace(BUILT, beyond=("register_menu adds 'notes.more', which menu.json does not say",)),
    ),
    "PH301": Case({ROUTES: more("def (:\n")}, f"{ROUTES}:19"),
    "PH302": Case({HOOKS: more("from plugin_host.core.standing import Standing\n")}, f"{HOOKS}:8"),
    "PH303": Case({HOOKS: more("from plugin_host.sdk import Premission\n")}, f"{HOOKS}:8"),
    "PH305": Case({HOOKS: more("from host_contacts.services import LOOKUP\n")}, f"{HOOKS}:8", others=(CONTACTS,)),
    "PH306": Case({ROUTES: more("    open(note_id)\n")}, f"{ROUTES}:19"),
    "PH307": Case({ROUTES: replace("    return len", "    await db.commit()\n    return len")}, f"{ROUTES}:13"),
    "PH308": Case({HOOKS: more("import threading\nthreading.Thread(target=print).start()\n")}, f"{HOOKS}:9"),
    "PH309": Case({ROUTES: more("    import os\n    os._exit(1)\n")}, f"{ROUTES}:20"),
    "PH310": Case({HOOKS: replace("register_routes", "register_route")}, f"{HOOKS}:6"),
    "PH311": Case({HOOKS: replace("@hookimpl\n", "")}, f"{HOOKS}:5"),
    "PH313": Case({MODELS: more('\n\nclass Written(Struct, tag="notes.note.written"):\n    pass\n')}, f"{MODELS}:19"),
    "PH314": Case({HOOKS: replace("register_routes()", "register_routes(app)")}, f"{HOOKS}:6"),
    "PH315": Case({}, reason=reason("settings_invalid")),
    "PH401": Case({ROUTES: replace(", permission=VIEW", "")}, f"{ROUTES}:12"),
    "PH402": Case({ROUTES: replace("permission=VIEW", 'permission="public"')}, f"{ROUTES}:12"),
    "PH403": Case(
        {R: replace('"roles"', '"public": [{"method": "GET", "path": "/gone", "reason": "open"}],\n  "roles"')},
        f"{R}:7",
        built=BUILT,
    ),
    "PH501": Case(
        {"host_notes/plugin.json": None, HOOKS: None, TOML: replace("host_notes.hooks", "nowhere.hooks")},
        "notes/pyproject.toml",
    ),
    "PH502": Case({TOML: replace('"plugin_host.plugins"', '"plugin-host.plugins"')}, "notes/pyproject.toml"),
    "PH505": Case({TOML: replace('"hatchling.build"', '"setuptools.build_meta"')}, "notes/pyproject.toml:3"),
    "PH506": Case({TOML: replace('["plugin-host"]', "[]")}, "notes/pyproject.toml:12"),
    "PH507": Case({TOML: replace('requires-python = ">=3.11"\n', "")}, "notes/pyproject.toml:5"),
    "PH508": Case({TOML: replace('license = "MIT"\n', "")}, "notes/pyproject.toml:5"),
    "PH601": Case({"host_notes/migrations/0003_tags.py": "def upgrade(): ...\n"}, "host_notes/migrations/0003_tags.py"),
    "PH602": Case({ONE: replace('"expand"', '"later"')}, f"{ONE}:4"),
    "PH603": Case({ONE: more('    op.add_column("core_user", sa.Column("colour", sa.Text()))\n')}, f"{ONE}:13"),
    "PH604": Case({}, reason=reason("migration_failed")),
    "PH605": Case(
        {}, MODELS, built=msgspec.structs.replace(BUILT, differences=("the models have the table notes_tag",))
    ),
    "PH610": Case(second('op.add_column("notes_note", sa.Column("kind", sa.Text(), nullable=False))'), f"{TWO}:6"),
    "PH611": Case(second('op.drop_column("notes_note", "text")'), f"{TWO}:6"),
    "PH612": Case(second('op.alter_column("notes_note", "text", type_=sa.Text())'), f"{TWO}:6"),
    "PH613": Case(second('op.create_index("ix_notes_note_text", "notes_note", ["text"])'), f"{TWO}:6"),
    "PH614": Case(second('op.create_check_constraint("ck_text", "notes_note", "text > 0")'), f"{TWO}:6"),
    "PH615": Case(second('op.execute("COMMIT")'), f"{TWO}:6"),
    "PH616": Case(second("from host_notes.models import Note"), f"{TWO}:6"),
    "PH617": Case(
        second('op.create_table("notes_tag", sa.Column("note", sa.ForeignKey("notes_note.id")))'), f"{TWO}:6"
    ),
    "PH618": Case(second('sa.Column("person", sa.Text(), sa.ForeignKey("contacts_person.id"))'), f"{TWO}:6"),
    "PH619": Case(
        second('op.create_index("ix_text", "notes_note", ["text"], postgresql_concurrently=True)'), f"{TWO}:6"
    ),
    "PH701": Case({P: replace("ui/notes.js", "ui/note.js")}, f"{P}:8"),
    "PH702": Case({P: replace('"screens"', '"contract": 99,\n    "screens"')}, f"{P}:6"),
    "PH703": Case({JS: more("/" * 1_000_001)}, JS),
    "PH704": Case({JS: more('import "https://cdn.example/view.js";\n')}, f"{JS}:3"),
    "PH705": Case({JS: more('import { Row } from "./row.js";\n')}, f"{JS}:3"),
    "PH801": Case({}, reason=reason("conflict")),
    "PH802": Case({}, reason=reason("dependency_missing")),
    "PH804": Case({}, "notes/pyproject.toml", others=(SQUATTER,)),
    "PH901": Case({}, reason=reason("import_failed")),
    "PH902": Case({}, reason=reason("hook_failed")),
    "PH903": Case({}, reason=reason("startup_failed")),
    "PH904": Case({}, reason=reason("time_limit")),
    "PH908": Case({}, reason=reason("disabled_by_settings")),
}
ELSEWHERE: Final = {
    "PH304": "test_deprecated_names_are_told",
    "PH503": "test_a_wheel_that_lacks_a_file_of_its_source",
    "PH504": "test_a_wheel_whose_record_names_what_is_not_there",
    "PH803": "test_rows: an installed plugin that would stop",
    "PH905": "test_rows: a process that dies",
    "PH906": "test_rows: a process that hangs",
    "PH907": "test_rows: a process that lingers",
}
"""Rules that need more than a change of the sound plugin, and where they are tested."""


def examined(tmp_path: Path, case: Case) -> tuple[Finding, ...]:
    candidate = read_path(write_project(tmp_path / "notes", case.changes))
    others = {each.id: each for each in case.others}
    return examine(Subject(candidate, others, built=case.built), case.reason)


def test_every_rule_is_tested() -> None:
    assert {*CASES, *ELSEWHERE} == {*RULES}


def test_the_sound_plugin_keeps_every_rule(tmp_path: Path) -> None:
    assert examined(tmp_path, Case({}, others=(CONTACTS,))) == ()


def test_the_sound_plugin_keeps_every_rule_when_it_was_tried(tmp_path: Path) -> None:
    assert examined(tmp_path, Case({}, others=(CONTACTS,), built=BUILT)) == ()


@pytest.mark.parametrize("code", CASES)
def test_a_broken_rule_is_found_at_its_place(code: str, tmp_path: Path) -> None:
    found = examined(tmp_path, CASES[code])
    places = [each.place for each in found if each.code == code]
    assert CASES[code].place in places, found
    assert all(each.way_out or each.code == "PH604" for each in found)


@pytest.mark.parametrize("code", CASES)
def test_a_broken_rule_breaks_few_others(code: str, tmp_path: Path) -> None:
    found = examined(tmp_path, CASES[code])
    assert len({each.code for each in found}) <= 3, found


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ('op.add_column("notes_note", sa.Column("kind", sa.Text(), nullable=False, server_default="x"))', ""),
        ('op.create_index("ix", "notes_new", ["a"]), op.create_table("notes_new", sa.Column("a", sa.Text()))', ""),
        ('op.create_index("ix", "notes_note", ["text"], postgresql_concurrently=True)', "transactional = False"),
        ('op.create_check_constraint("ck", "notes_note", "1", postgresql_not_valid=True)', ""),
        ('op.drop_column("notes_note", "text")', 'phase = "contract"'),
        ('sa.Column("p", sa.Text(), sa.ForeignKey("contacts_person.id", ondelete="SET NULL"))', ""),
        ('op.execute("UPDATE notes_note SET text = 1")', ""),
        ('op.create_index("ix", "notes_note", ["text"])  # PH613: few notes', ""),
        ('# PH611: nobody ever read it\n    op.drop_column("notes_note", "text")', ""),
        ("pass\n\ndef downgrade() -> None:\n    op.drop_column('notes_note', 'text')", ""),
    ],
)
def test_what_hurts_nobody_is_not_told(does: str, says: str, tmp_path: Path) -> None:
    found = examined(tmp_path, Case(second(does, says), others=(CONTACTS,)))
    assert [each for each in found if each.code.startswith("PH6")] == []


def test_a_change_in_a_batch_is_one_of_its_table(tmp_path: Path) -> None:
    batch = 'with op.batch_alter_table("notes_note") as batch:\n        batch.drop_column("text")'
    (told,) = [each for each in examined(tmp_path, Case(second(batch))) if each.code == "PH611"]
    assert "(notes_note)" in told.text


@pytest.mark.parametrize(
    ("old", "new"), [("def register", "async def register"), ("@hookimpl", "@hookimpl(wrapper=True)")]
)
def test_a_hook_that_cannot_be_called_is_told(old: str, new: str, tmp_path: Path) -> None:
    found = examined(tmp_path, Case({HOOKS: replace(old, new)}))
    assert [(each.code, each.place) for each in found] == [("PH314", f"{HOOKS}:6")]


def test_a_reason_of_the_trial_has_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "notes" / "host_notes"
    text = f"notes: register_routes returns 7 ({folder}/hooks.py:6)."
    (found,) = examined(tmp_path, Case({}, reason=reason("hook_invalid", text)))
    assert (found.code, found.place) == ("PH314", f"{HOOKS}:6")


@pytest.mark.parametrize("entry", ["/notes", "/*", "/notes/*"])
def test_a_public_handler_that_is_listed_is_not_blamed(entry: str, tmp_path: Path) -> None:
    listed = f'"public": [{{"method": "GET", "path": "{entry}", "reason": "open"}}],\n  "roles"'
    changes = {ROUTES: replace("permission=VIEW", 'permission="public"'), R: replace('"roles"', listed)}
    assert examined(tmp_path, Case(changes)) == ()


def test_deprecated_names_are_told(tmp_path: Path) -> None:
    old = Deprecation("plugin_host.sdk.hookimpl", since="1.1", removed="2.0", instead="the new one")
    candidate = read_path(write_project(tmp_path))
    found = list(imports.find(Subject(candidate), deprecated=[old]))
    assert [(each.code, each.place) for each in found] == [("PH304", f"{HOOKS}:2")]
    assert "gone in 2.0" in found[0].text


def test_a_sound_wheel_keeps_every_rule(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path)
    candidate = unpack(wheel, tmp_path / "out")
    assert examine(Subject(candidate, unpacked=tmp_path / "out")) == ()


def test_a_wheel_that_lacks_a_file_of_its_source(tmp_path: Path) -> None:
    wheel = write_wheel(write_project(tmp_path / "project") / "dist", without=M)
    found = examine(Subject(unpack(wheel, tmp_path / "out"), unpacked=tmp_path / "out"))
    assert [(each.code, each.place) for each in found] == [("PH503", M)]


def test_a_wheel_whose_record_names_what_is_not_there(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, recorded="host_notes/gone.py")
    found = examine(Subject(unpack(wheel, tmp_path / "out"), unpacked=tmp_path / "out"))
    assert [(each.code, each.place) for each in found] == [("PH504", "host_notes-1.0.dist-info/RECORD")]
    assert "host_notes/gone.py" in found[0].text


def test_what_is_no_wheel_is_told(tmp_path: Path) -> None:
    wheel = tmp_path / "notes-1.0-py3-none-any.whl"
    wheel.write_text("no zip")
    found = examine(Subject(unpack(wheel, tmp_path / "out"), unpacked=tmp_path / "out"))
    assert [each.code for each in found] == ["PH501"]


def test_every_reason_code_has_its_rule() -> None:
    assert sorted(outcome.RULE_OF) == sorted(REASON_CODES)
    assert set(outcome.RULE_OF.values()) <= set(RULES)


def test_a_reason_that_the_sources_tell_is_not_told_again(tmp_path: Path) -> None:
    case = CASES["PH401"]._replace(reason=reason("permission_undeclared"))
    assert [each.code for each in examined(tmp_path, case)] == ["PH401"]


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    changes = {
        R: '{"permissions": [\n{"name": 1},\n{"name": "notes.a", "title": "A", "colour": 1},\n'
        '{"title": "B"}],\n"rols": []}'
    }
    found = [each for each in examined(tmp_path, Case(changes)) if each.file == R]
    told = sorted((each.line, each.code) for each in found)
    assert told == [(2, "PH104"), (2, "PH104"), (3, "PH103"), (4, "PH104"), (5, "PH103")]


def test_a_project_with_dynamic_metadata_is_not_blamed(tmp_path: Path) -> None:
    text = PYPROJECT.replace('description = "Notes"\nlicense = "MIT"\nreadme = "README.md"\n', "")
    text = text.replace(
        'dependencies = ["plugin-host"]', 'dynamic = ["dependencies", "description", "license", "readme"]'
    )
    candidate = read_path(write_project(tmp_path, {TOML: text}))
    said = distribution_of(candidate, None)
    assert said is not None
    assert (said.description, said.licence, said.documented, said.requires) == (True, True, True, ("plugin-host",))


@pytest.mark.parametrize(
    "line",
    [
        "    await asyncio.to_thread(time.sleep, 1)\n",
        "    def read():\n        open(note_id)\n",
        "    handle.open()\n",
    ],
)
def test_what_does_not_block_is_not_blamed(line: str, tmp_path: Path) -> None:
    assert examined(tmp_path, Case({ROUTES: more(line)})) == ()


def test_a_controller_that_declares_for_its_handlers_is_not_blamed(tmp_path: Path) -> None:
    changes = {
        ROUTES: more(
            '\n\nclass Tags(Controller):\n    opt = {"permission": VIEW}\n\n'
            '    @get("/tags")\n    async def tags(self) -> int:\n        return 1\n'
        )
    }
    assert examined(tmp_path, Case(changes)) == ()
