"""Pairs by real processes: in parallel, interrupted, killed and resumed."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from restorekit.degradations.manifest import MANIFEST, read_manifest, sha256
from restorekit.degradations.pairs import make_pairs
from restorekit.degradations.plan import Wish, plan_pairs, replay_pairs
from restorekit.degradations.recipe import load_recipe
from restorekit.errors import DataError, UsageError
from restorekit.events import FileDone, FileFailed, Started
from restorekit.media.image import read_image, write_image
from restorekit.types import Image

COUNT = 12


@pytest.fixture
def photos(tmp_path):
    for number in range(COUNT):
        samples = np.random.default_rng(number).integers(0, 255, (40, 48, 3), dtype=np.uint8)
        write_image(tmp_path / "photos" / f"{number}.png", Image(samples))
    return tmp_path / "photos"


def plan(photos, recipe="realesrgan-x4", **wish):
    return plan_pairs([photos], Wish(load_recipe(recipe), recipe, **wish), recursive=False)


def made(photos, output, recipe="realesrgan-x4", workers=1, resume=False, **wish):
    jobs = plan(photos, recipe, **wish)
    return list(make_pairs(jobs, output, workers=workers, resume=resume))


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_bytes_do_not_depend_on_the_number_of_workers(photos, tmp_path):
    for workers in (1, 3):
        made(photos, tmp_path / f"{workers}", workers=workers, save=("kernel",), count=2)
    assert files(tmp_path / "1") == files(tmp_path / "3")


@pytest.mark.parametrize("workers", [1, 2])
def test_unreadable_pictures_are_listed_and_left_out(photos, tmp_path, workers):
    (photos / "3.png").write_bytes((photos / "3.png").read_bytes()[:200])
    write_image(photos / "5.png", Image(np.zeros((3, 3, 3), np.uint8)))
    events = made(photos, tmp_path / "pairs", workers=workers)
    failed = {event.source.name: event.error for event in events if isinstance(event, FileFailed)}
    assert set(failed) == {"3.png", "5.png"}
    assert "too small to be reduced 4 times" in failed["5.png"]
    assert len(read_manifest(tmp_path / "pairs" / MANIFEST)) == COUNT - 2


def test_the_reference_is_sharpened_written_and_replayed(photos, tmp_path):
    sharpen = '[[reference]]\nop = "unsharp-mask"\namount = "0.5..2.0"\nthreshold = 0.0\n'
    (tmp_path / "sharp.toml").write_text(f'{sharpen}[[steps]]\nop = "jpeg"\n')
    recipe, out = str(tmp_path / "sharp.toml"), tmp_path / "pairs"
    made(photos, out, recipe, count=2)
    chains = [entry.reference_chain for entry in read_manifest(out / MANIFEST)]
    assert len({chain[0][1].amount for chain in chains}) == 2 * COUNT
    photo, sharp, again = (
        read_image(path).pixels
        for path in (photos / "3.png", out / "reference/3.png", out / "reference/3_1.png")
    )
    assert photo.std() < min(sharp.std(), again.std())
    assert (sharp != again).any()
    jobs = replay_pairs(out / MANIFEST, [photos], recursive=False)
    list(make_pairs(jobs, tmp_path / "again"))
    assert files(tmp_path / "again") == files(out)


def test_the_manifest_has_the_hash_of_every_file(photos, tmp_path):
    out = tmp_path / "pairs"
    made(photos, out, save=("kernel", "mask"))
    listed = {}
    for entry in read_manifest(out / MANIFEST):
        assert entry.source_sha256 == sha256(photos / entry.source)
        assert (entry.recipe, entry.save) == ("realesrgan-x4", ("kernel", "mask"))
        assert entry.recipe_sha256 == load_recipe("realesrgan-x4").sha256
        listed |= entry.files
    assert listed == {
        path.relative_to(out).as_posix(): sha256(path)
        for path in out.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


def started(photos, output, *options):
    command = [sys.executable, "-m", "restorekit", "degrade", photos, "-o", output]
    command += ["--recipe", "realesrgan-x4", "--save", "kernel", "--count", 3, *options]
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    manifest = output / MANIFEST
    while not manifest.exists() or manifest.read_bytes().count(b"\n") < 5:
        assert process.poll() is None
        time.sleep(0.01)
    return process


def assert_complete(output):
    """Every line of the manifest has its files, and they have their hashes."""
    lines = (output / MANIFEST).read_bytes().decode().split("\n")
    for line in lines[:-1]:
        for name, digest in json.loads(line)["files"].items():
            assert sha256(output / name) == digest


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_resumes_to_the_bytes_of_a_whole_one(photos, tmp_path, workers):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    made(photos, whole, save=("kernel",), count=3)
    process = started(photos, killed, "--workers", workers)
    process.kill()
    # Workers hold the pipe of the error stream open as long as they live.
    process.communicate(timeout=30)
    assert_complete(killed)
    done = len(read_manifest(killed / MANIFEST))
    assert 5 <= done < 3 * COUNT
    events = made(photos, killed, save=("kernel",), count=3, resume=True)
    assert events[0] == Started("degrade", 3 * COUNT, done)
    assert sum(isinstance(event, FileDone) for event in events) == 3 * COUNT - done
    assert files(killed) == files(whole)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_whole_pairs(photos, tmp_path, workers):
    out = tmp_path / "pairs"
    process = started(photos, out, "--workers", workers)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"what was finished is kept" in said
    assert_complete(out)
    names = [{path.name for path in (out / kind).iterdir()} for kind in ("degraded", "reference")]
    assert names[0] == names[1]


def test_a_worker_that_dies_ends_the_run_with_a_hint(photos, tmp_path):
    events = make_pairs(plan(photos, count=3), tmp_path / "pairs", workers=2)
    while not isinstance(next(events), FileDone):
        pass
    for worker in multiprocessing.active_children():
        worker.kill()
    with pytest.raises(DataError, match="fewer --workers"):
        list(events)
    assert_complete(tmp_path / "pairs")


def test_what_a_torn_write_left_is_taken_away(photos, tmp_path):
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for output in (whole, torn):
        made(photos, output)
    data = (torn / MANIFEST).read_bytes()
    (torn / MANIFEST).write_bytes(data[:-100])
    (torn / "degraded" / f".{'0' * 32}.part.png").write_bytes(b"half")
    (torn / "reference" / "11.png").unlink()
    made(photos, torn, resume=True)
    assert files(torn) == files(whole)


def test_a_pair_whose_files_are_gone_is_made_again(photos, tmp_path):
    out = tmp_path / "pairs"
    made(photos, out)
    before = files(out)
    (out / "degraded" / "3.png").unlink()
    made(photos, out, resume=True)
    after = files(out)
    lines = [sorted(found.pop(MANIFEST).splitlines()) for found in (before, after)]
    assert before == after
    assert lines[0] == lines[1]


@pytest.mark.parametrize(
    "other",
    [{"seed": 1}, {"recipe": "bsrgan-x4"}, {"save": ("kernel",)}],
    ids=["seed", "recipe", "save"],
)
def test_another_command_does_not_resume(photos, tmp_path, other):
    made(photos, tmp_path / "pairs")
    with pytest.raises(UsageError, match="is not what this command makes"):
        made(photos, tmp_path / "pairs", resume=True, **other)


def test_a_picture_that_changed_does_not_resume(photos, tmp_path):
    made(photos, tmp_path / "pairs")
    write_image(photos / "0.png", Image(np.zeros((40, 48, 3), np.uint8)))
    with pytest.raises(DataError, match=r"0\.png: has changed"):
        made(photos, tmp_path / "pairs", resume=True)


def test_a_resume_of_nothing_begins(photos, tmp_path):
    events = made(photos, tmp_path / "pairs", resume=True)
    assert events[0] == Started("degrade", COUNT, 0)
    assert len(read_manifest(tmp_path / "pairs" / MANIFEST)) == COUNT


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_cannot_be_written_to_is_named(photos, tmp_path):
    (tmp_path / "pairs").mkdir(mode=0o500)
    with pytest.raises(DataError, match="cannot be written to"):
        made(photos, tmp_path / "pairs")


def test_a_name_too_long_for_a_copy_stops_no_other_picture(photos, tmp_path):
    long = photos / f"{'l' * 250}.png"
    next(photos.glob("*.png")).rename(long)
    events = made(photos, tmp_path / "pairs", "jpeg:2", count=2)
    (failed,) = (event for event in events if isinstance(event, FileFailed))
    assert failed.source == long
    assert "_1.png: is too long a name for a file here; rename the picture" in failed.error
    assert_complete(tmp_path / "pairs")


def test_a_failed_write_leaves_no_half_pair(photos, tmp_path):
    out = tmp_path / "pairs"
    events = make_pairs(plan(photos), out)
    while not isinstance(next(events), FileDone):
        pass
    (out / "reference").rename(out / "was-reference")
    (out / "reference").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be written to"):
        list(events)
    assert len(list((out / "degraded").iterdir())) == 1


def test_deep_pictures_stay_deep_and_grey_ones_grey(tmp_path):
    samples = np.random.default_rng(0).integers(0, 65535, (40, 48, 1), dtype=np.uint16)
    write_image(tmp_path / "photos" / "a.png", Image(samples))
    made(tmp_path / "photos", tmp_path / "pairs", "bsrgan-x4")
    degraded = read_image(tmp_path / "pairs" / "degraded" / "a.png").pixels
    assert (degraded.dtype, degraded.shape) == (np.uint16, (10, 12, 1))
