import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from restorekit.backends import hub
from restorekit.backends.card import Card
from restorekit.data.pairs import read_pair
from restorekit.degradations.recipe import load_recipe
from restorekit.errors import DataError, UnknownNameError, UsageError
from restorekit.evaluation.run import open_pair
from restorekit.evaluation.samples import (
    USUAL,
    degrade_sample,
    find_samples,
    is_samples,
    usual_samples,
)
from restorekit.evaluation.subject import choose_subject
from restorekit.metrics.protocols import get_protocol
from restorekit.types import Task

FOLDER = Path(__file__).parents[2] / "weights" / "samples"


def card(task, scale=1):
    return Card(name="x", backend="drunet", config={}, task=task, scale=scale)


def test_every_task_has_a_set():
    for task in Task:
        pairs, _ = find_samples(usual_samples(card(task, scale=2 if task is Task.SR else 1)))
        assert len(pairs) >= 4
        assert {pair.scale for pair in pairs} == {2 if task is Task.SR else 1}


def test_a_card_without_a_task_has_to_be_told():
    with pytest.raises(UsageError, match=r"card of x names no task.*--degradation"):
        usual_samples(card(None))


@pytest.mark.parametrize("task", USUAL)
def test_every_set_is_degraded_and_the_same_each_time(task):
    pairs, recipe = find_samples(usual_samples(card(task)))
    for pair in pairs:
        pixels = read_pair(pair)[1]
        degraded, reference = degrade_sample(pixels, recipe, pair.name)
        assert degraded.dtype == reference.dtype == np.uint8
        assert not np.array_equal(degraded, reference)
        assert np.array_equal(reference, pixels)
        again, _ = degrade_sample(pixels, load_recipe(USUAL[task]), pair.name)
        assert np.array_equal(degraded, again)


def test_the_noise_is_that_of_every_machine():
    (pair, *_), recipe = find_samples("samples:gaussian-noise:3")
    assert pair.name == "muzzle"
    degraded, _ = degrade_sample(read_pair(pair)[1], recipe, pair.name)
    digest = hashlib.sha256(degraded.tobytes()).hexdigest()
    assert digest.startswith("697a90783bf4d036")


def test_what_is_reduced_is_compared_at_its_scale():
    subject = choose_subject("samples:classical-x4")
    assert (subject.scale, subject.protocol.id, subject.whole) == (4, "rgb", len(subject.pairs))
    degraded, target, reference = open_pair(subject.pairs[0], subject.protocol, subject.recipe)
    assert (degraded.shape, target.shape) == ((1, 3, 64, 64), (1, 3, 256, 256))
    assert reference.shape == (256, 256, 3)
    y = get_protocol("srgan-y-crop4")
    assert choose_subject("samples:classical-x4", protocol=y).protocol is y


@pytest.mark.parametrize(
    ("dataset", "error", "said"),
    [
        ("samples:rain100", UnknownNameError, "did you mean rain100l-like"),
        ("samples:hase:3", UnknownNameError, "haze"),
        ("samples:gopro-like", UsageError, "averages frames"),
        ("samples:", UnknownNameError, "degradation recipe of the samples"),
    ],
)
def test_a_wrong_recipe_is_refused(dataset, error, said):
    with pytest.raises(error, match=said):
        choose_subject(dataset)


def test_a_file_is_no_recipe_of_the_samples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text('[[steps]]\nop = "haze"\n')
    with pytest.raises(UnknownNameError, match=r"mine\.toml"):
        choose_subject("samples:mine.toml")


@pytest.mark.parametrize(
    ("dataset", "protocol", "said"),
    [
        ("samples:haze:3", "awgn-sigma25", "would add noise; choose rgb"),
        ("samples:haze:3", "srgan-y-crop2", "reduced 1 times.*made for scale 2"),
        ("samples:classical-x4", "srgan-y-crop2", "reduced 4 times.*made for scale 2"),
    ],
)
def test_a_protocol_that_makes_its_own_pictures_is_refused(dataset, protocol, said):
    with pytest.raises(UsageError, match=said):
        choose_subject(dataset, protocol=get_protocol(protocol))


def test_missing_samples_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "weights_folder", lambda: tmp_path)
    with pytest.raises(DataError, match=r"samples: the sample pictures are missing; install"):
        choose_subject("samples:haze:3")
    (tmp_path / "samples").mkdir()
    with pytest.raises(DataError, match="no pictures in it"):
        choose_subject("samples:haze:3")


def test_a_folder_may_be_called_samples():
    assert not is_samples("samples")
    assert not is_samples("samples/haze")


def test_the_pictures_are_small_and_attributed():
    files = [path for path in FOLDER.iterdir() if path.suffix != ".md"]
    words = (FOLDER / "README.md").read_text()
    assert sum(path.stat().st_size for path in files) < 500_000
    for path in files:
        with PillowImage.open(path) as picture:
            assert (picture.size, picture.mode) == ((256, 256), "RGB")
        assert f"`{path.name}`" in words
    assert "creativecommons.org/licenses/by-sa/3.0" in words
