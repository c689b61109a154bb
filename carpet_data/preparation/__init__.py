"""From a raw folder to the prepared folder: check, group, split, write."""
