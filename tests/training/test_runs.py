import json

import pytest

from restorekit.errors import UsageError
from restorekit.events import Finished, Started, StepDone, Validated
from restorekit.training.runs import read_run
from restorekit.training.sinks import logged


@pytest.fixture
def folder(tmp_path):
    """A run of 40 epochs' steps, validated each tenth."""

    def events():
        yield Started("train tiny", 40)
        for number in range(1, 41):
            yield StepDone(number, 40, {"l1": 1 / number, "fft": 2.0}, 1e-3, 0.5, 4)
            if number % 10 == 0:
                psnr = {10: 25.0, 20: 29.0, 30: 28.0, 40: 27.0}[number]
                yield Validated(number, {"psnr": psnr, "degraded_psnr": 20.0}, psnr == 29.0)
        yield Finished(40, 0, 0, 1.0)

    recipe = {"name": "tiny", "task": "denoise", "net": {"backend": "drunet"}, "epochs": 4}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    list(logged(events(), tmp_path, ["l1", "fft"]))
    return tmp_path


def test_a_run_is_read_back(folder):
    run = read_run(folder)
    assert run.losses == ["l1", "fft"]
    assert (len(run.steps), len(run.validations)) == (40, 4)
    assert run.best == {"step": 20, "psnr": 29.0, "degraded_psnr": 20.0}
    assert run.seconds_per_step == 0.5
    assert run.recent_losses()["fft"] == 2.0
    assert (run.total, run.is_finished) == (40, True)


def test_a_run_on_its_way_is_not_finished(folder):
    log = folder / "log.csv"
    log.write_text("\n".join(log.read_text().splitlines()[:-2]) + "\n")
    assert not read_run(folder).is_finished


def test_panels_have_losses_and_what_was_measured(folder):
    loss, psnr = read_run(folder).panels()
    assert [curve.label for curve in loss.curves] == ["l1", "fft"]
    assert [curve.label for curve in psnr.curves] == ["restored", "degraded"]
    assert list(psnr.curves[0].steps) == [10, 20, 30, 40]
    assert list(psnr.curves[0].values) == [25.0, 29.0, 28.0, 27.0]


def test_few_validations_are_chosen_with_the_best_and_the_last(folder):
    run = read_run(folder)
    assert [row["step"] for row in run.chosen_validations(1)] == [20, 40]
    assert [row["step"] for row in run.chosen_validations(12)] == [10, 20, 30, 40]


def test_a_folder_without_a_run_is_named(folder, tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        read_run(tmp_path / "else")
    (folder / "recipe.json").write_text("{")
    with pytest.raises(UsageError, match=r"recipe\.json: cannot be read"):
        read_run(folder)


@pytest.mark.parametrize("cut_off", ["50,1e-", "50,0.001", "50,0.001,0.5,0.1,0.1,20,20,20,20"])
def test_a_row_that_was_cut_off_at_the_end_is_left_out(folder, cut_off):
    before = read_run(folder)
    with (folder / "log.csv").open("a") as file:
        file.write(cut_off)
    assert read_run(folder) == before


def test_a_damaged_log_is_named(folder):
    with (folder / "log.csv").open("a") as file:
        file.write("50,1e-\n51,0.001,0.5,0.1,0.1,,\n")
    with pytest.raises(UsageError, match=r"log\.csv: cannot be read as the log of a run: row 45"):
        read_run(folder)


@pytest.mark.parametrize("content", ["[]", "{}", '{"name": "a", "task": "sr", "net": 3}'])
def test_what_is_no_recipe_of_a_run_is_named(folder, content):
    (folder / "recipe.json").write_text(content)
    with pytest.raises(UsageError, match=r"recipe\.json: cannot be read: is no recipe of a run"):
        read_run(folder)


def test_a_validation_without_a_number_is_not_the_best(folder):
    log = folder / "log.csv"
    log.write_text(log.read_text().replace(",25.0,", ",nan,"))
    assert read_run(folder).best["psnr"] == 29.0
