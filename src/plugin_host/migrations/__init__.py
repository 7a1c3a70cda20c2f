"""The tables of core and of every plugin: which revisions there are, which were applied, and how the rest is."""
