"""The HTTP API of core: thin handlers over the services."""
