"""What a graph needs of memory, and schedules that stay within a budget.

Profiles, rematerialisation, checkpointing of chains, binomial checkpointing.
May import: errors, charts, ir, ops, sparse.detection.
"""
