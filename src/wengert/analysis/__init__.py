"""What `wg.cost`, `wg.count`, `wg.memory` and `wg.partition` answer.

A Python function is recorded, differentiated and counted; its own lines and loops are named.
May import: errors, tables, charts, follow, ir, ops, trees, trace, cost, memory, backend,
backend.native.schedule, backend.native.run, jit, devices, derivatives, analysis.loops.
"""
