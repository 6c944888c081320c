from pathlib import Path

import torch
from safetensors import safe_open

from restorekit.ops.color import eight_bit_levels, luma, matlab_y, matlab_y_rounded

GOLDEN = Path(__file__).parent.parent / "golden" / "metrics.safetensors"


def golden(name: str) -> torch.Tensor:
    with safe_open(GOLDEN, "pt") as file:
        return file.get_tensor(name)


def picture() -> torch.Tensor:
    return golden("ycbcr_input").permute(2, 0, 1)[None].double() / 255


def test_float_y_is_the_published_one():
    y = matlab_y(picture())[0, 0]
    assert torch.allclose(y, golden("ycbcr_float")[:, :, 0].double(), atol=1e-7)
    assert torch.allclose(y * 255, golden("y_unrounded_0_255").double(), atol=2e-5)


def test_rounded_y_is_the_published_one():
    levels = matlab_y_rounded(picture().float())[0, 0] * 255
    assert torch.equal(levels.round().byte(), golden("ycbcr_uint8")[:, :, 0])


def test_rounded_y_rounds_exact_halves_up():
    # 65.481 * 220 + 128.553 * 208 + 24.966 * 216 is 182.5 * 255 without any error.
    halfway = torch.tensor([220.0, 208.0, 216.0]).view(1, 3, 1, 1) / 255
    assert matlab_y_rounded(halfway).item() * 255 == torch.tensor(199.0)


def test_grey_counts_as_three_equal_channels():
    grey = torch.rand(2, 1, 4, 5)
    colour = grey.expand(-1, 3, -1, -1)
    assert torch.equal(matlab_y(grey), matlab_y(colour))
    assert torch.equal(matlab_y_rounded(grey), matlab_y_rounded(colour))
    assert torch.equal(luma(grey), grey)
    assert torch.allclose(luma(colour), grey, atol=1e-6)


def test_levels_round_half_up_and_clip():
    x = torch.tensor([-0.1, 0.5 / 255, 1.4999 / 255, 1.5])
    assert eight_bit_levels(x.double()).tolist() == [0, 1, 1, 255]
