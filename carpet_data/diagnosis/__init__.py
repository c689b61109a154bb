"""The doctor: every fault of a data set, with its file and how to mend it.

`codes` is the table of faults; `inspect` looks into one image and its masks (in worker processes); `*_checks` turn what
was seen into faults, one function a code; `similar` and `patterns` are about images that show the same thing.
"""
