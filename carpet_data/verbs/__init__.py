"""The verbs: one module for each that has logic of its own. They are the Python API and what the command line calls."""
