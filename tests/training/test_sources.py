from functools import partial

import numpy as np
import pytest
from PIL import Image as PillowImage

from restorekit.data.crops import CACHE_BYTES, PictureCache, sharpness
from restorekit.errors import DataError, UsageError
from restorekit.training import sources
from restorekit.training.config import StageRecipe, parse_recipe
from restorekit.training.order import Draw
from restorekit.training.sources import find_pictures, open_source


def changed(recipe, **keys):
    return recipe.data.model_copy(update=keys)


def examples(data, count, patch=16):
    source = open_source(data)
    return [source.random(0, Draw(0, place, patch)) for place in range(count)]


@pytest.fixture
def pairs(tmp_path):
    """Three pairs; the degraded pictures are brighter by 100."""
    folder = tmp_path / "pairs"
    for name in ("input", "target"):
        (folder / name).mkdir(parents=True)
    for number in range(3):
        samples = np.random.default_rng(number).integers(0, 128, (40, 44, 3), dtype=np.uint8)
        PillowImage.fromarray(samples).save(folder / "target" / f"{number}.png")
        PillowImage.fromarray(samples + 100).save(folder / "input" / f"{number}.png")
    return folder


def test_more_candidates_give_sharper_crops(recipe, photos):
    for number in range(5):
        samples = np.zeros((40, 44, 3), np.uint8)
        samples[:, 22:] = np.random.default_rng(number).integers(0, 256, (40, 22, 3))
        PillowImage.fromarray(samples).save(photos / f"{number}.png")
    means = [
        np.mean([reference.std() for _, reference in examples(changed(recipe, candidates=n), 40)])
        for n in (1, 4)
    ]
    assert means[1] > means[0]


@pytest.mark.parametrize("drawing", ["structures", "borders", "colours"])
def test_drawings_change_the_reference_and_leave_the_rest_of_the_stream(recipe, drawing):
    plain = examples(recipe.data, 30)
    lined = examples(changed(recipe, **{drawing: 1.0}), 30)
    assert sum(np.array_equal(a[1], b[1]) for a, b in zip(plain, lined, strict=True)) < 15
    noise = [degraded - reference for degraded, reference in plain]
    np.testing.assert_allclose(noise[0], lined[0][0] - lined[0][1], atol=1e-6)


def test_line_patterns_may_lie_along_the_degradation(recipe, monkeypatch):
    told = []
    monkeypatch.setattr(
        sources, "draw_structure", lambda crop, rng, along: told.append(along) or crop
    )
    streaks = {"steps": [{"op": "rain-streaks", "angle": "70.0..80.0"}]}
    examples(changed(recipe, structures=1.0, aligned=0.5, degradation=streaks), 40)
    lying = [along for along in told if along is not None]
    assert 5 < len(lying) < 35
    assert all(70 <= along <= 80 for along in lying)
    told.clear()
    examples(changed(recipe, structures=1.0, aligned=1.0), 10)  # noise has no direction
    assert told == [None] * 10


@pytest.mark.parametrize("room", [CACHE_BYTES, 0])
def test_photos_made_smaller_have_finer_detail_and_room_for_smaller_crops(
    recipe, monkeypatch, room
):
    monkeypatch.setattr(sources, "PictureCache", partial(PictureCache, room))
    halved = changed(recipe, reduce=2)
    fine, coarse = (
        np.mean([sharpness(reference) for _, reference in examples(data, 20)])
        for data in (halved, recipe.data)
    )
    assert fine > 1.5 * coarse
    open_source(changed(recipe, reduce=2, patch=20))
    with pytest.raises(DataError, match="44x40 is smaller than the 42-pixel patch"):
        open_source(changed(recipe, reduce=2, patch=21))


def test_lines_that_are_not_drawn_cannot_lie_along_anything(content):
    content["data"] |= {"aligned": 0.4}
    with pytest.raises(UsageError, match="aligned has no effect without structures"):
        parse_recipe(content, "tiny")


@pytest.mark.parametrize("drawing", ["colours", "structures", "borders"])
def test_nothing_is_drawn_into_pairs(recipe, pairs, drawing):
    data = changed(recipe, photos=None, degradation=None, pairs=pairs, **{drawing: 0.5})
    with pytest.raises(UsageError, match=f"data.{drawing} changes clean photos before"):
        open_source(data)


def test_pairs_are_not_made_smaller(content, pairs):
    content["data"] |= {"photos": None, "pairs": str(pairs), "reduce": 2}
    with pytest.raises(UsageError, match="reduce makes photos smaller; pairs are taken as they"):
        parse_recipe(content, "tiny")


def test_the_last_pictures_by_name_are_held_out(recipe, photos):
    PillowImage.fromarray(np.full((40, 44, 3), 7, np.uint8)).save(photos / "9.png")
    (validation,) = open_source(recipe.data).held_out(0)
    assert np.unique(np.rint(validation[1] * 255)) == [7]
    train = [reference for _, reference in examples(recipe.data, 50)]
    assert not any((np.rint(crop * 255) == 7).all() for crop in train)


def test_an_epoch_names_the_picture_to_take(recipe, photos):
    for number in range(5):
        PillowImage.fromarray(np.full((40, 44, 3), number, np.uint8)).save(photos / f"{number}.png")
    source = open_source(recipe.data)
    for number in range(4):
        _, reference = source.random(0, Draw(0, 0, 16, number))
        assert (np.rint(reference * 255) == number).all()


def test_pairs_are_cropped_at_the_same_place(recipe, pairs):
    data = changed(recipe, photos=None, degradation=None, pairs=pairs)
    for degraded, reference in examples(data, 8):
        np.testing.assert_allclose(degraded - reference, 100 / 255, atol=1e-6)


def test_pairs_of_their_own_to_validate_on_leave_all_others_to_train(recipe, pairs):
    data = changed(recipe, photos=None, pairs=pairs, validation=pairs)
    train, held_out = find_pictures(data)
    assert len(train) == len(held_out) == 3
    assert len(list(open_source(data).held_out(0))) == 3


def test_cifar_is_read_from_its_own_files(recipe, tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for batch in range(1, 6):
        rows = np.full((2, 3073), batch, np.uint8)
        (folder / f"data_batch_{batch}.bin").write_bytes(rows.tobytes())
    data = changed(recipe, photos=None, dataset="CIFAR-10", data_root=tmp_path)
    train, held_out = find_pictures(data)
    assert (len(train), len(held_out)) == (9, 1)
    seen = {round(float(reference[0, 0, 0]) * 255) for _, reference in examples(data, 60)}
    assert seen == {1, 2, 3, 4, 5}


def test_pairs_of_two_sizes_are_named_before_the_first_step(recipe, pairs):
    PillowImage.fromarray(np.zeros((40, 40, 3), np.uint8)).save(pairs / "input" / "1.png")
    data = changed(recipe, photos=None, pairs=pairs)
    with pytest.raises(DataError, match="differ in size in 1 of 3"):
        open_source(data)


def test_small_pictures_are_mirrored_where_asked_for(recipe):
    data = changed(recipe, small="pad", patch=64)
    for degraded, reference in examples(data, 3, patch=64):
        assert degraded.shape == reference.shape == (64, 64, 3)


def test_a_sharpened_reference_is_what_is_degraded_and_trained_towards(recipe):
    sharpen = [{"op": "unsharp-mask", "amount": 2.0, "sigma": 2.0, "threshold": 0.0}]
    plain, sharp = (
        examples(changed(recipe, degradation={"steps": [], "reference": reference}), 3)
        for reference in ([], sharpen)
    )
    for (_, before), (degraded, reference) in zip(plain, sharp, strict=True):
        np.testing.assert_array_equal(degraded, reference)
        assert 0 <= reference.min() < reference.max() <= 1
        assert np.abs(reference - before).max() > 0.01


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"photos": None}, r"--set data\.photos=DIR"),
        ({"degradation": None}, r"need data\.degradation"),
        ({"validation": "somewhere"}, r"data\.validation is a folder of pairs"),
    ],
)
def test_a_recipe_that_does_not_name_its_pictures_says_how(recipe, changes, said):
    with pytest.raises(UsageError, match=said):
        open_source(changed(recipe, **changes))


def test_too_few_pictures_are_refused(recipe):
    with pytest.raises(DataError, match="5 pictures are too few"):
        open_source(changed(recipe, hold_out=5))


def test_one_picture_is_counted_in_the_singular(recipe, photos):
    for path in sorted(photos.iterdir())[1:]:
        path.unlink()
    with pytest.raises(DataError, match="1 picture is too few"):
        open_source(changed(recipe, hold_out=1))


def test_a_picture_smaller_than_the_largest_patch_is_named(recipe, photos):
    PillowImage.fromarray(np.zeros((10, 44, 3), np.uint8)).save(photos / "0.png")
    with pytest.raises(DataError, match=r"0\.png: 44x10 is smaller than the 16-pixel patch"):
        open_source(recipe.data)
    stages = (StageRecipe(until=3, patch=48, batch=2),)
    with pytest.raises(DataError, match=r"0\.png: 44x10 is smaller than the 48-pixel patch"):
        open_source(changed(recipe, stages=stages))
