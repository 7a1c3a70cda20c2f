"""PH1: what plugin.json says, and how all three files are written."""

from __future__ import annotations

from typing import Final

from plugin_host.core.checking.rules.rule import Rule

RULES: Final = (
    Rule(
        "PH101",
        "file-unreadable",
        "error",
        "A file that is missing, is no JSON, or is too large or too deep says nothing.",
        '{"id": "notes",}',
        '{"id": "notes"}',
    ),
    Rule(
        "PH102",
        "key-twice",
        "warning",
        "Of a key that stands twice only the last is read: the other was surely meant too.",
        '{"name": "Notes", "name": "My notes"}',
        '{"name": "My notes"}',
    ),
    Rule(
        "PH103",
        "key-unknown",
        "error",
        "Unknown keys are refused, so that a typo is an error and not a silence; `extra` is free for your own tools.",
        '{"require": {"core": ">=1.0,<2"}}',
        '{"requires": {"core": ">=1.0,<2"}}',
    ),
    Rule(
        "PH104",
        "value-invalid",
        "error",
        "A key that is missing, or has a value of another kind, cannot be understood.",
        '{"requires": [">=1.0"]}',
        '{"requires": {"core": ">=1.0,<2"}}',
    ),
    Rule(
        "PH105",
        "id-invalid",
        "error",
        "Everything that a plugin owns begins with its id: one lower-case word that is none of the host's own.",
        '{"id": "My_Notes"}',
        '{"id": "notes"}',
    ),
    Rule(
        "PH106",
        "version-invalid",
        "error",
        "Two versions of one plugin cannot both be true: the distribution says it; a folder plugin says it itself.",
        '{"version": "1.1"} in the wheel host_notes-1.0',
        '{"id": "notes"} in the wheel host_notes-1.0',
        "text",
    ),
    Rule(
        "PH107",
        "needs-invalid",
        "error",
        "Whom a plugin needs, and what it asks of them, decides whether and in which order it runs.",
        '{"requires": {"core": "1.x"}}',
        '{"requires": {"core": ">=1.0,<2"}}',
    ),
    Rule(
        "PH108",
        "core-range-open",
        "warning",
        "The next major version of the contract may take away what the plugin uses: end the range before it.",
        '{"requires": {"core": ">=1.0"}}',
        '{"requires": {"core": ">=1.0,<2"}}',
    ),
    Rule(
        "PH109",
        "package-invalid",
        "error",
        "A package that cannot be imported under its name, or starts elsewhere than it says, never runs.",
        '{"entry": "elsewhere.hooks"} in the folder notes/',
        '{"entry": "notes.hooks"} in the folder notes/',
        "text",
    ),
    Rule(
        "PH110",
        "event-misnamed",
        "error",
        "The events that a plugin publishes begin with its id, so that everybody knows whose they are.",
        '{"events": {"publishes": ["note.written"]}}',
        '{"events": {"publishes": ["notes.note.written"]}}',
    ),
)
