"""Check a data set and report every problem, with the file and how to fix it.

`codes` is the table of problems; `inspect` opens one image and its masks (in worker processes); `*_checks` turn what it
saw into problems, one function per code; `similar` and `patterns` are about images that show the same thing.
"""
