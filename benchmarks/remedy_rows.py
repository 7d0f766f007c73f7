"""The remedies that are measured, as settings of a model, and the published rows beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PLAIN = "plain"


@dataclass(frozen=True)
class Remedy:
    """A remedy: settings that differ from those of the bench.

    Attributes:
        overrides: by name, as `tinygen train --set` takes them.
        preset: other networks and optimiser; None for those of the bench.
    """

    overrides: Mapping[str, Any] = field(default_factory=dict)
    preset: str | None = None

    def settings(self, images: int) -> dict[str, Any]:
        """The settings for a run over so many images, in the first half of which noise fades."""
        if "instance_noise" not in self.overrides:
            return dict(self.overrides)
        return {**self.overrides, "noise_images": max(1, images // 2)}


def remedies(
    batch: int, penalty: float, without: Mapping[str, Any], modern: Remedy
) -> dict[str, Remedy]:
    """All of them by name.

    Args:
        batch: samples in a batch; a packing that does not divide it takes somewhat less.
        penalty: weight of the gradient penalty.
        without: what leaves out batch norm in the discriminator, which penalties of single samples
            and spectral norm do not go with.
        modern: the preset of that name.
    """
    critic = {"loss": "wasserstein", "critic_steps": 5}
    return {
        PLAIN: Remedy(),
        **{
            f"packing {m}": Remedy({"packing": m, "batch_size": batch - batch % m})
            for m in (2, 3, 4)
        },
        "label smoothing": Remedy({"label_smoothing": 0.1}),
        "instance noise": Remedy({"instance_noise": 0.1}),
        "replay": Remedy({"replay": 50}),
        "minibatch discrimination": Remedy({"minibatch": "discrimination"}),
        "minibatch stddev": Remedy({"minibatch": "stddev"}),
        "feature matching": Remedy({"feature_matching": 1.0}),
        "spectral norm": Remedy({**without, "spectral_norm": True}),
        "weight clipping": Remedy(
            {**critic, "clip": 0.01, "optimizer": "rmsprop", "learning_rate": 5e-5}
        ),
        "gradient penalty": Remedy({**critic, **without, "gradient_penalty": penalty}),
        "r1": Remedy({**without, "r1": 1.0}),
        "modern": modern,
        "5 critic steps": Remedy({"critic_steps": 5}),
        "average": Remedy({"average": 0.999}),
    }


POINTS = remedies(100, 0.1, {}, Remedy(preset="ring-modern"))
DIGITS = remedies(
    64,
    10.0,
    {"discriminator_norm": None},
    Remedy(
        {
            "loss": "relativistic", "r1": 1.0, "r2": 1.0, "average": 0.999, "noise": "normal",
            "activation": ["leaky_relu", 0.2], "generator_norm": None, "discriminator_norm": None,
            "deviation": 0.0, "beta1": 0.0, "beta2": 0.99,
        }
    ),
)  # fmt: skip

Published = tuple[str, str, str, str]  # method, modes, high quality in percent, KL in nats
PUBLISHED: dict[str, list[Published]] = {
    "ring": [
        ("PacGAN's GAN", "6.3 +- 0.5", "98.2 +- 0.2", "0.45 +- 0.09"),
        ("PacGAN's ALI", "6.6 +- 0.3", "97.6 +- 0.4", "0.36 +- 0.04"),
        ("PacGAN 2", "7.9 +- 0.1", "95.6 +- 2.0", "0.07 +- 0.03"),
        ("PacGAN 3", "7.8 +- 0.1", "97.7 +- 0.3", "0.10 +- 0.02"),
        ("PacGAN 4", "7.8 +- 0.1", "95.9 +- 1.4", "0.07 +- 0.02"),
        ("VEEGAN's GAN", "1", "99.3", ""),
        ("VEEGAN's unrolled", "7.6", "35.6", ""),
        ("VEEGAN", "8", "52.9", ""),
    ],
    "grid": [
        ("PacGAN's GAN", "17.3 +- 0.8", "94.8 +- 0.7", "0.70 +- 0.07"),
        ("PacGAN's ALI", "24.1 +- 0.4", "95.7 +- 0.6", "0.14 +- 0.03"),
        ("PacGAN 2", "23.8 +- 0.7", "91.3 +- 0.8", "0.13 +- 0.04"),
        ("PacGAN 3", "24.6 +- 0.4", "94.2 +- 0.4", "0.06 +- 0.02"),
        ("PacGAN 4", "24.8 +- 0.2", "93.6 +- 0.6", "0.04 +- 0.01"),
        ("VEEGAN's GAN", "3.3", "0.5", ""),
        ("VEEGAN's unrolled", "23.6", "16", ""),
        ("VEEGAN", "24.6", "40", ""),
    ],
    "stacked-digits": [  # of MNIST's digits, 28 x 28 pixels
        ("PacGAN's DCGAN, MNIST", "78.9 +- 6.5", "", "4.50 +- 0.13"),
        ("PacDCGAN 2, MNIST", "1000", "", "0.06 +- 0.003"),
        ("PacDCGAN 3, MNIST", "1000", "", "0.06 +- 0.003"),
        ("PacDCGAN 4, MNIST", "1000", "", "0.07 +- 0.005"),
        ("VEEGAN's DCGAN, MNIST", "99.0", "", "3.40"),
        ("VEEGAN, MNIST", "150.0", "", "2.95"),
    ],
}
"""Lin et al. 2018, tables 1 (10 runs) and 2; Srivastava et al. 2017 (5 runs in the plane)."""
