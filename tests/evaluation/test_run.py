import math
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor

from restorekit.data import catalog
from restorekit.data.catalog import Dataset
from restorekit.data.pairs import find_pairs
from restorekit.errors import DataError, PictureError, UnknownNameError, UsageError
from restorekit.evaluation.run import (
    Evaluation,
    PairResult,
    choose_subject,
    evaluate,
    evaluate_models,
)
from restorekit.events import Event, FileFailed, Finished, PairMeasured, Started
from restorekit.media.image import read_image, write_image
from restorekit.metrics.protocols import get_protocol, with_metrics, with_noise
from restorekit.types import Image, Task

Result = TypeVar("Result")


def finish(events: Generator[Event, None, Result]) -> tuple[list[Event], Result]:
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            return seen, end.value


def brighten(levels: int) -> Callable[[Tensor], Tensor]:
    return lambda x: (x + levels / 255).clamp(0, 1)


def level_psnr(levels: int) -> float:
    return 20 * math.log10(255 / levels)


def test_each_pair_is_measured_before_and_after(folder):
    _, result = finish(evaluate(find_pairs(folder), brighten(15), get_protocol("rgb")))
    before = [pair.degraded["psnr"] for pair in result.pairs]
    after = [pair.restored["psnr"] for pair in result.pairs]
    assert before == pytest.approx([level_psnr(10), level_psnr(20), level_psnr(30)])
    assert after == pytest.approx([level_psnr(5), level_psnr(5), level_psnr(15)])
    assert result.mean("psnr") == pytest.approx(sum(after) / 3)
    assert result.degraded_mean("psnr") == pytest.approx(sum(before) / 3)
    assert result.protocol.id == "rgb"


def test_events_tell_the_whole_story(folder):
    events, result = finish(
        evaluate(find_pairs(folder), brighten(0), get_protocol("rgb"), model="m", dataset="d")
    )
    assert events[0] == Started("m on d", 3)
    measured = [event for event in events if isinstance(event, PairMeasured)]
    assert [event.name for event in measured] == ["1", "2", "3"]
    assert set(measured[0].values) == {"psnr", "ssim", "degraded_psnr", "degraded_ssim"}
    assert isinstance(events[-1], Finished)
    assert (events[-1].done, events[-1].failed) == (3, 0)
    assert (result.model, result.dataset) == ("m", "d")


def test_pictures_made_worse_are_counted(folder):
    _, result = finish(evaluate(find_pairs(folder), brighten(25), get_protocol("rgb")))
    # 10 levels too dark became 15 too bright; the others came nearer.
    assert result.made_worse == 1
    assert max(result.losses) == pytest.approx(level_psnr(10) - level_psnr(15))


def test_for_errors_smaller_is_better(folder):
    protocol = with_metrics(get_protocol("rgb"), ["mae"])
    _, result = finish(evaluate(find_pairs(folder), brighten(25), protocol))
    assert result.made_worse == 1
    assert max(result.losses) == pytest.approx(5 / 255)


def test_an_untouched_picture_is_not_worse_even_when_it_is_perfect():
    perfect = {"psnr": math.inf}
    pair = PairResult("1", 100, perfect, perfect, 0.5)
    result = Evaluation("m", "d", get_protocol("rgb"), (pair,))
    assert result.losses == [0.0]
    assert result.seconds_per_megapixel == pytest.approx(5000)


def test_restored_pictures_are_saved_under_the_names_of_the_pairs(folder, tmp_path):
    saved = tmp_path / "out"
    _, result = finish(
        evaluate(find_pairs(folder), brighten(10), get_protocol("rgb"), save_dir=saved)
    )
    assert sorted(path.name for path in saved.iterdir()) == ["1.png", "2.png", "3.png"]
    reference = read_image(folder / "target" / "1.png").pixels
    assert np.array_equal(read_image(saved / "1.png").pixels, reference)
    assert result.pairs[0].restored["psnr"] == math.inf


def test_noise_is_added_to_clean_pictures(folder):
    seen: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        seen.append(x)
        return x

    protocol = with_noise(get_protocol("rgb"), 25, seed=4)
    subject = choose_subject(str(folder / "target"), protocol=protocol)
    _, result = finish(evaluate(subject.pairs, keep, subject.protocol))
    reference = torch.from_numpy(read_image(folder / "target" / "1.png").pixels)
    clean = reference.permute(2, 0, 1)[None] / 255
    assert protocol.noise is not None
    assert torch.equal(seen[0], protocol.noise.add(clean, "1"))
    assert result.degraded_mean("psnr") == pytest.approx(20.2, abs=0.4)
    assert result.protocol.id == "rgb-sigma25-seed4"


def test_a_grey_picture_is_compared_with_a_colour_reference(tmp_path):
    for kind, channels in (("input", 1), ("target", 3)):
        (tmp_path / kind).mkdir()
        write_image(tmp_path / kind / "1.png", Image(np.full((20, 20, channels), 90, np.uint8)))
    _, result = finish(evaluate(find_pairs(tmp_path), lambda x: x, get_protocol("rgb")))
    assert result.mean("psnr") == math.inf


def test_different_sizes_are_an_error_before_anything_is_restored(folder):
    write_image(folder / "input" / "2.png", Image(np.zeros((24, 30, 3), np.uint8)))
    events = evaluate(find_pairs(folder), pytest.fail, get_protocol("rgb"))
    with pytest.raises(DataError, match=r"2 \(30x24 and 32x24\)"):
        next(events)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def test_a_picture_that_breaks_off_is_left_out_and_listed(folder):
    truncate(folder / "input" / "2.png")
    events, result = finish(evaluate(find_pairs(folder), brighten(0), get_protocol("rgb")))
    failures = [event for event in events if isinstance(event, FileFailed)]
    assert [failure.source.name for failure in failures] == ["2.png"]
    assert str(folder / "input" / "2.png") in failures[0].error
    assert result.failed == tuple(failures)
    assert [pair.name for pair in result.pairs] == ["1", "3"]
    assert isinstance(events[-1], Finished)
    assert events[-1].failed == 1


def test_nothing_measured_is_an_error(folder):
    def broken(_: Tensor) -> Tensor:
        raise PictureError("no")

    with pytest.raises(DataError, match="none of 3 pairs could be measured; first: no"):
        finish(evaluate(find_pairs(folder), broken, get_protocol("rgb")))


def test_a_restored_picture_of_another_size_fails(folder):
    with pytest.raises(DataError, match="cannot compare"):
        finish(evaluate(find_pairs(folder), lambda x: x[..., :-2], get_protocol("rgb")))


# what is measured


@pytest.fixture
def known(folder, monkeypatch):
    """Two sets in the table: the pairs, and their references as clean pictures."""
    sets = {
        "Pairs": Dataset("Pairs", ("set",), 9, Task.DERAIN, "rgb-float"),
        "Clean": Dataset("Clean", ("set/target",), 3, Task.DENOISE, "awgn-sigma15", clean=True),
    }
    monkeypatch.setattr(catalog, "DATASETS", sets)
    return folder.parent


def test_a_known_set_has_its_own_task_and_protocol(known):
    subject = choose_subject("pairs", data_root=known)
    assert (subject.dataset, subject.task, subject.whole) == ("Pairs", Task.DERAIN, 9)
    assert subject.protocol.id == "rgb-float"
    assert len(subject.pairs) == 3


def test_the_protocol_can_be_chosen(known):
    subject = choose_subject("Pairs", data_root=known, protocol=get_protocol("rain-y-matlab"))
    assert subject.protocol.id == "rain-y-matlab"


def test_a_folder_of_anybody_is_measured_in_rgb(folder):
    subject = choose_subject(str(folder))
    assert (subject.dataset, subject.task, subject.whole) == ("set", None, 0)
    assert subject.protocol.id == "rgb"


def test_protocols_that_do_not_suit_the_set_are_refused(known):
    with pytest.raises(UsageError, match="Clean holds clean pictures only"):
        choose_subject("Clean", data_root=known, protocol=get_protocol("rgb"))
    with pytest.raises(UsageError, match="Pairs has degraded pictures of its own"):
        choose_subject("Pairs", data_root=known, protocol=get_protocol("awgn-sigma25"))


def test_unknown_sets_and_folders():
    with pytest.raises(UnknownNameError, match="did you mean Rain100L"):
        choose_subject("Rain100")
    with pytest.raises(UsageError, match="no such folder"):
        choose_subject("some/where")


# several models


def test_models_are_measured_one_after_the_other(folder, checkpoint, tmp_path):
    other = checkpoint.with_name("other.safetensors")
    other.write_bytes(checkpoint.read_bytes())
    subject = choose_subject(str(folder))
    _, results = finish(
        evaluate_models(subject, [checkpoint, other], device="cpu", save_dir=tmp_path / "out")
    )
    assert [result.model for result in results] == ["tiny", "other"]
    for result in results:
        assert result.mean("psnr") == pytest.approx(result.degraded_mean("psnr"))
        assert (tmp_path / "out" / result.model / "3.png").is_file()


def test_two_models_of_one_name_are_refused(folder, checkpoint):
    twin = checkpoint.parent / "elsewhere" / checkpoint.name
    twin.parent.mkdir()
    twin.write_bytes(checkpoint.read_bytes())
    with pytest.raises(UsageError, match="would both be called tiny"):
        finish(evaluate_models(choose_subject(str(folder)), [checkpoint, twin], device="cpu"))


def test_the_size_of_the_whole_set_is_kept(folder, checkpoint):
    subject = replace(choose_subject(str(folder)), whole=500)
    _, results = finish(evaluate_models(subject, [checkpoint], device="cpu"))
    assert results[0].whole == 500
