"""Every estimator, test and interval: pure functions on sufficient statistics; numpy and scipy, no Django.

An answer that cannot be given is a value (`Undefined`, with a reason), never p = 1 or NaN.
"""
