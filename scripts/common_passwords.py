# ruff: noqa: INP001 - a script stands alone
"""Rebuild the list of common passwords that nobody may choose.

    pip install zxcvbn && python scripts/common_passwords.py

The words are those of zxcvbn (MIT), most common first; only developers of plugin-host ever run this: the result is
committed and shipped as it is.
"""

from __future__ import annotations

import gzip
import importlib
import sys
from importlib import metadata
from pathlib import Path

TARGET = Path(__file__).parents[1] / "src" / "plugin_host" / "auth" / "common_passwords.txt.gz"
SHORTEST = 5


def main() -> None:
    """Write the list, each word once and folded, in an order that does not change."""
    lists = importlib.import_module("zxcvbn.frequency_lists").FREQUENCY_LISTS
    words = sorted({word.casefold() for word in lists["passwords"] if len(word) >= SHORTEST})
    about = f"# {len(words)} common passwords, from zxcvbn {metadata.version('zxcvbn')} (MIT licence, Dropbox Inc.)"
    text = "\n".join([about, *words]) + "\n"
    TARGET.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    sys.stdout.write(f"{TARGET.name}: {len(words)} words, {TARGET.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
