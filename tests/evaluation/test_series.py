import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from restorekit.backends.card import Training
from restorekit.backends.model import load_model
from restorekit.errors import DataError, UnknownNameError, UsageError
from restorekit.evaluation.series import Candidate, Series, as_they_are, choose_candidates
from restorekit.evaluation.subject import choose_subject, restored_subject
from restorekit.events import Finished, Started, Warned
from restorekit.media.image import write_image
from restorekit.metrics.protocols import get_protocol
from restorekit.types import Image
from tests.evaluation.conftest import finish, picture


@pytest.fixture
def tiny(checkpoint):
    return choose_candidates([checkpoint], device="cpu")[0]


@pytest.fixture
def second(tmp_path):
    """Another set, of one pair."""
    for kind, seed in (("target", 7), ("input", 8)):
        write_image(tmp_path / "second" / kind / "9.png", Image(picture(seed)))
    return choose_subject(str(tmp_path / "second"))


def test_every_model_is_measured_on_every_set(folder, second, tiny, tmp_path):
    other = replace(tiny, label="other")
    first = choose_subject(str(folder))
    series = Series([first, second], [tiny, other], save_dir=tmp_path / "out")
    events, results = finish(series.run())
    names = [(result.dataset, result.model) for result in results]
    assert names == [("set", "tiny"), ("set", "other"), ("second", "tiny"), ("second", "other")]
    assert [event.what for event in events if isinstance(event, Started)] == [
        "1/4 tiny on set",
        "2/4 tiny on second",
        "3/4 other on set",
        "4/4 other on second",
    ]
    for result in results:
        assert result.mean("psnr") == pytest.approx(result.degraded_mean("psnr"))
        assert result.backend == "drunet"
    assert (tmp_path / "out" / "set" / "tiny" / "3.png").is_file()
    assert (tmp_path / "out" / "second" / "other" / "9.png").is_file()


def test_published_numbers_are_not_put_beside_weights_of_our_own(tiny):
    assert tiny.published_net == "drunet"
    training = Training(data="photos", recipe="r", recipe_sha256="0", steps=1, seconds=1.0)
    card = tiny.model.card.model_copy(update={"training": training})
    assert replace(tiny, model=replace(tiny.model, card=card)).published_net == ""


def test_one_set_is_saved_without_a_folder_of_its_name(folder, tiny, tmp_path):
    subject = choose_subject(str(folder))
    finish(Series([subject], [tiny], save_dir=tmp_path / "out").run())
    assert (tmp_path / "out" / "tiny" / "3.png").is_file()


def test_a_part_of_a_set_says_so(folder, tiny):
    subject = replace(choose_subject(str(folder)), whole=500)
    events, results = finish(Series([subject], [tiny]).run())
    assert results[0].coverage == "3 of 500 pairs"
    (warning,) = (event for event in events if isinstance(event, Warned))
    assert warning.message.startswith("set: 3 of 500 pairs are here")


def test_a_metric_without_weights_is_said_before_and_is_not_available(folder, tiny, monkeypatch):
    monkeypatch.setenv("RESTOREKIT_METRIC_WEIGHTS", str(folder))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(folder))
    protocol = replace(get_protocol("rgb"), metrics=("psnr", "lpips_alex"))
    subject = replace(choose_subject(str(folder)), protocol=protocol)
    events, (result,) = finish(Series([subject], [tiny]).run())
    (warning,) = (event for event in events if isinstance(event, Warned))
    assert warning.message.startswith("set: LPIPS (alex) will be n/a: ")
    assert math.isnan(result.mean("lpips_alex"))
    assert result.mean("psnr") > 20


def test_different_sizes_are_an_error_before_anything_is_restored(folder, tiny):
    write_image(folder / "input" / "2.png", Image(np.zeros((24, 30, 3), np.uint8)))
    with pytest.raises(DataError, match=r"2 \(.*30x24.*32x24"):
        Series([choose_subject(str(folder))], [tiny])


@pytest.fixture
def small(tmp_path):
    """A folder of two pairs whose references are four times as large."""
    for k in (1, 2):
        write_image(tmp_path / "small" / "input" / f"{k}.png", Image(picture(k, 8, 9)))
        write_image(tmp_path / "small" / "target" / f"{k}.png", Image(picture(k, 33, 38)))
    return choose_subject(str(tmp_path / "small"))


def test_a_folder_of_small_pictures_is_measured_at_its_own_scale(small):
    (bicubic,) = choose_candidates([], ["bicubic"], device="cpu", scale=small.scale)
    _, (result,) = finish(Series([small], [bicubic]).run())
    assert (result.model, result.coverage) == ("bicubic-x4", "2 pairs")
    assert not result.has_degraded


def test_a_model_of_another_scale_is_refused_before_anything_is_restored(small, folder, tiny):
    with pytest.raises(UsageError, match="tiny has scale 1, and the references of small are 4"):
        Series([small], [tiny])
    with pytest.raises(UsageError, match="degraded has scale 1"):
        Series([small], choose_candidates([], ["input"]))
    bicubic = choose_candidates(["bicubic-x2"], device="cpu")
    with pytest.raises(UsageError, match="bicubic-x2 has scale 2, and the references of set are 1"):
        Series([choose_subject(str(folder))], bicubic)


def test_two_sets_of_one_name_are_refused(folder, tiny):
    subject = choose_subject(str(folder))
    with pytest.raises(UsageError, match="two sets would both be called set"):
        Series([subject, subject], [tiny])


def test_a_model_that_fails_on_all_pictures_does_not_stop_the_others(folder, tiny):
    broken = Candidate("broken", "", replace(tiny.model, net=torch.nn.Conv2d(1, 1, 1)))
    subject = choose_subject(str(folder))
    _, results = finish(Series([subject], [broken, tiny]).run())
    assert [(result.model, result.coverage) for result in results] == [
        ("broken", "0 of 3 pairs"),
        ("tiny", "3 pairs"),
    ]
    twice = [subject, replace(subject, dataset="again")]
    for subjects, pairs in ((twice[:1], 3), (twice, 6)):
        with pytest.raises(DataError, match=f"none of {pairs} pairs could be measured; first: "):
            finish(Series(subjects, [broken]).run())


# candidates


def test_two_models_of_one_name_are_refused(checkpoint):
    twin = checkpoint.parent / "elsewhere" / checkpoint.name
    twin.parent.mkdir()
    twin.write_bytes(checkpoint.read_bytes())
    with pytest.raises(UsageError, match="would both be called tiny"):
        choose_candidates([checkpoint, twin], device="cpu")


def test_baselines_are_models_without_weights(checkpoint):
    chosen = choose_candidates([checkpoint], ["median", "input", "median"], device="cpu")
    assert [candidate.label for candidate in chosen] == ["tiny", "median", "degraded"]
    assert chosen[2].model is None
    assert len({candidate.identity for candidate in chosen}) == 3
    with pytest.raises(UnknownNameError, match="did you mean median"):
        choose_candidates([], ["medain"], device="cpu")


@pytest.mark.parametrize("scale", [2, 3])
def test_a_baseline_that_enlarges_takes_the_scale_of_the_protocol(scale):
    (bicubic,) = choose_candidates([], ["bicubic"], device="cpu", scale=scale)
    assert bicubic.label == f"bicubic-x{scale}"
    assert bicubic.model is not None
    assert bicubic.model.scale == scale


def test_bicubic_is_measured_on_reduced_pictures(tmp_path):
    write_image(tmp_path / "clean" / "flat.png", Image(np.full((40, 60, 3), 90, np.uint8)))
    subject = choose_subject(str(tmp_path / "clean"), protocol=get_protocol("srgan-y-crop4"))
    bicubic = choose_candidates([], ["bicubic"], device="cpu", scale=4)
    _, (result,) = finish(Series([subject], bicubic).run())
    assert result.mean("psnr") > 60
    assert not result.has_degraded


def test_the_input_is_measured_as_it_is(folder):
    subject = choose_subject(str(folder))
    _, (result,) = finish(Series([subject], choose_candidates([], ["input"])).run())
    assert (result.model, result.made_worse) == ("degraded", 0)
    assert all(pair.restored == pair.degraded for pair in result.pairs)


def test_pictures_that_are_restored_already_have_no_degraded_ones(folder):
    subject = restored_subject(folder / "input", folder / "target")
    series = Series([subject], [as_they_are("mine")])
    _, (result,) = finish(series.run())
    assert result.model == "mine"
    assert result.pairs[0].restored["psnr"] == pytest.approx(28.13, abs=0.01)
    assert not result.has_degraded
    assert math.isnan(result.seconds_per_megapixel)
    assert result.peak_bytes == 0
    assert {example.degraded for example in series.examples([result])} == {None}


# the journal


def run_with(journal, folder, candidates, **how):
    series = Series([choose_subject(str(folder))], candidates, journal=journal, **how)
    return finish(series.run())


def counts(events):
    return [(e.done, e.skipped) for e in events if isinstance(e, Finished)]


def test_a_resumed_run_measures_only_what_is_missing(folder, tiny, tmp_path):
    journal = tmp_path / "j.jsonl"
    _, (whole,) = run_with(journal, folder, [tiny])
    lines = journal.read_text().splitlines(keepends=True)
    assert [json.loads(line)["name"] for line in lines] == ["1", "2", "3"]
    journal.write_text("".join(lines[:2]) + lines[2][:40])
    events, (resumed,) = run_with(journal, folder, [tiny], resume=True)
    assert counts(events) == [(1, 2)]
    assert [pair.restored for pair in resumed.pairs] == [pair.restored for pair in whole.pairs]
    events, _ = run_with(journal, folder, [tiny], resume=True)
    assert counts(events) == [(0, 3)]


def test_a_further_model_is_added_to_a_finished_run(folder, tiny, tmp_path):
    run_with(tmp_path / "j.jsonl", folder, [tiny])
    median = choose_candidates([], ["median"], device="cpu")
    events, results = run_with(tmp_path / "j.jsonl", folder, [tiny, *median], resume=True)
    assert counts(events) == [(0, 3), (3, 0)]
    assert [result.model for result in results] == ["tiny", "median"]


def test_without_resume_everything_is_measured_again(folder, tiny, tmp_path):
    for _ in range(2):
        events, _ = run_with(tmp_path / "j.jsonl", folder, [tiny])
        assert counts(events) == [(3, 0)]


def test_other_weights_of_the_same_name_are_measured(folder, checkpoint, tiny, tmp_path):
    run_with(tmp_path / "j.jsonl", folder, [tiny])
    other = replace(tiny, identity="other", model=load_model(checkpoint, device="cpu"))
    events, _ = run_with(tmp_path / "j.jsonl", folder, [other], resume=True)
    assert counts(events) == [(3, 0)]


def test_a_picture_that_is_to_be_saved_and_is_not_there_is_restored_again(folder, tiny, tmp_path):
    saved = tmp_path / "out"
    run_with(tmp_path / "j.jsonl", folder, [tiny], save_dir=saved)
    (saved / "tiny" / "2.png").unlink()
    events, _ = run_with(tmp_path / "j.jsonl", folder, [tiny], save_dir=saved, resume=True)
    assert counts(events) == [(1, 2)]
    assert (saved / "tiny" / "2.png").is_file()
