"""Archives: fetch one over HTTP, and unpack one without trusting it.

Nothing here believes what an archive or a server says: names, sizes, kinds and counts are checked before a byte is
written outside the temporary folder, and memory is bounded whatever the archive holds.
"""
