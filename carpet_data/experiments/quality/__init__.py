"""How close synthetic defects are to real ones, and to each other."""
