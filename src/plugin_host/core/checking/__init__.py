"""`plugin-host check`: tell an author everything at once, with rule codes, files and lines.

A `Subject` is all that can be known of one plugin; each finder looks at it and gives `Finding`s; `rules` is the
table of what they may say. Nothing here runs a plugin's code: `trial` does, in a process of its own.
"""
