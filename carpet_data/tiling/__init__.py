"""Cut a data set into tiles on disk, exactly, and put tiles together again."""
