"""What operators and authors do with migrations beyond running them: see `cli.migrations` and `cli.makemigration`."""
