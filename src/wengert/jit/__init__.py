"""`jit`: one compiled specialisation of a call, and the cache of them.

The form of a call, its recording, the guards that select a specialisation, the fast path of a
call.
May import: errors, naming, charts, follow, ir, ops, rolling, trees, trace, cost, memory, backend,
backend.native.schedule, backend.native.run, backends.
"""
