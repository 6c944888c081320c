"""What a classical method is: a function of one picture, run behind the interface of a net.

A method takes samples, float32 (H, W, C) in [0, 1] with C = 1 or 3 (RGB), and gives the same at its
scale. Its parameters are keywords with a default, a range and a unit:
`radius: Annotated[int, Field(ge=1, le=20, description="pixels")] = 1`.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, get_type_hints

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from torch import Tensor, nn

Picture = NDArray[np.float32]
"""(H, W, C), RGB or grey, in [0, 1]."""
Function = Callable[..., Picture]

BLUR_REACH: Final = 4
"""A Gaussian ends at so many standard deviations."""


class Classical(nn.Module):
    """A method with its parameters set; it has no weights."""

    def __init__(self, function: Function, parameters: Mapping[str, Any]) -> None:
        super().__init__()
        self.function = function
        self.parameters_set = dict(parameters)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, scale * H, scale * W), on the CPU whatever `x` is on."""
        pictures = x.detach().float().movedim(1, -1).cpu().contiguous().numpy()
        restored = [self.function(picture, **self.parameters_set) for picture in pictures]
        return torch.from_numpy(np.stack(restored)).movedim(-1, 1).to(x.device)

    def extra_repr(self) -> str:
        """Name the method and its parameters."""
        given = (f"{key}={value}" for key, value in self.parameters_set.items())
        return ", ".join([self.function.__name__, *given])


class Method:
    """Makes a `Classical` of a function; raises ValueError for values out of their range."""

    def __init__(self, function: Function) -> None:
        # Of the whole function: the first argument is the picture.
        signature = inspect.signature(function)
        _, *keywords = signature.parameters.values()
        self.__signature__ = signature.replace(parameters=keywords)
        self.__name__, self.__doc__ = function.__name__, function.__doc__
        self.function = function
        hints = get_type_hints(function, include_extras=True)
        fields: dict[str, Any] = {key.name: (hints[key.name], key.default) for key in keywords}
        config = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)
        self.model: type[BaseModel] = create_model(function.__name__, __config__=config, **fields)

    def __call__(self, **parameters: Any) -> Classical:  # noqa: ANN401
        """Set the parameters, the others as they are by default."""
        try:
            checked = self.model(**parameters)
        except ValidationError as error:
            faults = (f"{e['loc'][0]}={e['input']}: {e['msg']}" for e in error.errors())
            raise ValueError("; ".join(faults)) from None
        return Classical(self.function, checked.model_dump())

    def explain(self) -> dict[str, str]:
        """Say of each parameter its default, its range and its unit."""
        return {
            name: f"{field.description} (default {field.default})"
            for name, field in self.model.model_fields.items()
        }


def mirrored(picture: Picture, rows: int, columns: int) -> Picture:
    """Extend a picture by mirroring its borders, the outermost pixel twice, as often as needed."""
    margins = ((rows, rows), (columns, columns), (0, 0))
    return np.pad(picture, margins, mode="symmetric")


def box_mean(x: Picture, radius: int) -> Picture:
    """Average over windows of 2 * radius + 1 pixels a side, borders mirrored."""
    rows, columns = (min(radius, side) for side in x.shape[:2])
    size = (2 * columns + 1, 2 * rows + 1)
    return _channels(cv2.boxFilter(x, -1, size, borderType=cv2.BORDER_REFLECT), x)


def gaussian_blur(x: Picture, sigma: float) -> Picture:
    """Blur by a Gaussian of `sigma` pixels, borders mirrored."""
    side = 2 * int(np.ceil(BLUR_REACH * sigma)) + 1
    blurred = cv2.GaussianBlur(x, (side, side), sigma, borderType=cv2.BORDER_REFLECT)
    return _channels(blurred, x)


def guided(x: Picture, guide: Picture, radius: int, smooth: float) -> Picture:
    """Smooth `x` where `guide`, channel by channel, has no edge (He et al., TPAMI 2013).

    `smooth` is the variance, of values in [0, 1], below which the guide counts as flat.
    """
    mean_x, mean_guide = box_mean(x, radius), box_mean(guide, radius)
    covariance = box_mean(x * guide, radius) - mean_x * mean_guide
    variance = box_mean(guide * guide, radius) - mean_guide**2
    slope = covariance / (variance + np.float32(smooth))
    offset = mean_x - slope * mean_guide
    return box_mean(slope, radius) * guide + box_mean(offset, radius)


def noise_level(picture: Picture) -> float:
    """Guess the standard deviation of white noise, of values in [0, 1], blind to edges.

    Median of the finest diagonal Haar coefficients (Donoho and Johnstone, Biometrika 1994).
    """
    even = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
    if even.size == 0:
        return 0.0
    upper, lower = even[::2], even[1::2]
    diagonal = (upper[:, ::2] - upper[:, 1::2] - lower[:, ::2] + lower[:, 1::2]) / 2
    return float(np.median(np.abs(diagonal)) / MEDIAN_OF_NORMAL)


MEDIAN_OF_NORMAL: Final = 0.6745
"""The median of the absolute value of a standard normal variable."""


def _channels(filtered: Any, like: Picture) -> Picture:  # noqa: ANN401
    """Give back the channel axis that OpenCV drops from grey pictures."""
    result: Picture = filtered.reshape(like.shape)
    return result
