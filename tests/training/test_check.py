import shutil

import numpy as np
import pytest
from PIL import Image as PillowImage

from restorekit import api
from restorekit.errors import DataError, TrainingError
from restorekit.events import FileFailed, Finished, PairMeasured, Warned
from restorekit.files import free_bytes
from restorekit.media.image import read_image
from restorekit.training import loop
from restorekit.training.config import parse_recipe


@pytest.fixture
def pairs(tmp_path):
    """Five pairs of 44x40 pixels."""
    folder = tmp_path / "pairs"
    for kind, shift in (("input", 0), ("target", 10)):
        (folder / kind).mkdir(parents=True)
        for number in range(5):
            samples = np.random.default_rng(number).integers(0, 200, (40, 44, 3), dtype=np.uint8)
            PillowImage.fromarray(samples + np.uint8(shift)).save(folder / kind / f"{number}.png")
    return folder


@pytest.fixture
def recipe(content, pairs):
    content["data"] = {"pairs": str(pairs), "hold_out": 2, "patch": 16, "batch": 2, "workers": 0}
    return parse_recipe(content, "tiny")


def check(recipe, folder):
    events = api.checking(recipe, folder, device="cpu")
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as stop:
            return seen, stop.value


def failures(recipe, folder):
    seen = []
    with pytest.raises(DataError) as error:
        seen.extend(api.checking(recipe, folder, device="cpu"))
    assert not folder.exists()
    return [e.error for e in seen if isinstance(e, FileFailed)], str(error.value)


def test_every_pair_is_opened_and_both_splits_are_reported(recipe, tmp_path):
    events, report = check(recipe, tmp_path / "run")
    opened = [e.name.split(":")[0] for e in events if isinstance(e, PairMeasured)]
    assert opened == ["train"] * 3 + ["validation"] * 2
    assert isinstance(events[-1], Finished)
    train, validation = report.splits
    assert (train.name, train.pictures, train.smallest) == ("train", 3, "44x40")
    assert (validation.pictures, validation.unusable) == (2, 0)
    assert train.psnr == pytest.approx(20 * np.log10(255 / 10), abs=1e-3)
    assert report.steps == 20
    assert report.validations == 2
    assert report.seconds > 20 * report.seconds_per_step > 0
    assert 0 < report.needed_bytes < report.free_bytes


def test_the_sheet_shows_what_the_net_will_see_and_nothing_else_is_written(recipe, tmp_path):
    _, report = check(recipe, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["check.png"]
    picture = read_image(report.sheet)
    assert picture.width > 4 * 160
    assert picture.height > 4 * 160
    assert picture.pixels.std() > 10


def test_clean_photos_have_no_psnr(content, tmp_path):
    _, report = check(parse_recipe(content, "tiny"), tmp_path / "run")
    assert [split.psnr for split in report.splits] == [None, None]


def test_stages_count_for_their_length(content, pairs, tmp_path):
    stages = [{"until": 19, "patch": 8, "batch": 1}]
    data = {"pairs": str(pairs), "hold_out": 2, "patch": 40, "batch": 8, "workers": 0}
    staged = parse_recipe(content | {"data": data | {"stages": stages}}, "tiny")
    plain = parse_recipe(content | {"data": data}, "tiny")
    times = [check(each, tmp_path / "run")[1].seconds_per_step for each in (staged, plain)]
    assert times[0] < times[1]


def test_all_files_without_a_partner_are_named(recipe, pairs, tmp_path):
    (pairs / "target" / "1.png").unlink()
    (pairs / "input" / "3.png").unlink()
    said, summary = failures(recipe, tmp_path / "run")
    assert len(said) == 2
    assert any("input/1.png" in line and "without a reference" in line for line in said)
    assert "2 files" in summary


def test_all_pictures_that_cannot_be_used_are_named_by_split(recipe, pairs, tmp_path):
    PillowImage.new("RGB", (44, 40)).save(pairs / "input" / "0.png")
    PillowImage.new("RGB", (40, 40)).save(pairs / "input" / "1.png")
    for kind in ("input", "target"):
        PillowImage.new("RGB", (12, 40)).save(pairs / kind / "2.png")
    (pairs / "target" / "4.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    said, summary = failures(recipe, tmp_path / "run")
    assert [line.split(":")[0] for line in said] == ["train", "train", "validation"]
    assert "40x40 and 44x40" in said[0]
    assert "12x40 is smaller than the 16-pixel patch" in said[1]
    assert "4.png" in said[2]
    assert summary.startswith("2 of 3 to train and 1 of 2 to validation")


def test_pairs_that_do_not_look_alike_are_doubted(recipe, pairs, tmp_path):
    PillowImage.new("RGB", (44, 40), "white").save(pairs / "target" / "0.png")
    events, _ = check(recipe, tmp_path / "run")
    doubts = [e.message for e in events if isinstance(e, Warned)]
    assert len(doubts) == 1
    assert "0.png" in doubts[0]
    assert "same scene" in doubts[0]


def test_a_full_disk_is_told_before_the_first_step(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "free_bytes", lambda _: 1000)
    with pytest.raises(TrainingError, match="0 MB are free"):
        check(recipe, tmp_path / "run")
    with pytest.raises(TrainingError, match="free some space or choose another folder with -o"):
        list(api.training(recipe, tmp_path / "other", device="cpu"))


def test_an_empty_folder_is_an_error(recipe, tmp_path):
    (tmp_path / "empty").mkdir()
    data = recipe.data.model_copy(update={"pairs": tmp_path / "empty"})
    with pytest.raises(DataError, match="no pairs found"):
        check(recipe.model_copy(update={"data": data}), tmp_path / "run")


def test_space_is_told_of_folders_that_are_still_to_be_made(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    assert free_bytes(tmp_path / "a" / "b") == pytest.approx(free, rel=0.1)
