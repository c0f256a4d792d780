"""Variants of the autoencoder that train in a way of their own.

For what an activation, a loss or a scaling cannot change: when a callback is called, what is left
of a fit that was broken off.
"""

from variants import ALL_VARIANTS

_COURSE = {"solver", "schedule", "early_stopping", "batch_size", "dropout", "warm_start", "dtype"}
COURSES = [v for v in ALL_VARIANTS if not v.values[0] or v.values[0].keys() & _COURSE]
