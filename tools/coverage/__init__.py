"""Which lines of the package the quick tests run."""
