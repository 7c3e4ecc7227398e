"""Walks through the package: which functions a call passes, in which modules and folders."""
