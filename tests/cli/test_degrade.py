import json
import os

import numpy as np
import pytest
from PIL import ImageCms
from typer.testing import CliRunner

from restorekit.cli.app import app
from restorekit.degradations.catalog import DEGRADATIONS
from restorekit.degradations.imagenet_c import CORRUPTIONS
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
    [
        ({"format": 2}, "not an entry of version 1"),
        ({"source": "z.jpg"}, "not among the inputs"),
        ({"seed": "x"}, "line 1: seed"),
    ],
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
    assert "there are pairs already" in result.output


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


def test_the_list_has_a_line_for_every_degradation_and_preset():
    lines = [line.split() for line in run("--list").output.splitlines()]
    said = {words[0]: words[1:] for words in lines}
    names = [*list_presets(), *(degradation.name for degradation in DEGRADATIONS)]
    assert all(len(said[name]) > 3 for name in names)


def test_the_help_names_the_corruptions_that_exist():
    output = run("--help").output
    assert all(name in output for name in CORRUPTIONS)


def test_the_maps_asked_for_are_written(photos, tmp_path):
    out = tmp_path / "pairs"
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        'steps = [{op = "haze"}, {op = "motion-blur", length = 5.0}, '
        '{op = "motion-blur", length = 9.0}, {op = "dust"}]'
    )
    result = run(photos, "-o", out, "--recipe", recipe, "--save", "mask, kernel,depth,map")
    assert result.exit_code == 0, result.output
    assert "no step of the recipe has a map to save" in result.output
    maps = {"kernel/a.tif", "kernel/a.2.tif", "depth/a.tif", "mask/a.png"}
    assert set(files(out)) == maps | {"degraded/a.png", "reference/a.png", "manifest.jsonl"}
    kernels = [read_image(out / "kernel" / name).pixels for name in ("a.tif", "a.2.tif")]
    assert [kernel.dtype for kernel in kernels] == [np.float32] * 2
    assert [kernel.sum() for kernel in kernels] == pytest.approx([1, 1], abs=1e-5)
    assert kernels[0].shape < kernels[1].shape
    assert read_image(out / "mask" / "a.png").pixels.dtype == np.uint16
    assert read_image(out / "depth" / "a.tif").pixels.shape == (31, 45, 1)
    again = tmp_path / "again"
    run(photos, "-o", again, "--replay", out / "manifest.jsonl")
    assert files(again) == files(out)


@pytest.fixture
def depths(tmp_path):
    rows = np.linspace(0, 65535, 31).astype(np.uint16)
    plane = np.repeat(rows[:, None], 45, axis=1)[..., None]
    write_image(tmp_path / "depths" / "a.png", Image(plane))
    return tmp_path / "depths"


def test_a_given_depth_map_is_used(photos, depths, tmp_path):
    out = tmp_path / "pairs"
    options = ["--recipe", "haze:5", "--depth", depths, "--save", "depth"]
    result = run(photos, "-o", out, *options)
    assert result.exit_code == 0, result.output
    used = read_image(out / "depth" / "a.tif").pixels
    np.testing.assert_allclose(used, read_image(depths / "a.png").pixels / 65535, atol=1e-6)
    degraded, reference = (
        read_image(out / kind / "a.png").pixels for kind in ("degraded", "reference")
    )
    np.testing.assert_array_equal(degraded[0], reference[0])
    assert np.ptp(degraded[-1].astype(int)) < 20
    again = tmp_path / "again"
    replay = ["--replay", out / "manifest.jsonl"]
    result = run(photos, "-o", again, *replay)
    assert result.exit_code == 2
    assert "was made with depth maps" in " ".join(result.output.split())
    assert run(photos, "-o", again, *replay, "--depth", depths).exit_code == 0
    assert files(again) == files(out)
    write_image(depths / "a.png", Image(np.zeros((31, 45, 1), np.uint16)))
    result = run(photos, "-o", tmp_path / "third", *replay, "--depth", depths)
    assert result.exit_code == 1
    assert "is not the depth map" in " ".join(result.output.split())


def test_a_missing_depth_map_is_an_error_before_anything_is_written(photos, depths, tmp_path):
    options = ["--recipe", "haze:5", "--depth", depths, "--recursive"]
    result = run(photos, "-o", tmp_path / "pairs", *options)
    assert result.exit_code == 2
    assert "no depth map for sub/b.png" in " ".join(result.output.split())
    assert not (tmp_path / "pairs").exists()


def test_a_depth_map_of_another_size_is_reported(photos, depths, tmp_path):
    write_image(depths / "a.png", Image(np.zeros((31, 44, 1), np.uint8)))
    options = ["--recipe", "haze:5", "--depth", depths]
    result = run(photos, "-o", tmp_path / "pairs", *options)
    assert result.exit_code == 1
    assert "differ in size: 44 x 31 and 45 x 31" in " ".join(result.output.split())


def test_depth_maps_that_nothing_takes_are_refused(photos, depths, tmp_path):
    result = run(photos, "-o", tmp_path / "pairs", "--recipe", "jpeg:3", "--depth", depths)
    assert result.exit_code == 2
    assert "no step of jpeg:3 takes a depth map" in " ".join(result.output.split())


def test_a_name_that_is_no_text_is_refused_before_anything_is_written(photos, tmp_path):
    (photos / os.fsdecode(b"bad\xff.jpg")).write_bytes((photos / "a.jpg").read_bytes())
    result = run(photos, "-o", tmp_path / "pairs", "--recipe", "haze:1")
    assert result.exit_code == 2
    assert r"'bad\udcff.jpg': is a name that is no UTF-8 text" in result.output
    assert not (tmp_path / "pairs").exists()


def test_maps_that_would_share_a_name_are_refused(photos, tmp_path):
    recipe = tmp_path / "twice.toml"
    recipe.write_text('steps = [{op = "motion-blur"}, {op = "motion-blur"}]')
    (photos / "A.2.jpg").write_bytes((photos / "a.jpg").read_bytes())
    command = [photos, "-o", tmp_path / "pairs", "--recipe"]
    result = run(*command, recipe, "--save", "kernel")
    assert result.exit_code == 2
    assert "A.2.jpg would both become a.2; rename one of them" in " ".join(result.output.split())
    assert not (tmp_path / "pairs").exists()
    assert run(*command, "motion-blur:3", "--save", "kernel").exit_code == 0


def test_what_a_pair_does_not_hold_is_said_once_for_a_picture(photos, tmp_path):
    pixels = read_image(photos / "a.jpg").pixels
    alpha = np.full((31, 45), 9, np.uint8)
    other, usual = (
        ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()
        for space in ("LAB", "sRGB")
    )
    write_image(photos / "clear.png", Image(pixels, alpha, other))
    write_image(photos / "usual.png", Image(pixels, icc=usual))
    write_image(photos / "wide.png", Image(pixels, icc=other))
    result = run(photos, "-o", tmp_path / "pairs", "--recipe", "haze:1", "--count", 2)
    assert result.exit_code == 0
    assert [line for line in result.stderr.splitlines() if line.startswith("warning")] == [
        f"warning: {photos / 'clear.png'}: the alpha channel and the colour profile are dropped",
        f"warning: {photos / 'wide.png'}: the colour profile is dropped",
    ]


def test_a_name_that_begins_as_the_home_folder_does(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos)
    (photos / "a.jpg").rename(photos / "~$doc.jpg")
    assert run("./~$doc.jpg", "-o", tmp_path / "pairs", "--recipe", "haze:1").exit_code == 0
    result = run("~no-such-user/x", "-o", tmp_path / "other", "--recipe", "haze:1")
    assert result.exit_code == 2
    assert "~no-such-user/x does not exist" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("haze", "haze: is a degradation, which needs a severity: haze:3"),
        ("resize:3", "resize has no severities; write a recipe"),
        ("fractions.toml", "lo..hi between whole numbers draws whole ones"),
    ],
)
def test_recipes_that_are_almost_right(photos, tmp_path, monkeypatch, recipe, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fractions.toml").write_text('steps = [{op = "jpeg", quality = "10~90"}]')
    result = run(photos, "-o", "pairs", "--recipe", recipe)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


@pytest.mark.parametrize("place", ["photos", "photos/pairs", "photos/deep/er"])
def test_an_output_inside_the_input_folder_is_refused(photos, tmp_path, place):
    result = run(photos, "-o", tmp_path / place, "--recipe", "denoise-blind")
    assert result.exit_code == 2
    assert "lies in the input folder" in " ".join(result.output.split())
    assert set(files(photos)) == {"a.jpg", "sub/b.png"}


@pytest.mark.parametrize("option", [["--seed", 3], ["--count", 2], ["--save", "mask"]])
def test_what_a_manifest_says_is_not_said_again(photos, tmp_path, option):
    result = run(photos, "-o", tmp_path / "pairs", "--replay", tmp_path / "m.jsonl", *option)
    assert result.exit_code == 2
    assert "has no effect" in " ".join(result.output.split())


def test_an_unknown_map_names_the_nearest(photos, tmp_path):
    result = run(photos, "-o", tmp_path / "pairs", "--recipe", "haze:1", "--save", "kernl")
    assert result.exit_code == 2
    assert "did you mean kernel" in result.output


def test_a_replay_that_gives_other_bytes_is_reported(photos, tmp_path):
    run(photos, "-o", tmp_path / "first", "--recipe", "denoise-blind")
    manifest = tmp_path / "first" / "manifest.jsonl"
    entry = json.loads(manifest.read_text())
    entry["files"]["degraded/a.png"] = "0" * 64
    manifest.write_text(json.dumps(entry))
    result = run(photos, "-o", tmp_path / "second", "--replay", manifest)
    assert result.exit_code == 1
    assert "gives other bytes for degraded/a.png" in " ".join(result.output.split())
    assert not (tmp_path / "second").exists()


def test_a_manifest_that_says_less_replays_too(photos, tmp_path):
    run(photos, "-o", tmp_path / "first", "--recipe", "rain-varied")
    manifest = tmp_path / "first" / "manifest.jsonl"
    entry = json.loads(manifest.read_text())
    for key in ("recipe", "recipe_sha256", "save", "files"):
        del entry[key]
    manifest.write_text(json.dumps(entry))
    assert run(photos, "-o", tmp_path / "second", "--replay", manifest).exit_code == 0
    first, second = (files(tmp_path / name)["degraded/a.png"] for name in ("first", "second"))
    assert first == second


def test_a_sheet_shows_the_five_severities(photos, tmp_path):
    sheet = tmp_path / "sheet.png"
    result = run(photos / "a.jpg", "--preview", "gaussian-noise", "-o", sheet)
    assert result.exit_code == 0, result.output
    assert read_image(sheet).pixels.shape[2] == 3


def test_a_sheet_replaces_no_file(photos, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    before = files(tmp_path)
    for place in (photos / "a.jpg", photos / "sub" / "b.png", tmp_path / "notes.txt"):
        result = run(photos / "a.jpg", "--preview", "haze", "-o", place)
        assert result.exit_code == 2
        assert "is already there" in " ".join(result.output.split())
    assert files(tmp_path) == before


def test_a_sheet_is_of_one_picture(photos, tmp_path):
    result = run(photos, photos / "a.jpg", "--preview", "haze", "-o", tmp_path / "sheet.png")
    assert result.exit_code == 2
    assert "shows one picture" in result.output
