"""Contacts: people, companies and notes. An example plugin for plugin-host.

Other plugins import `host_contacts.services` and nothing else.
"""
