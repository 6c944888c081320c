import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.degradations.geometry import FishEye, LensDistortion, bend, ground, sample_at

PROJECTIONS = ["equidistant", "equisolid", "stereographic", "orthographic"]
DISTORTIONS = st.one_of(
    st.builds(LensDistortion, k1=st.floats(-0.27, 0.6)),
    st.builds(FishEye, view=st.floats(0, 140), projection=st.sampled_from(PROJECTIONS)),
)
SIDES = st.integers(1, 90)


def smooth(shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    planes = [0.5 + 0.3 * np.sin(rows / 17 + k) * np.cos(columns / 23 - k) for k in range(3)]
    return np.stack(planes, axis=2).astype(np.float32)


def traced(drawn, picture):
    told = drawn.traced(picture, np.random.default_rng(0))
    return told.picture, told.maps["map"], told.maps["mask"]


@given(DISTORTIONS, SIDES, SIDES)
@settings(max_examples=60, deadline=None)
def test_a_deformation_and_its_inverse_agree_inside_the_mask(drawn, height, width):
    reference = smooth((height, width))
    bent, undo, mask = traced(drawn, reference)
    restored = sample_at(bent, undo)
    np.testing.assert_allclose(restored[mask == 1], reference[mask == 1], atol=0.02)


@given(DISTORTIONS, SIDES, SIDES)
@settings(max_examples=60, deadline=None)
def test_the_map_is_the_inverse_of_the_map_that_bends(drawn, height, width):
    lens = ground(drawn.profile, (height, width))
    radii = np.linspace(0, 1, 1000, dtype=np.float32)
    np.testing.assert_allclose(lens.backward(lens.forward(radii)), radii, atol=2e-6)
    seen = np.linspace(0, 0.999, 1000, dtype=np.float32)
    np.testing.assert_allclose(lens.forward(lens.backward(seen)), seen, atol=2e-6)


@given(DISTORTIONS, SIDES, SIDES)
@settings(max_examples=60, deadline=None)
def test_the_frame_is_filled_and_the_middle_stays(drawn, height, width):
    lens = ground(drawn.profile, (height, width))
    source = bend((height, width), lens.backward)
    last = np.array([width - 1, height - 1])
    assert (np.abs(source - last / 2) <= (last + 1) / 2).all()
    np.testing.assert_allclose(source.mean(axis=(0, 1), dtype=np.float64), last / 2, atol=1e-3)


@pytest.mark.parametrize(("k1", "outwards"), [(-0.2, True), (0.2, False)])
def test_below_0_it_is_a_barrel_and_above_a_pincushion(k1, outwards):
    scene = np.zeros((101, 151, 1), np.float32)
    scene[20] = 1
    bent, _, _ = traced(LensDistortion(k1=k1), scene)
    ends, middle = bent[:50, 30, 0].argmax(), bent[:50, 75, 0].argmax()
    assert (middle < ends) == outwards


def test_the_polynomial_is_that_of_brown():
    lens = ground(LensDistortion(k1=-0.2).profile, (300, 400))
    radii = np.float32([0.1, 0.5, 0.9])
    expected = radii * (1 - 0.2 * radii**2) / 0.8
    np.testing.assert_allclose(lens.forward(radii), expected, rtol=1e-5)


def test_an_equidistant_fish_eye_puts_angles_at_even_radii():
    lens = ground(FishEye(view=120, projection="equidistant").profile, (300, 400))
    radii = np.tan(np.deg2rad([15, 30, 45, 60])) / np.tan(np.deg2rad(60))
    np.testing.assert_allclose(lens.forward(np.float32(radii)), [0.25, 0.5, 0.75, 1], atol=1e-5)


def test_the_projections_squeeze_the_rim_in_their_known_order():
    squeezed = [
        ground(FishEye(view=140, projection=projection).profile, (300, 400)).squeeze
        for projection in ("stereographic", "equidistant", "equisolid", "orthographic")
    ]
    assert squeezed == sorted(squeezed)
    assert squeezed[0] > 2


def test_what_the_rim_squeezes_does_not_alias():
    stripes = np.tile(np.float32([0, 1]), 120)[None, :, None].repeat(160, 0)
    bent, _, _ = traced(FishEye(view=150, projection="orthographic"), stripes)
    assert bent[:8, :8].std() < 0.05


def test_the_map_leads_to_where_a_point_went():
    points = np.zeros((101, 141, 1), np.float32)
    points[30:33, 40:43] = 1
    bent, undo, _ = traced(LensDistortion(k1=-0.15), points)
    rows, columns = np.mgrid[:101, :141]
    centre = [(bent[..., 0] * places).sum() / bent.sum() for places in (columns, rows)]
    np.testing.assert_allclose(undo[31, 41], centre, atol=0.1)


def test_a_straight_lens_has_a_map_that_goes_nowhere(picture):
    bent, undo, mask = traced(LensDistortion(k1=0), picture)
    np.testing.assert_array_equal(bent, picture)
    np.testing.assert_allclose(undo[10, 20], [20, 10], atol=1e-5)
    assert mask.all()
