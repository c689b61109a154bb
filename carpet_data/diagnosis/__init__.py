"""The doctor: every problem of a data set, with its file and how to fix it.

`codes` is the table of problems; `inspect` looks into one image and its masks (in worker processes); `*_checks` turn
what was seen into problems, one function a code; `similar` and `patterns` are about images that show the same thing.
"""
