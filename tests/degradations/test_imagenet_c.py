from itertools import pairwise

import numpy as np
import pytest

from restorekit.degradations.imagenet_c import CORRUPTIONS, FROST
from restorekit.degradations.recipe import apply_chain, load_recipe
from restorekit.errors import UsageError

FIFTEEN = {
    *("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur"),
    *("motion_blur", "zoom_blur", "snow", "frost", "fog"),
    *("brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}


def corrupted(name, severity, reference):
    chain = load_recipe(f"imagenet-c:{name}:{severity}").draw(0)
    return apply_chain(reference, chain, 0)


VALIDATION = {"speckle_noise", "gaussian_blur", "spatter", "saturate"}
NOT_IN_ORDER = {"elastic_transform", "spatter", "saturate"}
"""Their later severities are another damage, of another kind, and not always a greater one."""


def test_all_but_the_frost_are_there():
    assert set(CORRUPTIONS) | {FROST} == FIFTEEN | VALIDATION


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - NOT_IN_ORDER))
def test_each_severity_does_more_damage(name, textured):
    errors = [np.mean((corrupted(name, s, textured) - textured) ** 2) for s in range(1, 6)]
    assert all(later > earlier for earlier, later in pairwise(errors))


@pytest.mark.parametrize("name", sorted(NOT_IN_ORDER))
def test_every_severity_does_damage(name, textured):
    for severity in range(1, 6):
        assert np.mean((corrupted(name, severity, textured) - textured) ** 2) > 1e-4


def test_the_constants_are_the_published_ones():
    grey = np.full((300, 300, 3), 0.5, np.float32)
    assert corrupted("gaussian_noise", 1, grey).std() == pytest.approx(0.08, rel=0.02)
    assert corrupted("shot_noise", 2, grey).std() == pytest.approx((0.5 / 25) ** 0.5, rel=0.02)
    assert np.mean(corrupted("impulse_noise", 3, grey) == 1) == pytest.approx(0.045, abs=0.002)
    assert corrupted("brightness", 3, grey).mean() == pytest.approx(0.8, abs=0.003)


def test_pixelate_makes_blocks(textured):
    blocks = corrupted("pixelate", 2, textured)
    np.testing.assert_array_equal(blocks[::2, ::2], blocks[1::2, 1::2])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("frost:2", "photographs of frost"),
        ("shot_nois:2", "did you mean shot_noise"),
        ("contrast:6", "severities 1 to 5, not 6"),
        ("contrast", "ends in a severity"),
    ],
)
def test_what_is_not_there_is_refused(name, said):
    with pytest.raises(UsageError, match=said):
        load_recipe(f"imagenet-c:{name}")
