import numpy as np
import torch


def run(method, picture, **parameters):
    """Run a method on (H, W, C) samples through its interface of a net."""
    tensor = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
    return method(**parameters)(tensor)[0].numpy().transpose(1, 2, 0)


def psnr(picture, reference):
    """Peak signal-to-noise ratio in dB."""
    return float(-10 * np.log10(np.mean((np.clip(picture, 0, 1) - reference) ** 2)))
