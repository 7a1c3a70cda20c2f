"""The finders: each looks at a subject and gives what it found. None of them runs the plugin's code."""
