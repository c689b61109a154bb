"""The toolkit that methods are composed of: each idea once."""
