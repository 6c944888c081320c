import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dctn, idctn

from restorekit.classical import resize
from tests.classical.running import psnr, run
from tests.golden_files import golden

METHODS = [
    resize.nearest,
    resize.bilinear,
    resize.bicubic,
    resize.lanczos,
    resize.zero_padding,
    resize.back_projection,
]


@pytest.mark.parametrize(
    ("case", "scale"), [("a_float_double", 2), ("b_float_double", 2), ("b_float_triple", 3)]
)
def test_bicubic_is_that_of_matlab(case, scale):
    file = golden("imresize")
    source = file.tensors[f"input_{case[0]}_float"].numpy()
    enlarged = run(resize.bicubic, source, scale=scale)
    assert enlarged == pytest.approx(file.tensors[f"output_{case}"].numpy(), abs=1e-5)


def test_bilinear_is_that_of_torch(photo):
    x = torch.from_numpy(photo).movedim(-1, 0)[None]
    expected = F.interpolate(x, scale_factor=3, mode="bilinear")
    assert torch.allclose(resize.bilinear(scale=3)(x), expected, atol=1e-6)


def test_zero_padding_pads_the_cosine_transform(photo):
    spectrum = np.zeros((192, 224, 3))
    spectrum[:96, :112] = dctn(photo, axes=(0, 1), norm="ortho") * 2
    expected = idctn(spectrum, axes=(0, 1), norm="ortho")
    assert run(resize.zero_padding, photo, scale=2) == pytest.approx(expected, abs=1e-5)


def test_back_projection_gives_the_picture_back_when_made_small(photo):
    small = resize._shrunk(photo, 2)
    first, last = (
        np.abs(resize._shrunk(large, 2) - small).max()
        for large in (
            run(resize.bicubic, small, scale=2),
            run(resize.back_projection, small, scale=2, iterations=30),
        )
    )
    assert last < first / 50


def test_each_method_is_nearer_to_the_photograph_than_the_last(photo):
    small = resize._shrunk(photo, 2)
    quality = [psnr(run(method, small, scale=2), photo) for method in METHODS]
    assert quality == sorted(quality)
    assert quality[-1] > quality[0] + 2


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.sampled_from(METHODS))
def test_any_size_is_scaled_and_flat_areas_stay_flat(height, width, scale, method):
    large = method(scale=scale)(torch.full((1, 1, height, width), 0.3))
    assert large.shape == (1, 1, height * scale, width * scale)
    assert torch.allclose(large, torch.tensor(0.3), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_scale_one_changes_nothing(photo, method):
    assert run(method, photo, scale=1) == pytest.approx(photo, abs=1e-5)
