"""Chaos: seeded random faults on a cluster at work, with what was promised checked all the time.

`python -m tests.chaos --faults 100 --seed 7` is the long run; tests/chaos/test_chaos.py is the short one of every run.
"""
