"""The mark that a restart leaves: whose it is, up to which serial, and under which name it fits."""

import pytest

from saperly_operator.resources.workload import RestartMark, WorkloadRef, restarted_annotation


def test_a_mark_is_read_as_it_was_written() -> None:
    mark = RestartMark.of("uid-1", 12)
    assert RestartMark.parse(str(mark)) == mark
    assert str(mark).startswith("12.")


@pytest.mark.parametrize("text", ["", "12", "12.", ".abc", "x.abc", "-1.abc", "²².abc", "1" * 17 + ".abc"])
def test_any_other_text_is_no_mark(text: str) -> None:
    assert RestartMark.parse(text) is None


def test_a_mark_covers_its_own_serial_and_those_before_of_the_same_object_only() -> None:
    mark = RestartMark.of("uid-1", 2)
    assert mark.covers(RestartMark.of("uid-1", 2))
    assert mark.covers(RestartMark.of("uid-1", 1))
    assert not mark.covers(RestartMark.of("uid-1", 3))
    assert not mark.covers(RestartMark.of("uid-2", 1))


@pytest.mark.parametrize("length", [1, 53, 54, 253])
def test_the_annotation_fits_whatever_the_objects_name(length: int) -> None:
    name = restarted_annotation("x" * length)
    assert len(name.removeprefix("saperly.com/")) <= 63
    assert name != restarted_annotation("x" * (length - 1) + "y")


def test_a_short_name_is_readable_in_it() -> None:
    assert restarted_annotation("support-agent") == "saperly.com/restarted-support-agent"


def test_a_name_that_was_cut_does_not_end_in_a_sign() -> None:
    assert "..-" not in restarted_annotation("a" * 38 + ".." + "b" * 20)


def test_a_workload_reads_as_kind_and_name() -> None:
    assert str(WorkloadRef.from_api({"kind": "StatefulSet", "name": "db"})) == "StatefulSet/db"
