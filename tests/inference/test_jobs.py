import os
from pathlib import Path

import numpy as np
import pytest
import torch

from restorekit.errors import RestorekitError, UsageError
from restorekit.events import (
    FileDone,
    FileFailed,
    FileSkipped,
    FileStarted,
    Finished,
    Started,
    TileDone,
    Warned,
)
from restorekit.inference.jobs import check_destinations, compare_paths, run_jobs
from restorekit.inference.pipeline import Restorer
from restorekit.media.image import read_image, write_image
from restorekit.media.paths import Job
from restorekit.types import Image


@pytest.fixture
def picture(tmp_path):
    """Write a picture below the test's folder; returns its path."""

    def make(name, height=24, width=32, **parts):
        path = tmp_path / name
        samples = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
        write_image(path, Image(samples, **parts))
        return path

    return make


@pytest.fixture
def restorer(make_model):
    return Restorer(make_model(lambda x: 1 - x))


def names(folder: Path):
    return sorted(path.name for path in folder.iterdir())


def test_a_batch_reports_every_file_and_goes_on_after_a_bad_one(tmp_path, picture, restorer):
    good, other = picture("a.png"), picture("b.png")
    bad = tmp_path / "bad.png"
    bad.write_bytes(good.read_bytes()[:200])
    out = tmp_path / "out"
    jobs = [Job(path, out / path.name) for path in (good, bad, tmp_path / "missing.png", other)]
    events = list(run_jobs(jobs, restorer))
    assert [type(event) for event in events] == [
        Started,
        *(FileStarted, TileDone, FileDone),
        *(FileFailed, FileFailed),
        *(FileStarted, TileDone, FileDone),
        Finished,
    ]
    assert events[0] == Started("fake on cpu", 4)
    assert events[1] == FileStarted(good, 24, 32)
    assert (events[3].source, events[3].destination) == (good, out / "a.png")
    assert events[3].details == {"height": 24, "width": 32}
    assert events[4].source == bad
    assert events[4].error.startswith(str(bad))
    assert (events[-1].done, events[-1].skipped, events[-1].failed) == (2, 0, 2)
    assert names(out) == ["a.png", "b.png"]
    restored = read_image(out / "a.png").pixels
    np.testing.assert_array_equal(restored, 255 - read_image(good).pixels)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("shape mismatch\nfrom native code"), "RuntimeError: shape mismatch"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (RestorekitError("the net is broken"), "the net is broken"),
    ],
)
def test_any_error_of_one_file_is_one_line(tmp_path, picture, make_model, error, message):
    def broken(x):
        raise error

    jobs = [Job(picture("a.png"), tmp_path / "out.png")]
    events = list(run_jobs(jobs, Restorer(make_model(broken))))
    assert events[2] == FileFailed(jobs[0].source, message)
    assert not (tmp_path / "out.png").exists()


def test_what_exists_is_refused_before_any_work(tmp_path, picture, restorer):
    jobs = [Job(picture(f"{n}.png"), picture(f"{n}_restored.png")) for n in range(7)]
    events = run_jobs(jobs, restorer)
    with pytest.raises(UsageError, match=r"0_restored.png, .* and 2 more") as raised:
        next(events)
    assert "--overwrite" in str(raised.value)
    assert "--skip-existing" in str(raised.value)


def test_an_existing_comparison_counts_only_when_one_is_asked_for(tmp_path, picture):
    jobs = [Job(picture("a.png"), tmp_path / "a_restored.png")]
    picture("a_compare.jpg")
    check_destinations(jobs)
    with pytest.raises(UsageError, match=r"already there: .*a_compare.jpg"):
        check_destinations(jobs, compare=True)


def test_overwrite_and_skip_existing_exclude_each_other():
    with pytest.raises(UsageError, match="exclude each other"):
        check_destinations([], overwrite=True, skip_existing=True)


def test_skip_existing_does_the_rest(tmp_path, picture, restorer):
    done = Job(picture("a.png"), picture("a_restored.png"))
    new = Job(picture("b.png"), tmp_path / "b_restored.png")
    before = done.destination.read_bytes()
    events = list(run_jobs([done, new], restorer, skip_existing=True))
    assert events[1] == FileSkipped(done.source, f"{done.destination} is already there")
    assert done.destination.read_bytes() == before
    assert (events[-1].done, events[-1].skipped) == (1, 1)


def test_overwrite_replaces_even_the_source(picture, restorer):
    path = picture("a.png")
    before = read_image(path).pixels
    list(run_jobs([Job(path, path)], restorer, overwrite=True))
    np.testing.assert_array_equal(read_image(path).pixels, 255 - before)


def test_compare_writes_both_pictures_side_by_side(tmp_path, picture, restorer):
    jobs = [Job(picture("a.png", 100, 80), tmp_path / "out" / "a.png")]
    events = list(run_jobs(jobs, restorer, compare=True))
    comparison = tmp_path / "out" / "a_compare.jpg"
    assert events[3].details["compare"] == comparison
    assert read_image(comparison).width > 160
    assert names(tmp_path / "out") == ["a.png", "a_compare.jpg"]


def test_comparisons_of_one_stem_do_not_collide():
    jobs = [Job(Path("in", name), Path("out", name)) for name in ("a.jpg", "a.png", "b.png")]
    assert [path.name for path in compare_paths(jobs)] == [
        "a.jpg_compare.jpg",
        "a.png_compare.jpg",
        "b_compare.jpg",
    ]
    assert {path.parent for path in compare_paths(jobs)} == {Path("out")}


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ([("a.jpg", "a_compare.jpg")], "a.jpg would be written to a_compare.jpg"),
        ([("x/a.jpg", "o/a.jpg"), ("a_compare.jpg", "o/a_compare.jpg")], "x/a.jpg would be"),
        ([("x/a.jpg", "o/a.jpg"), ("o/a_compare.jpg", "b.jpg")], "to o/a_compare.jpg, which"),
        ([(f"c/{name}", f"o/{name}") for name in ("a.jpg", "a.png", "a.jpg.png")], "a.jpg.png"),
    ],
)
@pytest.mark.parametrize("answer", [{}, {"overwrite": True}, {"skip_existing": True}])
def test_a_comparison_takes_no_place_of_another_picture(pairs, told, answer):
    jobs = [Job(Path(source), Path(destination)) for source, destination in pairs]
    check_destinations(jobs, **answer)
    with pytest.raises(UsageError, match="before/after picture of") as raised:
        check_destinations(jobs, compare=True, **answer)
    assert told in str(raised.value)


def test_comparisons_whose_names_differ_in_case_alone_do_not_collide():
    jobs = [Job(Path("in", name), Path("out", name)) for name in ("a.jpg", "A.png")]
    assert [path.name for path in compare_paths(jobs)] == ["a.jpg_compare.jpg", "A.png_compare.jpg"]


def test_skip_existing_makes_a_missing_comparison_of_what_is_there(tmp_path, picture, make_model):
    def never(x):
        raise AssertionError

    job, comparison = Job(picture("a.png"), picture("out.png")), tmp_path / "a_compare.jpg"
    options = {"compare": True, "skip_existing": True}
    events = list(run_jobs([job], Restorer(make_model(never)), **options))
    assert (events[-2].destination, events[-1].done) == (comparison, 1)
    assert read_image(comparison).width > 64
    before = comparison.read_bytes()
    events = list(run_jobs([job], Restorer(make_model(never)), **options))
    assert isinstance(events[1], FileSkipped)
    job.destination.unlink()
    list(run_jobs([job], Restorer(make_model(lambda x: 1 - x)), **options))
    assert job.destination.exists()
    assert comparison.read_bytes() == before


def test_a_comparison_of_a_very_wide_picture_is_made_smaller(tmp_path, picture, restorer):
    job = Job(picture("wide.png", 4, 40_000), tmp_path / "out.png")
    events = list(run_jobs([job], restorer, compare=True))
    assert (events[-1].done, events[-1].failed) == (1, 0)
    assert read_image(tmp_path / "wide_compare.jpg").width in (65_499, 65_500)


def test_pictures_that_were_left_out_are_reported(tmp_path, picture, restorer):
    left_out = FileSkipped(tmp_path / "a_restored.png", "for a reason")
    jobs = [Job(picture("a.png"), tmp_path / "out.png")]
    events = list(run_jobs(jobs, restorer, left_out=[left_out]))
    assert events[:2] == [Started("fake on cpu", 2), left_out]
    assert (events[-1].done, events[-1].skipped) == (1, 1)


@pytest.mark.parametrize("options", [{}, {"skip_existing": True}, {"compare": True}])
def test_a_name_too_long_is_the_failure_of_one_file(tmp_path, picture, restorer, options):
    stem = "n" * 245
    jobs = [
        Job(picture(f"{stem}.png"), tmp_path / f"{stem}_restored.png"),
        Job(picture("b.png"), tmp_path / "b_restored.png"),
    ]
    check_destinations(jobs, **options)
    events = list(run_jobs(jobs, restorer, **options))
    assert (events[-1].done, events[-1].failed) == (1, 1)
    assert "cannot be written: File name too long" in events[1].error


def test_what_the_format_loses_is_said(tmp_path, picture, restorer):
    source = picture("a.png", alpha=np.full((24, 32), 7, np.uint8))
    events = list(run_jobs([Job(source, tmp_path / "a.jpg")], restorer))
    assert events[3] == Warned(f"{tmp_path / 'a.jpg'}: the alpha channel is dropped")


def test_quality_reaches_the_file(tmp_path, picture, restorer):
    source = picture("a.png", 200, 200)
    sizes = []
    for quality in (30, 95):
        job = Job(source, tmp_path / f"{quality}.jpg")
        list(run_jobs([job], restorer, quality=quality))
        sizes.append(job.destination.stat().st_size)
    assert sizes[0] < sizes[1] / 2


def test_a_place_that_cannot_be_written_fails_before_the_net_runs(tmp_path, picture, make_model):
    def never(x):
        raise AssertionError

    source = picture("a.png")
    (tmp_path / "folder.png").mkdir()
    jobs = [Job(source, source / "below.png"), Job(source, tmp_path / "folder.png")]
    events = list(run_jobs(jobs, Restorer(make_model(never)), overwrite=True))
    assert [event.error.partition(" ")[2] for event in events[1:3]] == [
        f"cannot be written: {source} is a file, not a folder",
        "is a folder and cannot be written over; name a file",
    ]


def test_a_folder_without_permission_is_named(tmp_path, picture, restorer, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    events = list(run_jobs([Job(picture("a.png"), tmp_path / "new/out.png")], restorer))
    assert f"no permission in {tmp_path}" in events[1].error


def test_an_interruption_leaves_nothing_half_written(tmp_path, picture, make_model):
    def interrupted(x):
        if x.shape[-1] == 33:
            raise KeyboardInterrupt
        return x

    jobs = [Job(picture(f"{w}.png", width=w), tmp_path / "out" / f"{w}.png") for w in (32, 33, 34)]
    events = []
    with pytest.raises(KeyboardInterrupt):
        events.extend(run_jobs(jobs, Restorer(make_model(interrupted))))
    assert names(tmp_path / "out") == ["32.png"]


def test_an_enlarging_model_writes_a_larger_picture(tmp_path, picture, make_model):
    model = make_model(lambda x: torch.nn.functional.interpolate(x, scale_factor=3.0), scale=3)
    job = Job(picture("a.png"), tmp_path / "large.png")
    events = list(run_jobs([job], Restorer(model)))
    assert events[-2].details == {"height": 72, "width": 96}
    assert read_image(job.destination).pixels.shape == (72, 96, 3)
