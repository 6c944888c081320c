import io
import json
import time
from pathlib import Path

import pytest
from rich.console import Console

from restorekit.cli import render as module
from restorekit.cli.render import as_line, describe, render
from restorekit.events import (
    FileDone,
    FileFailed,
    FileSkipped,
    FileStarted,
    Finished,
    PairMeasured,
    Saved,
    Started,
    StepDone,
    TileDone,
    Validated,
    Warned,
)

A, B = Path("a.png"), Path("b.png")
BATCH = [
    Started("derain-s on cpu", 3),
    FileStarted(A, 30, 40),
    Warned("out of memory; going on with tiles of 208 pixels"),
    TileDone(1, 2),
    TileDone(2, 2),
    FileDone(A, Path("out/a.png"), 1.25, {"height": 30, "width": 40}),
    FileFailed(B, "b.png does not exist; check the name"),
    FileSkipped(Path("c.png"), "out/c.png is already there"),
    Finished(1, 1, 1, 75.0),
]


def test_lines_go_to_stdout_and_trouble_to_stderr(capsys):
    assert render(BATCH) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "a.png -> out/a.png  40 x 30, 1.2 s",
        "skipped c.png: out/c.png is already there",
        "1 done, 1 skipped, 1 failed in 1 min 15 s",
    ]
    assert err.splitlines() == [
        "warning: out of memory; going on with tiles of 208 pixels",
        "failed: b.png does not exist; check the name",
        "not done: b.png",
    ]


def test_a_single_failure_is_said_once(capsys):
    assert render([Started("x", 1), BATCH[6], Finished(0, 0, 1, 0.1)]) == 1
    assert capsys.readouterr().err == "failed: b.png does not exist; check the name\n"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Started("x", 3), None),
        (FileStarted(A, 3, 4), None),
        (TileDone(1, 2), None),
        (FileDone(A, B, 2.0, {"operations": 3}), "a.png -> b.png  2.0 s"),
        (FileFailed(A, "RuntimeError: shape"), "failed: a.png: RuntimeError: shape"),
        (PairMeasured("1", {"psnr": 31.234, "ssim": 0.91234}, 1), "1  psnr 31.23  ssim 0.9123"),
        (StepDone(5, 9, {"l1": 0.5}, 1e-3, 0.1), "step 5/9  l1 0.5  lr 1.00e-03"),
        (Validated(5, {"psnr": 30.0}, True), "step 5: psnr 30  (best so far)"),
        (Validated(5, {"psnr": 30.0}, False), "step 5: psnr 30"),
        (Saved(A), "saved a.png"),
        (Finished(0, 0, 0, 7265), "0 done in 2 h 1 min"),
    ],
)
def test_every_event_has_its_words(event, line):
    assert describe(event) == line


def test_a_log_is_not_flooded_with_steps(capsys):
    steps = [StepDone(step, 500, {"l1": 1.0}, 1e-3, 0.1) for step in range(1, 501)]
    render([Started("train", 500), *steps])
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == [
        "1/500",
        "500/500",
    ]


def test_json_lines_hold_every_field_of_every_event(capsys):
    assert render(BATCH, as_json=True) == 1
    out, err = capsys.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == [type(event).__name__ for event in BATCH]
    assert events[3] == {"event": "TileDone", "done": 1, "total": 2}
    assert events[5] == {
        "event": "FileDone",
        "source": "a.png",
        "destination": "out/a.png",
        "seconds": 1.25,
        "details": {"height": 30, "width": 40},
    }
    assert err == ""


def test_numbers_that_json_does_not_know_become_null():
    line = as_line(PairMeasured("ü", {"psnr": float("inf"), "ssim": 1.0}, float("nan")))
    assert json.loads(line) == {
        "event": "PairMeasured",
        "name": "ü",
        "values": {"psnr": None, "ssim": 1.0},
        "seconds": None,
    }


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns; returns what was drawn on it."""
    drawn = io.StringIO()

    def console(**options):
        return Console(file=drawn, force_terminal=True, width=80, color_system=None, **options)

    monkeypatch.setattr(module, "Console", console)
    return drawn


def at_leisure(events):
    """Bars are drawn ten times a second."""
    for event in events:
        yield event
        time.sleep(0.12)


def test_a_terminal_shows_bars_and_lines(terminal):
    assert render(at_leisure(BATCH)) == 1
    text = terminal.getvalue()
    for part in ("derain-s on cpu", "a.png  40 x 30", "2/2", "failed: b.png", "1 done, 1 skipped"):
        assert part in text


def test_names_are_not_taken_for_markup(terminal):
    odd = Path("[red]photo[/nothing].png")
    render([Started("x", 2), FileStarted(odd, 3, 4), FileDone(odd, odd, 1.0), Finished(1, 0, 0, 1)])
    assert "[red]photo[/nothing].png -> [red]photo[/nothing].png" in terminal.getvalue()


def test_a_terminal_shows_one_bar_for_training_and_each_measured_model(terminal):
    run = [Started("train derain-s", 10, 5), StepDone(6, 10, {"l1": 0.25}, 1e-3, 0.1)]
    assert render(at_leisure([*run, Validated(6, {"psnr": 30.0}, True), Finished(1, 0, 0, 1)])) == 0
    sets = [Started("a on b", 2), PairMeasured("1", {"psnr": 30.0}, 1), Finished(1, 0, 0, 1)]
    assert render(at_leisure(sets * 2)) == 0
    text = terminal.getvalue()
    for part in ("l1 0.25", "6/10", "step 6: psnr 30  (best so far)", "a on b", "1/2"):
        assert part in text
    assert "lr 1.00e-03" not in text


def test_the_bars_are_gone_when_the_work_is_interrupted(terminal):
    def events():
        yield from BATCH[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(events())
    assert terminal.getvalue().endswith("\x1b[2K") or "\x1b[?25h" in terminal.getvalue()
