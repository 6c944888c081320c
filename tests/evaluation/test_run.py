import errno
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from restorekit.data.matching import find_pairs
from restorekit.data.pairs import Pair
from restorekit.errors import DataError, PictureError
from restorekit.evaluation import run
from restorekit.evaluation.run import Evaluation, PairResult, Plan, measure_pairs
from restorekit.events import FileFailed, Finished, PairMeasured, Started, Warned
from restorekit.media.image import read_image, write_image
from restorekit.metrics.protocols import get_protocol, with_metrics, with_noise
from restorekit.types import Image
from tests.evaluation.conftest import finish

NAN = math.nan


def evaluate(pairs, restore, protocol=None, **how):
    """Events, and the evaluation of what a function restores."""
    chosen = protocol or get_protocol("rgb")
    plan = Plan(restore, chosen, **how)
    events, (results, failed) = finish(measure_pairs(pairs, plan, "m on d"))
    return events, Evaluation("m", "d", chosen, tuple(results), tuple(failed))


def brighten(levels: int) -> Callable[[Tensor], Tensor]:
    return lambda x: (x + levels / 255).clamp(0, 1)


def level_psnr(levels: int) -> float:
    return 20 * math.log10(255 / levels)


def test_each_pair_is_measured_before_and_after(folder):
    _, result = evaluate(find_pairs(folder), brighten(15))
    before = [pair.degraded["psnr"] for pair in result.pairs]
    after = [pair.restored["psnr"] for pair in result.pairs]
    assert before == pytest.approx([level_psnr(10), level_psnr(20), level_psnr(30)])
    assert after == pytest.approx([level_psnr(5), level_psnr(5), level_psnr(15)])
    assert result.mean("psnr") == pytest.approx(sum(after) / 3)
    assert result.degraded_mean("psnr") == pytest.approx(sum(before) / 3)


def test_events_tell_the_whole_story(folder):
    events, _ = evaluate(find_pairs(folder), brighten(0))
    assert events[0] == Started("m on d", 3)
    measured = [event for event in events if isinstance(event, PairMeasured)]
    assert [event.name for event in measured] == ["1", "2", "3"]
    assert set(measured[0].values) == {"psnr", "ssim", "degraded_psnr", "degraded_ssim"}
    assert isinstance(events[-1], Finished)
    assert (events[-1].done, events[-1].skipped, events[-1].failed) == (3, 0, 0)


def test_pictures_made_worse_are_counted(folder):
    _, result = evaluate(find_pairs(folder), brighten(25))
    # 10 levels too dark became 15 too bright; the others came nearer.
    assert result.made_worse == 1
    assert max(result.losses) == pytest.approx(level_psnr(10) - level_psnr(15))


def test_for_errors_smaller_is_better(folder):
    protocol = with_metrics(get_protocol("rgb"), ["mae"])
    _, result = evaluate(find_pairs(folder), brighten(25), protocol)
    assert result.made_worse == 1
    assert max(result.losses) == pytest.approx(5 / 255)


def one(degraded: dict[str, float], restored: dict[str, float], **other: object) -> Evaluation:
    pair = PairResult("1", 100, degraded, restored, 0.5)
    return Evaluation("m", "d", get_protocol("rgb"), (pair,), **other)


def test_an_untouched_picture_is_not_worse_even_when_it_is_perfect():
    result = one({"psnr": math.inf}, {"psnr": math.inf})
    assert result.losses == [0.0]
    assert result.seconds_per_megapixel == pytest.approx(5000)


def test_what_is_not_available_is_in_no_mean():
    first = PairResult("1", 1, {}, {"psnr": 30.0}, 0)
    second = PairResult("2", 1, {}, {"psnr": NAN}, 0)
    result = Evaluation("m", "d", get_protocol("rgb"), (first, second))
    assert result.mean("psnr") == 30
    assert math.isnan(result.mean("ssim"))
    assert math.isnan(result.degraded_mean("psnr"))
    assert result.losses == [0.0, 0.0]
    assert not result.has_degraded


def test_an_evaluation_says_how_much_of_the_set_it_is():
    perfect = {"psnr": math.inf}
    assert (one(perfect, perfect).coverage, one(perfect, perfect).is_complete) == ("1 pair", True)
    part = one(perfect, perfect, whole=100)
    assert (part.coverage, part.is_complete, part.total) == ("1 of 100 pairs", False, 100)
    failed = one(perfect, perfect, failed=(FileFailed(Path("2.png"), "cut off"),))
    assert (failed.coverage, failed.is_complete) == ("1 of 2 pairs", False)


def test_restored_pictures_are_saved_under_the_names_of_the_pairs(folder, tmp_path):
    saved = tmp_path / "out"
    _, result = evaluate(find_pairs(folder), brighten(10), save_dir=saved)
    assert sorted(path.name for path in saved.iterdir()) == ["1.png", "2.png", "3.png"]
    reference = read_image(folder / "target" / "1.png").pixels
    assert np.array_equal(read_image(saved / "1.png").pixels, reference)
    assert result.pairs[0].restored["psnr"] == math.inf


def test_known_results_are_taken_over_and_new_ones_handed_out(folder):
    known = PairResult("2", 1, {"psnr": 1.0}, {"psnr": 2.0}, 3)
    kept: list[str] = []
    seen: list[Tensor] = []
    events, result = evaluate(
        find_pairs(folder),
        lambda x: seen.append(x) or x,
        known=lambda pair: known if pair.name == "2" else None,
        keep=lambda pair, result: kept.append(pair.name),
    )
    assert events[0] == Started("m on d", 3, 1)
    assert (events[-1].done, events[-1].skipped) == (2, 1)
    assert len(seen) == 2
    assert kept == ["1", "3"]
    assert [pair.name for pair in result.pairs] == ["1", "2", "3"]
    assert result.pairs[1] is known


def test_noise_is_added_to_clean_pictures(folder):
    seen: list[Tensor] = []
    protocol = with_noise(get_protocol("rgb"), 25, seed=4)
    paths = sorted((folder / "target").iterdir())
    pairs = [Pair(path, path, path.stem) for path in paths]
    _, result = evaluate(pairs, lambda x: seen.append(x) or x, protocol)
    reference = torch.from_numpy(read_image(folder / "target" / "1.png").pixels)
    clean = reference.permute(2, 0, 1)[None] / 255
    assert protocol.noise is not None
    assert torch.equal(seen[0], protocol.noise.add(clean, "1"))
    assert result.degraded_mean("psnr") == pytest.approx(20.2, abs=0.4)


def test_a_clean_picture_is_reduced_for_super_resolution(tmp_path):
    path = tmp_path / "grey.png"
    write_image(path, Image(np.full((18, 25, 3), 90, np.uint8)))
    seen: list[Tensor] = []

    def enlarge(x: Tensor) -> Tensor:
        seen.append(x)
        return torch.full((1, 3, 16, 24), 90 / 255)

    _, result = evaluate([Pair(path, path, "grey", scale=8)], enlarge)
    assert seen[0].shape == (1, 3, 2, 3)
    assert torch.equal(seen[0], torch.full((1, 3, 2, 3), 90) / 255)
    assert result.mean("psnr") == math.inf
    assert result.pairs[0].degraded == {}
    assert result.pairs[0].pixels == 16 * 24


def test_a_grey_picture_is_compared_with_a_colour_reference(tmp_path):
    for kind, channels in (("input", 1), ("target", 3)):
        (tmp_path / kind).mkdir()
        write_image(tmp_path / kind / "1.png", Image(np.full((20, 20, channels), 90, np.uint8)))
    _, result = evaluate(find_pairs(tmp_path), lambda x: x)
    assert result.mean("psnr") == math.inf


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def test_a_picture_that_breaks_off_is_left_out_and_listed(folder):
    truncate(folder / "input" / "2.png")
    events, result = evaluate(find_pairs(folder), brighten(0))
    failures = [event for event in events if isinstance(event, FileFailed)]
    assert [failure.source.name for failure in failures] == ["2.png"]
    assert str(folder / "input" / "2.png") in failures[0].error
    assert result.failed == tuple(failures)
    assert [pair.name for pair in result.pairs] == ["1", "3"]
    assert events[-1].failed == 1


@pytest.mark.parametrize(
    ("error", "said"), [(PictureError("no"), "no"), (RuntimeError("a\nb"), "RuntimeError: a")]
)
def test_whatever_a_model_raises_is_the_failure_of_that_picture(folder, error, said):
    def broken(_: Tensor) -> Tensor:
        raise error

    _, result = evaluate(find_pairs(folder), broken)
    assert [failure.error for failure in result.failed] == [said] * 3


def add_small(folder: Path) -> None:
    """A fourth pair, with fewer rows than the window of SSIM."""
    small = np.full((8, 24, 3), 100, np.uint8)
    write_image(folder / "target" / "4.png", Image(small))
    write_image(folder / "input" / "4.png", Image(small - np.uint8(10)))


def test_a_metric_that_is_not_defined_costs_only_itself(folder):
    add_small(folder)
    protocol = with_metrics(get_protocol("rgb"), ["psnr", "ssim"])
    events, result = evaluate(find_pairs(folder), brighten(10), protocol)
    assert not result.failed
    assert not np.isnan(result.values("psnr")).any()
    assert np.isnan(result.values("ssim")).tolist() == [False, False, False, True]
    assert result.mean("ssim") == pytest.approx(np.mean(result.values("ssim")[:3]))
    reason = "SSIM needs at least 11 pixels on each side, got 24x8; choose another metric"
    assert [pair.undefined for pair in result.pairs] == [(), (), (), (reason,)]
    said = [event.message for event in events if isinstance(event, Warned)]
    assert said == [f"4 is left out of the mean of one metric: {reason}"]


def test_a_picture_of_which_no_metric_is_defined_fails(folder):
    add_small(folder)
    protocol = with_metrics(get_protocol("rgb"), ["ms_ssim", "ssim"])
    _, result = evaluate(find_pairs(folder), brighten(10), protocol)
    assert [pair.name for pair in result.pairs] == ["1", "2", "3"]
    assert [failure.source.stem for failure in result.failed] == ["4"]
    assert "MS-SSIM needs at least 161" in result.failed[0].error
    assert "SSIM needs at least 11" in result.failed[0].error


def test_a_restored_picture_of_another_size_fails(folder):
    _, result = evaluate(find_pairs(folder), lambda x: x[..., :-2])
    assert "cannot compare" in result.failed[0].error


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux only")
@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "No space left on device"), (errno.EACCES, "Permission denied")],
)
def test_a_full_disk_ends_the_evaluation(folder, tmp_path, monkeypatch, number, said):
    restored, written = [], []
    write = Path.write_bytes

    def write_two(path, data):
        written.append(path)
        if len(written) > 2:
            write(path, data[:20])
            raise OSError(number, os.strerror(number))
        return write(path, data)

    def restore(picture):
        restored.append(picture)
        return picture

    for name in ("4", "5"):
        for kind in ("input", "target"):
            (folder / kind / f"{name}.png").write_bytes((folder / kind / "1.png").read_bytes())
    monkeypatch.setattr(Path, "write_bytes", write_two)
    kept = []
    plan = Plan(
        restore, get_protocol("rgb"), save_dir=tmp_path / "saved", keep=lambda p, _: kept.append(p)
    )
    with pytest.raises(DataError, match=rf"3\.png cannot be written \({said}\).*--resume") as error:
        list(measure_pairs(find_pairs(folder), plan, "m on d"))
    assert "2 of 5 pictures of m on d are saved" in str(error.value)
    assert len(restored) == 3
    assert [pair.name for pair in kept] == ["1", "2"]
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == ["1.png", "2.png"]


def test_a_name_that_cannot_be_saved_is_the_failure_of_that_picture(folder, tmp_path):
    saved = tmp_path / "saved"
    (saved / "2.png").mkdir(parents=True)
    _, result = evaluate(find_pairs(folder), brighten(0), save_dir=saved)
    assert [failure.source.stem for failure in result.failed] == ["2"]
    assert sorted(path.name for path in saved.iterdir()) == ["1.png", "2.png", "3.png"]


def test_peak_memory_is_that_of_each_restoration(folder):
    sizes = iter((1, 300, 1))

    def hungry(x: Tensor) -> Tensor:
        torch.ones(next(sizes) * 2**18).sum()
        return x

    _, result = evaluate(find_pairs(folder), hungry)
    small, large, after = (pair.peak_bytes for pair in result.pairs)
    assert large - small > 200 * 2**20
    assert large - after > 200 * 2**20
    assert result.peak_bytes == large


def test_without_a_way_to_watch_memory_there_is_no_number(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "_SWITCH", tmp_path / "none" / "clear_refs")
    _, result = evaluate(find_pairs(folder), lambda x: x)
    assert result.peak_bytes == 0
    assert not result.failed
