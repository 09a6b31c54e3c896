"""How long to wait before the same thing is tried again: exponential, bounded, and derived from a stored count.

No jitter is drawn here: the objects of a fleet fail at different moments, and the vendor's limits spread them again.
"""

from datetime import timedelta


def exponential(count: int, first: timedelta, limit: timedelta) -> timedelta:
    """The wait after the ``count``-th failure in a row (1 or more): doubled each time, at most ``limit``."""
    factor: int = 1 << min(max(count, 1) - 1, 30)
    return min(first * factor, limit)
