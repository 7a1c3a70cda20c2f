"""The command line. Each command's module is imported when it is called: `--version` needs no web stack."""
