"""Invoicing: invoices for contacts. An example of a plugin for plugin-host that builds on another plugin."""
