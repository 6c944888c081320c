import json

import numpy as np
import pytest
from typer.testing import CliRunner

from restorekit.cli.app import app
from restorekit.degradations.recipe import list_presets
from restorekit.media.image import read_image, write_image
from restorekit.types import Image


def run(*arguments):
    return CliRunner().invoke(app, ["degrade", *map(str, arguments)])


@pytest.fixture
def photos(tmp_path):
    for name, depth in (("a.jpg", np.uint8), ("sub/b.png", np.uint16)):
        samples = np.random.default_rng(1).integers(0, 200, (31, 45, 3)).astype(depth)
        write_image(tmp_path / "photos" / name, Image(samples))
    return tmp_path / "photos"


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_pairs_and_a_manifest_are_written(photos, tmp_path):
    out = tmp_path / "pairs"
    result = run(photos, "-o", out, "--recipe", "denoise-blind", "--count", 2, "--recursive")
    assert result.exit_code == 0, result.output
    names = {"a.png", "a_1.png", "sub/b.png", "sub/b_1.png"}
    written = {f"{kind}/{name}" for kind in ("degraded", "reference") for name in names}
    assert set(files(out)) == written | {"manifest.jsonl"}
    reference = read_image(out / "reference" / "sub" / "b.png").pixels
    np.testing.assert_array_equal(reference, read_image(photos / "sub" / "b.png").pixels)
    degraded = read_image(out / "degraded" / "sub" / "b.png").pixels
    assert degraded.dtype == np.uint16
    assert not np.array_equal(degraded, reference)


def test_the_manifest_replays_to_the_same_bytes(photos, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    options = ["--recipe", "rain-varied", "--seed", 7, "--count", 2, "--recursive"]
    assert run(photos, "-o", first, *options).exit_code == 0
    manifest = first / "manifest.jsonl"
    assert run(photos, "-o", second, "--replay", manifest, "--recursive").exit_code == 0
    assert files(first) == files(second)


def test_a_subset_gives_the_same_bytes_as_the_whole(photos, tmp_path):
    whole, part = tmp_path / "whole", tmp_path / "part"
    run(photos, "-o", whole, "--recipe", "rain-varied", "--recursive")
    run(photos, "-o", part, "--recipe", "rain-varied")
    assert files(part)["degraded/a.png"] == files(whole)["degraded/a.png"]


def test_an_unreadable_picture_is_reported_and_left_out(photos, tmp_path):
    (photos / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "pairs"
    result = run(photos, "-o", out, "--recipe", "denoise-blind")
    assert result.exit_code == 1
    assert "broken.png" in result.output
    assert (out / "degraded" / "a.png").exists()
    assert len((out / "manifest.jsonl").read_text().splitlines()) == 1


def test_a_changed_picture_is_refused_before_anything_is_written(photos, tmp_path):
    run(photos, "-o", tmp_path / "first", "--recipe", "denoise-blind")
    write_image(photos / "a.jpg", Image(np.zeros((31, 45, 3), np.uint8)))
    manifest = tmp_path / "first" / "manifest.jsonl"
    result = run(photos, "-o", tmp_path / "second", "--replay", manifest)
    assert result.exit_code == 1
    assert "is not the picture" in result.output
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [({"format": 2}, "not an entry of version 1"), ({"source": "z.jpg"}, "not among the inputs")],
)
def test_a_manifest_that_does_not_fit_is_refused(photos, tmp_path, change, said):
    run(photos, "-o", tmp_path / "first", "--recipe", "denoise-blind")
    manifest = tmp_path / "first" / "manifest.jsonl"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    result = run(photos, "-o", tmp_path / "second", "--replay", manifest)
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())


def test_a_second_run_into_the_same_folder_is_refused(photos, tmp_path):
    for code in (0, 2):
        result = run(photos, "-o", tmp_path / "pairs", "--recipe", "denoise-blind")
        assert result.exit_code == code
    assert "holds pairs already" in result.output


def test_two_pictures_of_one_stem_are_refused(photos, tmp_path):
    write_image(photos / "A.png", Image(np.zeros((9, 9, 3), np.uint8)))
    result = run(photos, "-o", tmp_path / "pairs", "--recipe", "denoise-blind")
    assert result.exit_code == 2
    assert "would both become" in " ".join(result.output.split())


@pytest.mark.parametrize(
    "arguments",
    [[], ["x.png"], ["x.png", "-o", "y"], ["x.png", "-o", "y", "--recipe", "a", "--replay", "b"]],
)
def test_incomplete_commands_are_usage_errors(arguments):
    assert run(*arguments).exit_code == 2


def test_the_list_names_every_preset():
    output = run("--list").output
    assert all(name in output for name in list_presets())
