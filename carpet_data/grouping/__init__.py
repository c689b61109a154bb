"""Which images show the same thing, and how to split a data set without tearing them apart.

`duplicates` looks at pixels, `frame_runs` at names, `groups` joins all reasons, `partition` splits whole groups.
"""
