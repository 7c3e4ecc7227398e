"""Random NumPy programs, compared with NumPy itself: ``make fuzz SECONDS=600 SEED=0``.

The modules, in the order in which a program passes through them:

========== ==========================================================================
values     arrays in every layout, which programs and tests name in their text
slots      what a hole in a template may be filled with
tables     templates of expressions, by family: elementwise, views, products ...
statements updates in place, decisions, short loops, functions, containers
loops      loops as people write them: lags, stores, lists, early exits, loops in loops
written    code as newcomers write it: classes, generators, Python's mathematics
functional the same with ``wg.scan``, ``wg.while_loop``, ``wg.cond`` and their kin
plain      these functions in plain Python, which a program is compared with
generate   a random program, built by running each statement in plain NumPy
program    the text of a program, its calls, and what plain NumPy makes of them
compare    when two results are equal, and when a program is too unstable to say
point      a program at one call, as a function of what can be differentiated
numeric    derivatives by differences and by complex steps
outcome    comparisons, refusals and failures of a program
rolled     every mode of a program whose loops become loops of a graph
checks     what is compared: eager, compiled, derivatives, vmap, sparse, budgets ...
shrink     the smallest program that still fails in the same way
runner     worker processes, time limits, the report and the tests that it writes
========== ==========================================================================
"""
