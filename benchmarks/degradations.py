"""Megapixels per second of every degradation at severity 3, on one core.

    python benchmarks/degradations.py [NAME ...] [--megapixels 1] [--seconds 1]

Each runs on a made-up colour picture of 3:2 until the seconds are over, at least twice after a
warm-up, and the median of the processor time counts.
"""

import argparse
import statistics
import time

import cv2
import numpy as np

from restorekit.degradations.catalog import DEGRADATIONS, find_degradation
from restorekit.degradations.fields import clouds


def made_up(megapixels):
    """A cloudy picture with noise, so that neither codecs nor Poisson counts get it for free."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    rng = np.random.default_rng(0)
    planes = [clouds((height, round(1.5 * height)), rng) for _ in range(3)]
    smooth = np.stack(planes, axis=2)
    return np.clip(smooth + 0.05 * rng.standard_normal(smooth.shape, np.float32), 0, 1)


def median_seconds(degradation, picture, seconds):
    degradation.apply(picture, np.random.default_rng(0))
    taken = []
    while len(taken) < 2 or sum(taken) < seconds:
        rng = np.random.default_rng(len(taken))
        start = time.process_time()
        degradation.apply(picture, rng)
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="all where none is given")
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each degradation")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    picture = made_up(arguments.megapixels)
    size = picture.shape[0] * picture.shape[1] / 1e6
    for kind in map(find_degradation, arguments.names or [d.name for d in DEGRADATIONS]):
        taken = median_seconds(kind.at_severity(3), picture, arguments.seconds)
        print(f"{kind.name:20} {size / taken:8.1f} MP/s")


if __name__ == "__main__":
    main()
