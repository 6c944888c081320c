"""Paired regression against a discriminator, which learns to tell what is restored from references.

The formulas of both sides take the logits of references and of restored pictures.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from restorekit.backends.registry import default_registry
from restorekit.errors import UsageError
from restorekit.nets.patchgan import SMALLEST, PatchGAN
from restorekit.training.config import GroupRecipe, TrainingRecipe
from restorekit.training.objectives import Batch, Phase
from restorekit.training.objectives.paired import Paired
from restorekit.training.optim import build_optimizer


@dataclass(frozen=True)
class Game:
    """What either side minimises, as functions of the scores (real, fake)."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    net: Callable[[Tensor, Tensor], Tensor]


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of -log s(real) and -log(1 - s(fake)), s being the sigmoid.

    Goodfellow et al. (NeurIPS 2014), halved as Isola et al. (CVPR 2017) train.
    """
    return (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2


def least_squares(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of (real - 1)^2 and fake^2 (LSGAN, Mao et al., ICCV 2017, equation 9)."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def relativistic(real: Tensor, fake: Tensor) -> Tensor:
    """Cross entropy of how much more real either is than the mean of the other.

    Wang et al. (ESRGAN, ECCVW 2018) after Jolicoeur-Martineau (2018); means over the batch.
    """
    return cross_entropy(real - fake.mean(), fake - real.mean())


GAMES: Mapping[str, Game] = {
    "vanilla": Game(cross_entropy, lambda _, fake: F.softplus(-fake).mean()),
    "lsgan": Game(least_squares, lambda _, fake: (fake - 1).square().mean() / 2),
    "relativistic": Game(relativistic, lambda real, fake: relativistic(fake, real)),
}


class Adversarial:
    """The losses of `paired` and `weight` times that of a net whose pictures are to pass for real.

    The discriminator sees the finest scale alone, and learns from the pictures that the net has
    just been judged by.
    """

    def __init__(
        self,
        paired: Paired,
        discriminator: nn.Module,
        optimizer: Optimizer,
        game: Game,
        weight: float,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self.net = paired.net
        self.others = {"discriminator": discriminator}
        self.optimizers = {**paired.optimizers, "discriminator": optimizer}
        self._paired = paired
        self._game = game
        self._weight = weight
        self._autocast = autocast

    def step(self, batch: Batch) -> Iterator[Phase]:
        """Yield the phase of the net, then that of the discriminator."""
        scales = self._paired.restore(batch.degraded)
        restored = max(reversed(scales), key=Tensor.numel)
        with torch.no_grad():
            real = self._score(batch.reference)
        losses = self._paired.compare(scales, batch)
        losses["adversarial"] = self._weight * self._game.net(real, self._score(restored))
        yield Phase(self.optimizers["net"], losses)
        real, fake = self._score(batch.reference), self._score(restored.detach())
        told = self._game.discriminator(real, fake)
        yield Phase(self.optimizers["discriminator"], {"discriminator": told})

    def _score(self, pictures: Tensor) -> Tensor:
        with self._autocast():
            scores: Tensor = self.others["discriminator"](pictures)
        return scores.float()


def build_adversarial(
    paired: Paired,
    recipe: TrainingRecipe,
    autocast: Callable[[], AbstractContextManager[object]],
    device: torch.device,
) -> Adversarial:
    """Give a paired objective the discriminator of its recipe.

    Raises UsageError for patches that are smaller than what it can score.
    """
    _require_patch(recipe)
    discriminator = PatchGAN(width=recipe.discriminator.width)
    discriminator.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Adversarial(
        paired,
        discriminator,
        _build_optimizer(discriminator, recipe),
        GAMES[recipe.discriminator.kind],
        recipe.losses["adversarial"],
        autocast,
    )


def _build_optimizer(discriminator: nn.Module, recipe: TrainingRecipe) -> Optimizer:
    """Make one as the net's, but for the groups and layers, which are the net's alone."""
    group = GroupRecipe(match="*", lr_scale=recipe.discriminator.lr_scale)
    own = {"groups": (group,), "layer_decay": 1.0}
    return build_optimizer(discriminator, recipe.optim.model_copy(update=own))


def _require_patch(recipe: TrainingRecipe) -> None:
    scale = default_registry().get(recipe.net.backend).scale(recipe.net.config)
    patch = min([recipe.data.patch, *(stage.patch for stage in recipe.data.stages)])
    if patch * scale < SMALLEST:
        raise UsageError(
            f"losses.adversarial: the discriminator scores references of {SMALLEST} pixels a side "
            f"or more, and the smallest patch gives {patch * scale}; set data.patch (and that of "
            f"each of data.stages) to {-(-SMALLEST // scale)} or more"
        )
