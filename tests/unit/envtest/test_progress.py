"""Progress is told at a steady rate, with the time that has passed."""

from saperly_operator.envtest.progress import Heartbeat


def test_a_heartbeat_is_told_when_it_is_due_and_not_before() -> None:
    now, told = [100.0], list[str]()
    heartbeat = Heartbeat(told.append, every=10, monotonic=lambda: now[0])
    for now[0] in (100.0, 109.9, 110.0, 115.0, 119.9, 165.0):
        heartbeat.beat("building")
    assert told == ["building (10s)", "building (1m05s)"]


def test_elapsed_time_reads_as_minutes_and_seconds() -> None:
    now = [0.0]
    heartbeat = Heartbeat(list[str]().append, monotonic=lambda: now[0])
    assert heartbeat.elapsed == "0s"
    now[0] = 59.9
    assert heartbeat.elapsed == "59s"
    now[0] = 600.0
    assert heartbeat.elapsed == "10m00s"
