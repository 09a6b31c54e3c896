"""Durations as users write them: ``7d``, ``12h``, ``1h30m``. Pure."""

import re
from datetime import timedelta
from typing import Final

DURATION_PATTERN: Final = r"^([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"
"""Days, hours, minutes, seconds, in this order; the digits are bounded so that no sum overflows. Also matches the
empty string, which ``parse_duration`` and the CRD's ``minLength`` refuse. Python and CEL read it alike."""

_PATTERN: Final = re.compile(DURATION_PATTERN)


def parse_duration(text: str) -> timedelta:
    """The length of time that ``text`` names.

    Raises:
        ValueError: the text is no duration; the message says how to write one.
    """
    match = _PATTERN.fullmatch(text) if text.isascii() else None
    if not text or match is None:
        raise ValueError(
            f"{text!r} is not a duration: "
            "write days, hours, minutes and seconds in this order, such as 7d, 12h or 1h30m"
        )
    days, hours, minutes, seconds = (int(part[:-1]) if part else 0 for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def format_duration(length: timedelta) -> str:
    """``length`` as ``parse_duration`` reads it, in whole seconds: ``1h30m``; nothing at all is ``0s``.

    Raises:
        ValueError: the length is negative.
    """
    total = int(length.total_seconds())
    if total < 0:
        raise ValueError("a duration cannot be negative")
    minutes, seconds = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
