"""Classes that no folder says: `--class-by`, `--class-from-mask` and `--mask-classes`."""
