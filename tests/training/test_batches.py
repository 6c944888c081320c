import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from restorekit.errors import DataError, UsageError
from restorekit.training.batches import batches, open_source


def drawn(data, steps=range(4), seed=0):
    return list(batches(open_source(data), data, seed, steps))


def changed(recipe, **keys):
    return recipe.data.model_copy(update=keys)


def test_batches_have_the_shape_asked_for(recipe):
    (batch, *_) = drawn(recipe.data)
    assert batch.degraded.shape == batch.reference.shape == (2, 3, 16, 16)
    assert batch.degraded.dtype == torch.float32
    assert not torch.equal(batch.degraded, batch.reference)


def test_batches_do_not_depend_on_workers_or_on_where_a_run_starts(recipe):
    whole = drawn(recipe.data)
    by_worker = drawn(changed(recipe, workers=2))
    tail = drawn(recipe.data, range(2, 4))
    for a, b in zip(whole + whole[2:], by_worker + tail, strict=True):
        assert torch.equal(a.degraded, b.degraded)
        assert torch.equal(a.reference, b.reference)


def test_another_seed_gives_other_batches(recipe):
    assert not torch.equal(drawn(recipe.data)[0].reference, drawn(recipe.data, seed=1)[0].reference)


def test_more_candidates_give_sharper_crops(recipe, photos):
    for number in range(5):
        samples = np.zeros((40, 44, 3), np.uint8)
        samples[:, 22:] = np.random.default_rng(number).integers(0, 256, (40, 22, 3))
        PillowImage.fromarray(samples).save(photos / f"{number}.png")
    means = [
        np.mean([b.reference.std() for b in drawn(changed(recipe, candidates=n), range(20))])
        for n in (1, 4)
    ]
    assert means[1] > means[0]


def test_structures_are_drawn_into_the_reference_before_it_is_degraded(recipe):
    plain = changed(recipe, degradation={"steps": []})
    for batch in drawn(plain.model_copy(update={"structures": 1.0})):
        assert torch.equal(batch.degraded, batch.reference)
    untouched, some = drawn(plain), drawn(plain.model_copy(update={"structures": 0.5}))
    changes = [
        not torch.equal(a, b)
        for before, after in zip(untouched, some, strict=True)
        for a, b in zip(before.reference, after.reference, strict=True)
    ]
    assert any(changes)
    assert not all(changes)


def test_the_last_pictures_by_name_are_held_out(recipe, photos):
    PillowImage.fromarray(np.full((40, 44, 3), 7, np.uint8)).save(photos / "9.png")
    source = open_source(recipe.data)
    (validation,) = source.held_out(0)
    assert np.unique(np.rint(validation[1] * 255)) == [7]
    train = [source.random(0, ("train", 0, i))[1] for i in range(50)]
    assert not any((np.rint(crop * 255) == 7).all() for crop in train)


def test_pairs_are_cropped_at_the_same_place(recipe, photos):
    (photos / "input").mkdir()
    (photos / "target").mkdir()
    for number in range(3):
        samples = np.random.default_rng(number).integers(0, 128, (40, 44, 3), dtype=np.uint8)
        PillowImage.fromarray(samples).save(photos / "target" / f"{number}.png")
        PillowImage.fromarray(samples + 100).save(photos / "input" / f"{number}.png")
    data = changed(recipe, photos=None, degradation=None, pairs=photos)
    for batch in drawn(data):
        torch.testing.assert_close(
            batch.degraded - batch.reference, torch.full((2, 3, 16, 16), 100 / 255)
        )


def test_a_recipe_without_pictures_says_how_to_name_them(recipe):
    with pytest.raises(UsageError, match=r"--set data\.photos=DIR"):
        open_source(changed(recipe, photos=None))


def test_too_few_pictures_are_refused(recipe):
    with pytest.raises(DataError, match="5 pictures are too few"):
        open_source(changed(recipe, hold_out=5))


def test_a_picture_smaller_than_the_patch_is_named(recipe, photos):
    PillowImage.fromarray(np.zeros((10, 44, 3), np.uint8)).save(photos / "0.png")
    with pytest.raises(DataError, match=r"0\.png: 44x10 is smaller than the 16-pixel patch"):
        open_source(recipe.data)
