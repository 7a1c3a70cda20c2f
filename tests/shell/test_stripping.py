"""The shell's files are sent without comments; what they do stays the same."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import plugin_host.shell
from plugin_host.shell.page import ENTRY, PRELOADED, STYLES
from plugin_host.shell.stripping import strip, strip_script, strip_sheet

STATIC = Path(plugin_host.shell.__file__).parent / "static"
BUDGET = 25_000


@pytest.mark.parametrize(
    ("script", "sent"),
    [
        ("let a = 1; // one\n  let b = 2;\n", "let a = 1;\nlet b = 2;\n"),
        ("/* all\n of it */ f();\n", "f();\n"),
        ('const s = "// not /* one */";\n', 'const s = "// not /* one */";\n'),
        ("const r = /[/*]\\/\\/x/g; // r\n", "const r = /[/*]\\/\\/x/g;\n"),
        ("const q = a / b / c; // q\n", "const q = a / b / c;\n"),
        ("const t = `  // kept\n   ${f(/* gone */ `in ${1} // kept`)} /* kept */`;\n",) * 2,
        ("if (x) {\n  // gone\n  y({ a: '}' });\n}\n", "if (x) {\ny({ a: '}' });\n}\n"),
        ("const e = x.replace(/\\/+$/, '') || /\"/.test(y);\n", "const e = x.replace(/\\/+$/, '') || /\"/.test(y);\n"),
    ],
)
def test_comments_go_and_what_looks_like_one_stays(script: str, sent: str) -> None:
    assert strip_script(script) == sent.replace("/* gone */", "")


def test_a_style_sheet_keeps_its_rules() -> None:
    assert strip_sheet("/* a */\n.a  >  .b { color: red; /* b */\n margin: 0 auto; }\n") == (
        ".a > .b{color: red;margin: 0 auto}"
    )


def test_other_files_and_what_others_wrote_are_sent_as_they_are() -> None:
    body = b"/* kept */ let a;"
    assert strip("favicon.svg", body) == strip("vendor/view.js", body) == strip("frame.html", body) == body


def test_a_first_visit_costs_little() -> None:
    """Scripts and styles until the menu is there; fonts there are none, and the rest comes when it is needed."""
    files = (ENTRY, STYLES, *PRELOADED)
    sizes = {path: len(gzip.compress(strip(path, (STATIC / path).read_bytes()), 9)) for path in files}
    assert sum(sizes.values()) <= BUDGET, sizes
