"""What a third-party package adds to carpet-data."""
