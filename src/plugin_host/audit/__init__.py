"""Who did what: rows that are written with the change itself, sealed into a chain, and never changed again."""

from plugin_host.audit.entries import Entry, record, record_apart

__all__ = ["Entry", "record", "record_apart"]
