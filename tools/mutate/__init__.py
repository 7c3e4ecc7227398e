"""Mutation testing: faults in the rules, the guards and the lowering, which the tests must notice.

``make mutate MUTANTS=200 SEED=0``. A mutant is one changed expression: ``+`` for ``-``, a factor
left out, a condition negated. The tests are collected once. A first run notes which test runs which
line; each mutant is then planted into a fork of that process, by changing the code of the functions
that exist, and the tests that run its line are run until one fails. (DeMillo, Lipton and Sayward,
IEEE Computer 11, 1978.)

======== =====================================================
mutants  the changes that a source file allows
plant    puts a changed function in the place of the real one
targets  which source files, and the tests that belong to them
session  collects, maps lines to tests, forks, reports
======== =====================================================
"""
