"""Changing who may do what: what the maker of a change must hold, what must stay, and what is written down."""
