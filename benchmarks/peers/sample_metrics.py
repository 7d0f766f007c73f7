"""One metric of samples in a process of its own: its value, its time and the memory it takes.

    python -m benchmarks.peers.sample_metrics LIBRARY METRIC FILE

FILE is an .npz with the arrays `real` and `fake` (images), `real_features`, `fake_features` and
`probabilities`. The answer is a line of JSON. `benchmarks.metrics` starts it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.fresh import forget_peak, peak

Arrays = Mapping[str, Any]
WARM = 1200  # samples of the run that is not timed: enough for the subsets of the kernel distance
NEIGHBOURS = ("precision", "recall", "density", "coverage")


def tinygen(metric: str) -> Callable[[Arrays], dict[str, float]]:
    """Ours."""
    from tinygen import metrics
    from tinygen.ops.random import Random

    def neighbours(a: Arrays) -> dict[str, float]:
        features = a["real_features"], a["fake_features"]
        found = metrics.precision_recall(*features, k=5)._asdict()
        found |= metrics.density_coverage(*features, k=5)._asdict()
        return {name: float(found[name]) for name in NEIGHBOURS}

    def kernel(a: Arrays) -> dict[str, float]:
        features = a["real_features"], a["fake_features"]
        found = metrics.kernel_distance(*features, rng=Random(0))
        return {"distance": float(found), "error": found.standard_error}

    def nearest(real: Any, fake: Any) -> float:
        return float(metrics.nearest_neighbours(real, fake).distances.mean())

    features, images = ("real_features", "fake_features"), ("real", "fake")
    single: dict[str, tuple[str, Callable[..., float], tuple[str, ...], dict[str, Any]]] = {
        "frechet distance": ("distance", metrics.frechet_distance, features, {}),
        "classifier score": ("score", metrics.classifier_score, ("probabilities",), {}),
        "sliced wasserstein": ("distance", metrics.sliced_wasserstein, images, {"rng": Random(0)}),
        "the same, reals'": (
            "distance",
            metrics.sliced_wasserstein,
            images,
            {"rng": Random(0), "normalize": "reals"},
        ),
        "ms-ssim diversity": (
            "similarity",
            metrics.ms_ssim_diversity,
            ("fake",),
            {"rng": Random(0)},
        ),
        "ssim of pairs": ("similarity", metrics.ssim, images, {}),
        "nearest real": ("distance", nearest, features, {}),
    }
    if metric in ("four of neighbours", "kernel distance"):
        return neighbours if metric == "four of neighbours" else kernel
    value, function, names, options = single[metric]
    return lambda a: {value: float(function(*(a[name] for name in names), **options))}


def prdc(metric: str) -> Callable[[Arrays], dict[str, float]]:
    """Naeem et al. 2020, by its authors."""
    from prdc import compute_prdc

    def neighbours(a: Arrays) -> dict[str, float]:
        found = compute_prdc(a["real_features"], a["fake_features"], nearest_k=5)
        return {name: float(found[name]) for name in NEIGHBOURS}

    return {"four of neighbours": neighbours}[metric]


def fidelity(metric: str) -> Callable[[Arrays], dict[str, float]]:
    """torch-fidelity, on the same features."""
    import torch
    from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

    def tensors(a: Arrays) -> tuple[Any, Any]:
        return tuple(torch.from_numpy(a[f"{which}_features"]) for which in ("real", "fake"))

    def frechet(a: Arrays) -> dict[str, float]:
        moments = [metric_fid.fid_features_to_statistics(x) for x in tensors(a)]
        found = metric_fid.fid_statistics_to_metric(*moments, verbose=False)
        return {"distance": float(next(iter(found.values())))}

    def kernel(a: Arrays) -> dict[str, float]:
        found = metric_kid.kid_features_to_metric(
            *tensors(a), kid_subsets=100, kid_subset_size=1000, verbose=False
        )
        error = float(found["kernel_inception_distance_std"]) / 10
        return {"distance": float(found["kernel_inception_distance_mean"]), "error": error}

    def neighbours(a: Arrays) -> dict[str, float]:
        fakes_first = tensors(a)[::-1]
        found = metric_prc.prc_features_to_metric(*fakes_first, prc_neighborhood=5, verbose=False)
        return {name: float(found[name]) for name in ("precision", "recall")}

    def score(a: Arrays) -> dict[str, float]:
        logits = torch.from_numpy(np.log(a["probabilities"]))
        found = metric_isc.isc_features_to_metric(logits, splits=10, shuffle=False)
        return {"score": float(found["inception_score_mean"])}

    return {
        "frechet distance": frechet,
        "kernel distance": kernel,
        "four of neighbours": neighbours,
        "classifier score": score,
    }[metric]


def scipy(metric: str) -> Callable[[Arrays], dict[str, float]]:
    """The square root of a matrix, as the authors of the Fréchet distance have it."""
    from scipy.linalg import sqrtm

    def frechet(a: Arrays) -> dict[str, float]:
        x, y = a["real_features"], a["fake_features"]
        one, other = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
        shift = np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
        root = sqrtm(one @ other).real
        return {"distance": float(shift + np.trace(one + other - 2 * root))}

    return {"frechet distance": frechet}[metric]


def skimage(metric: str) -> Callable[[Arrays], dict[str, float]]:
    """scikit-image, one pair after the other."""
    from skimage.metrics import structural_similarity

    def similarity(a: Arrays) -> dict[str, float]:
        each = [
            structural_similarity(
                x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
            )
            for x, y in zip(a["real"], a["fake"], strict=True)
        ]
        return {"similarity": float(np.mean(each))}

    return {"ssim of pairs": similarity}[metric]


LIBRARIES = {each.__name__: each for each in (tinygen, prdc, fidelity, scipy, skimage)}


def main(library: str, metric: str, file: str) -> None:
    """Work it out on few samples, then on all, and answer."""
    work = LIBRARIES[library](metric)
    with np.load(file) as arrays:
        given = {name: arrays[name] for name in arrays.files}
    work({name: array[:WARM] for name, array in given.items()})
    forget_peak()
    before, start = peak(), time.perf_counter()
    values = work(given)
    seconds = time.perf_counter() - start
    print(json.dumps({"values": values, "seconds": seconds, "memory": max(0, peak() - before)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
