"""Find images that show the same thing, and split a data set by whole groups.

`duplicates` looks at pixels, `frame_runs` at names, `groups` joins all reasons, `partition` splits whole groups.
"""
