"""Feature networks and their weights, found and checked in one place."""
