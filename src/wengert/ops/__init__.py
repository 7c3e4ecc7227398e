"""The operation table: one row per operation, a module per family."""
