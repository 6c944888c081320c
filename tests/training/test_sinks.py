import csv
import json
from pathlib import Path

import numpy as np
import pytest

from restorekit.errors import TrainingError
from restorekit.events import Event, Finished, Saved, Started, StepDone, Validated, Warned
from restorekit.media.image import write_image
from restorekit.training import sinks
from restorekit.training.sinks import BOARD, LINES, LOG, logged
from restorekit.training.state import STATE
from restorekit.types import Image


def step(number, **losses):
    return StepDone(number, 9, losses or {"l1": 0.5 / number}, 1e-3, 0.25, 4)


def steps_of(numbers, done=0):
    yield Started("train", 9, done)
    yield from map(step, numbers)


def write(events, folder, losses=("l1",)):
    return list(logged((event for event in events), folder, losses))


def rows(folder):
    with (folder / LOG).open(newline="") as file:
        return list(csv.DictReader(file))


def lines(folder):
    return [json.loads(line) for line in (folder / LINES).read_text().splitlines()]


def test_events_pass_and_are_written_twice(tmp_path):
    events = [
        Started("train", 9),
        step(1),
        Event(),
        Validated(1, {"psnr": 30.0, "ssim": float("nan")}, True),
        Finished(1, 0, 0, 2.0),
    ]
    assert write(events, tmp_path) == events
    first, second = rows(tmp_path)
    assert (first["step"], first["l1"], first["lr"], first["psnr"]) == ("1", "0.5", "0.001", "")
    assert (second["step"], second["psnr"], second["l1"]) == ("1", "30.0", "")
    written = lines(tmp_path)
    assert [line["event"] for line in written] == ["Started", "StepDone", "Validated", "Finished"]
    assert written[2]["values"] == {"psnr": 30.0, "ssim": None}


def test_a_loss_seen_late_adds_a_column(tmp_path):
    write([Started("train", 9), step(1), step(2, l1=0.1, adversarial=3.0)], tmp_path)
    assert [row["adversarial"] for row in rows(tmp_path)] == ["", "3.0"]


def test_a_resumed_run_cuts_both_logs(tmp_path):
    write(steps_of(range(1, 6)), tmp_path)
    write(steps_of(range(4, 7), done=3), tmp_path)
    assert [row["step"] for row in rows(tmp_path)] == ["1", "2", "3", "4", "5", "6"]
    numbers = [line["step"] for line in lines(tmp_path) if line["event"] == "StepDone"]
    assert numbers == [1, 2, 3, 4, 5, 6]


def test_a_run_that_came_to_no_state_is_forgotten_by_the_next(tmp_path):
    validated = Validated(0, {"psnr": 20.0}, False)
    write([Started("train", 10), validated], tmp_path)
    write([Started("train", 25), validated, step(1)], tmp_path)
    assert [row["step"] for row in rows(tmp_path)] == ["0", "1"]
    assert [line["event"] for line in lines(tmp_path)] == ["Started", "Validated", "StepDone"]
    assert lines(tmp_path)[0]["total"] == 25


def test_a_run_resumed_before_its_first_step_keeps_its_logs(tmp_path):
    write([Started("train", 10), Validated(0, {"psnr": 20.0}, False)], tmp_path)
    (tmp_path / STATE).touch()
    write([Started("train", 10), step(1)], tmp_path)
    assert [row["step"] for row in rows(tmp_path)] == ["0", "1"]


def test_a_line_that_was_cut_off_is_forgotten(tmp_path):
    write(steps_of(range(1, 4)), tmp_path)
    with (tmp_path / LINES).open("a") as file:
        file.write('{"event": "StepDo')
    write(steps_of([4], done=3), tmp_path)
    assert [line["step"] for line in lines(tmp_path) if line["event"] == "StepDone"] == [1, 2, 3, 4]


def test_a_log_that_cannot_be_written_stops_the_run(tmp_path):
    closed = []

    def events():
        try:
            yield from steps_of([1])
        finally:
            closed.append(True)

    (tmp_path / LOG).mkdir()
    with pytest.raises(TrainingError, match=r"free some space, then go on with --resume"):
        list(logged(events(), tmp_path, []))
    assert closed


def test_without_tensorboard_the_other_logs_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(sinks, "find_spec", lambda _: None)
    write(steps_of([1]), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {LOG, LINES}


def test_tensorboard_gets_scalars_and_pictures(tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    ).EventAccumulator
    picture = tmp_path / "validation" / "0000001.png"
    write_image(picture, Image(np.full((8, 24, 3), 90, np.uint8)))
    validated = Validated(1, {"psnr": 30.0}, True)
    saved = [Saved(picture), Saved(Path("state.pt")), Warned("!")]
    write([Started("train", 9), step(1), validated, *saved, step(2)], tmp_path)
    board = accumulator(str(tmp_path / BOARD)).Reload()
    assert [(e.step, e.value) for e in board.Scalars("loss/l1")] == [(1, 0.5), (2, 0.25)]
    assert [e.value for e in board.Scalars("validation/psnr")] == [30.0]
    assert board.Scalars("lr")[0].value == pytest.approx(1e-3)
    image = board.Images("validation")[0]
    assert (image.step, image.width, image.height) == (1, 24, 8)


@pytest.mark.parametrize("torn", ["3,0.0", "\0\0\0\0", "3"])
def test_a_line_that_was_cut_off_is_left_out_when_a_run_goes_on(tmp_path, torn):
    write(steps_of([1, 2]), tmp_path)
    with (tmp_path / LOG).open("a", newline="") as file:
        file.write(torn)
    write(steps_of([3], done=2), tmp_path)
    assert [(row["step"], row["lr"]) for row in rows(tmp_path)] == [
        (str(number), "0.001") for number in (1, 2, 3)
    ]
