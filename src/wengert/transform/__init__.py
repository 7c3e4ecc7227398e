"""Derivatives and batching as interpretations of recorded operations."""
