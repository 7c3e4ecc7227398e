"""Derivatives and batching as interpretations of recorded operations.

Forward and reverse mode, vmap, custom rules, checkpointing.
May import: errors, follow, ir, ops, rolling, trees, trace.
"""
