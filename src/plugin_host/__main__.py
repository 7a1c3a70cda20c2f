"""`python -m plugin_host` is `plugin-host`."""

from __future__ import annotations

from plugin_host.cli.main import main

if __name__ == "__main__":
    main()
