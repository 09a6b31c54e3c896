"""When the key in hand is to be replaced by schedule. Pure."""

from datetime import datetime

from saperly_operator.lifecycle.schedule import ScheduleError, next_rotation
from saperly_operator.resources.durations import parse_duration
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.saperly_key_status import RotationStatus, SaperlyKeyStatus


def rotation_moment(key: SaperlyKey, status: SaperlyKeyStatus) -> datetime | None:
    """When the schedule in force asks for the next rotation; None without a schedule or a key.

    Counted from the last rotation, so that however many moments were missed, one rotation makes up for them.
    Raises ScheduleError.
    """
    if status.current is None or key.schedule is None:
        return None
    rotated_at = status.rotation.last_rotated_at if status.rotation else None
    jitter = parse_duration(key.spec.rotation.jitter)
    return next_rotation(key.schedule, rotated_at or status.current.minted_at, key.metadata.uid, jitter)


def with_next_rotation(key: SaperlyKey, status: SaperlyKeyStatus) -> SaperlyKeyStatus:
    """``status`` with ``nextRotationAt`` as the schedule has it; none for a schedule that cannot be read."""
    try:
        moment = rotation_moment(key, status)
    except ScheduleError:
        moment = None
    rotation = status.rotation or RotationStatus()
    if moment is None and rotation.next_rotation_at is None:
        return status
    return status.changed(rotation=rotation.changed(next_rotation_at=moment))
