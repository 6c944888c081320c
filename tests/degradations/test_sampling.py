import json

import numpy as np
import pytest
from PIL import Image as PillowImage
from safetensors.numpy import load_file

from restorekit.degradations.pairs import make_pairs
from restorekit.degradations.plan import Wish, plan_pairs
from restorekit.degradations.recipe import load_recipe
from restorekit.degradations.sampling import FILTERS, Downsampling, resize
from restorekit.events import FileFailed
from restorekit.media.image import read_image, write_image
from restorekit.types import Image
from tests.golden_files import FOLDER, golden

KERNELS = ["nearest", "area", "bilinear", "bicubic", "lanczos", "gaussian"]
CASES = golden("imresize").about["cases"]
STORED = load_file(FOLDER / "imresize.safetensors")


def reduce(picture, factor, kernel, sigma=0.5):
    return Downsampling(factor=factor, kernel=kernel, sigma=sigma).apply(picture, None)


@pytest.mark.parametrize("name", CASES)
def test_bicubic_is_that_of_matlab(name):
    case = CASES[name]
    given = STORED[case["input"]].astype(np.float32)
    given = given if given.ndim == 3 else given[..., None]
    ours = resize(given, case["scale"], FILTERS["bicubic"], antialias=case["antialiasing"])
    theirs = STORED[f"output_{name}"].reshape(ours.shape)
    assert list(ours.shape[: len(case["shape"])]) == case["shape"]
    np.testing.assert_allclose(ours, theirs, atol=2e-6 * max(1, given.max() * 1.5))


@pytest.mark.parametrize(
    ("kernel", "theirs"),
    [("bilinear", "BILINEAR"), ("bicubic", "BICUBIC"), ("lanczos", "LANCZOS"), ("area", "BOX")],
)
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_inside_of_the_border_it_is_what_pillow_does(textured, kernel, theirs, factor):
    plane = np.ascontiguousarray(textured[..., 0])
    size = (plane.shape[1] // factor, plane.shape[0] // factor)
    expected = np.asarray(PillowImage.fromarray(plane).resize(size, PillowImage.Resampling[theirs]))
    ours = reduce(textured, factor, kernel)[..., 0]
    np.testing.assert_allclose(ours[4:-4, 4:-4], expected[4:-4, 4:-4], atol=2e-6)


def test_area_is_the_mean_of_the_pixels(textured):
    means = textured.reshape(48, 4, 60, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(reduce(textured, 4, "area"), means, atol=1e-6)


@pytest.mark.parametrize(("factor", "start"), [(2, 1), (3, 1), (4, 2)])
def test_nearest_takes_the_pixel_at_the_centre(textured, factor, start):
    taken = textured[start::factor, start::factor]
    np.testing.assert_array_equal(reduce(textured, factor, "nearest"), taken)


@pytest.mark.parametrize("kernel", KERNELS[1:])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_what_is_centred_stays_centred(kernel, factor):
    places = np.arange(12 * factor) - (12 * factor - 1) / 2
    bump = np.exp(-(places[:, None] ** 2 + places**2) / 50)[..., None].astype(np.float32)
    reduced = reduce(bump, factor, kernel)
    np.testing.assert_allclose(reduced, reduced[::-1, ::-1], atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_flat_stays_flat(kernel):
    flat = np.full((13, 18, 3), 0.3, np.float32)
    np.testing.assert_allclose(reduce(flat, 4, kernel), 0.3, atol=1e-6)


def test_a_wider_gaussian_is_smoother(textured):
    sharp, smooth = (reduce(textured, 3, "gaussian", sigma).std() for sigma in (0.3, 1.5))
    assert smooth < sharp


@pytest.fixture
def photos(tmp_path):
    for name, shape in (("a.png", (41, 30, 3)), ("tiny.png", (3, 30, 3))):
        samples = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        write_image(tmp_path / "photos" / name, Image(samples))
    return tmp_path / "photos"


def test_a_pair_is_cropped_to_a_multiple_of_the_factor(photos, tmp_path):
    steps = [{"op": "downsampling", "factor": 2}, {"op": "downsampling", "factor": 2}]
    jobs = plan_pairs([photos], Wish(load_recipe({"steps": steps})), recursive=False)
    events = list(make_pairs(jobs, tmp_path / "pairs"))
    reference = read_image(tmp_path / "pairs" / "reference" / "a.png").pixels
    np.testing.assert_array_equal(reference, read_image(photos / "a.png").pixels[:40, :28])
    assert read_image(tmp_path / "pairs" / "degraded" / "a.png").pixels.shape == (10, 7, 3)
    failed = [event for event in events if isinstance(event, FileFailed)]
    assert [event.source.name for event in failed] == ["tiny.png"]
    assert "too small to be reduced 4 times" in failed[0].error
    (line,) = (tmp_path / "pairs" / "manifest.jsonl").read_text().splitlines()
    assert json.loads(line)["operations"][0]["parameters"]["factor"] == 2


@pytest.mark.parametrize("sigma", [0.001, 0.03])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_very_narrow_gaussian_takes_the_pixels_at_the_centre(sigma, factor, textured):
    narrow = Downsampling(factor=factor, kernel="gaussian", sigma=sigma)
    degraded = narrow.apply(textured, np.random.default_rng(0))
    first, last = (factor - 1) // 2, factor // 2
    middle = np.mean(
        [textured[i::factor, j::factor] for i in (first, last) for j in (first, last)], axis=0
    )
    np.testing.assert_allclose(degraded, middle, atol=1e-5)
