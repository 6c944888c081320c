import io

import pytest
from rich.console import Console
from rich.text import Text

from restorekit.cli.live import TrainingTable, clock, label, training_screen
from restorekit.events import Finished, Saved, Started, StepDone, Validated, Warned


class Clock:
    """Half a second per look."""

    def __init__(self):
        self.time = 0.0

    def __call__(self):
        return self.time


def drawn(table):
    console = Console(width=120, file=io.StringIO(), color_system=None)
    console.print(table)
    return console.file.getvalue()


@pytest.fixture
def table():
    now = Clock()
    table = TrainingTable(now)
    table.take(Started("train tiny", 100, 20))
    for number in range(21, 31):
        now.time += 0.5
        table.take(StepDone(number, 100, {"l1": 0.25}, 3e-4, 0.4, 8))
    return table


def test_progress_speed_and_time_left_are_of_this_session(table):
    text = drawn(table)
    assert "30/100" in text
    assert "0:05 elapsed" in text
    assert "0:35 left" in text
    assert "loss l1" in text
    assert "3.00e-04" in text
    assert "16.0" in text.split("samples/s")[1]


def test_a_run_that_begins_is_one_line():
    table = TrainingTable(Clock())
    assert drawn(table) == "preparing ...\n"
    table.take(Started("train tiny", 100, 0))
    assert len(drawn(table).splitlines()) == 1


def test_the_best_validation_stays_when_it_is_long_past(table):
    for step in range(1, 21):
        table.take(Validated(step, {"psnr": 30.0}, is_best=step == 2))
    rows = [line.split()[1] for line in drawn(table).splitlines() if "30.0000" in line]
    assert rows == ["2", *map(str, range(13, 21))]


def test_validations_are_listed_and_the_best_is_marked(table, tmp_path):
    for step, psnr in ((20, 30.0), (25, 32.5), (30, 31.0)):
        values = {"psnr": psnr, "degraded_psnr": 20.0}
        table.take(Validated(step, values, is_best=step == 25))
    table.take(Saved(tmp_path / "state.pt"))
    lines = drawn(table).splitlines()
    assert any("PSNR" in line and "degraded PSNR" in line for line in lines)
    best = [line for line in lines if "best" in line]
    assert len(best) == 1
    assert "step 25" in best[0]
    assert "32.5000" in best[0]
    assert any("state.pt" in line for line in lines)


def test_only_the_last_validations_are_shown(table):
    for step in range(10):
        table.take(Validated(step, {"psnr": 30.0}, is_best=False))
    text = drawn(table)
    assert "step 9" in text
    assert "step 1 " not in text


def test_before_the_start_there_is_a_word():
    assert "preparing" in drawn(TrainingTable())


def test_warnings_stand_above_the_table_and_steps_do_not(tmp_path):
    console = Console(width=100, file=io.StringIO(), force_terminal=True, color_system=None)
    with training_screen(console, lambda event: Text(f"said {type(event).__name__}")) as show:
        for event in (
            Started("train", 1),
            StepDone(1, 1, {"l1": 1.0}, 1e-3, 0.1, 1),
            Warned("careful"),
            Saved(tmp_path),
            Finished(1, 0, 0, 0.1),
        ):
            show(event)
    text = console.file.getvalue()
    assert "said Warned" in text
    assert not any(f"said {name}" in text for name in ("StepDone", "Saved", "Finished"))


def test_words_of_the_table():
    assert (label("degraded_psnr"), label("ssim")) == ("degraded PSNR", "SSIM")
    assert (clock(65), clock(3723.4)) == ("1:05", "1:02:03")
