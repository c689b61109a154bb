"""What a person reads: plots and pages."""
