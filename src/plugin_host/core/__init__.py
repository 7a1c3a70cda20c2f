"""The built-in plugin `core`: the host's own services, offered through the same hooks."""
