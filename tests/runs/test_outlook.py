"""The time left of a run, and the number format of a machine."""

import pytest

from benchmark.errors import UserError
from benchmark.runs import outlook, request
from benchmark.runs.outlook import Outlook


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [100.0]
    monkeypatch.setattr(outlook.time, "monotonic", lambda: now[0])
    return now


def test_nothing_is_foretold_before_something_is_measured(clock):
    look = Outlook("abc", 1)
    assert look.seconds_left() is None
    look.begin("a")
    assert look.seconds_left() is None


def test_cells_that_wait_last_as_the_others_do(clock):
    look = Outlook("abcd", 1)
    look.begin("a")
    clock[0] += 10
    look.progress("a", 30.0)  # 40 s in all
    assert look.seconds_left() == pytest.approx(30 + 3 * 40)
    clock[0] += 50  # slower than it said
    look.end("a")
    assert look.seconds_left() == pytest.approx(3 * 60)


def test_two_at_work_take_half_as_long(clock):
    look = Outlook("abcd", 2)
    look.begin("a")
    look.begin("b")
    clock[0] += 10
    look.progress("a", 30.0)
    look.progress("b", 30.0)
    assert look.seconds_left() == pytest.approx(30 + 40)
    look.progress("a", float("inf"))  # nobody knows: what was said before holds
    assert look.seconds_left() == pytest.approx(30 + 40)


def test_at_the_end_nothing_is_left(clock):
    look = Outlook("a", 1)
    look.begin("a")
    look.end("a")
    assert look.seconds_left() is None


@pytest.mark.parametrize(
    ("flags", "found"), [({"avx2", "amx_bf16"}, "bfloat16"), ({"avx2"}, "float32")]
)
def test_bfloat16_is_taken_where_the_processor_has_it(flags, found, monkeypatch):
    monkeypatch.setattr(request, "_processor_flags", lambda: flags)
    assert request.chosen_precision("auto", "cpu") == found
    assert request.chosen_precision("float16", "cpu") == "float16"
    with pytest.raises(UserError, match="name it, --set precision=float32"):
        request.chosen_precision("auto", "cuda", here=False)


def test_flags_are_read_as_linux_tells_them(tmp_path):
    place = tmp_path / "cpuinfo"
    place.write_text("processor\t: 0\nflags\t\t: fpu amx_bf16 amx_tile\n")
    assert request._processor_flags(place) == {"fpu", "amx_bf16", "amx_tile"}
    assert request._processor_flags(tmp_path / "none") == set()
