"""Which examples make which step: a function of the recipe, so nothing of it is to be saved."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from restorekit.degradations.recipe import generator
from restorekit.errors import UsageError
from restorekit.training.config import DataRecipe, TrainingRecipe
from restorekit.training.distributed import Group
from restorekit.training.optim import Length


class Draw(NamedTuple):
    """One example of one step, both counted from 0."""

    step: int
    place: int
    """Its place in the batch."""
    patch: int
    """Side of its crop in pixels."""
    picture: int | None = None
    """The picture to take; None draws one."""

    @property
    def key(self) -> tuple[str | int, ...]:
        """What names the example in random streams."""
        return ("train", self.step, self.place)


class Mix(NamedTuple):
    """How much of an example is kept, and the example that makes up the rest."""

    kept: float
    other: Draw


@dataclass(frozen=True)
class Order:
    """The examples of every step.

    In a run of epochs every picture comes once an epoch, in an order of its own; the last batch of
    an epoch is filled up from the epoch's beginning.
    """

    data: DataRecipe
    seed: int
    pictures: int
    """How many there are to train on."""
    epoch: int | None
    """Steps of an epoch, in a run that counts epochs."""

    def draws(self, step: int, group: Group) -> list[Draw]:
        """List the share of a process in a step."""
        share = self.batch(step) // group.size
        return [self.draw(step, group.rank * share + index) for index in range(share)]

    def draw(self, step: int, index: int) -> Draw:
        """Name an example."""
        picture = None
        if self.epoch is not None:
            epoch, place = divmod(step, self.epoch)
            order = _shuffled(self.seed, epoch, self.pictures)
            picture = int(order[(place * self.data.batch + index) % self.pictures])
        return Draw(step, index, self._stage(step)[0], picture)

    def batch(self, step: int) -> int:
        """How many examples the step has."""
        return self._stage(step)[1]

    def mix(self, draw: Draw) -> Mix | None:
        """Find what an example is mixed with; None in every second step, on average."""
        rng = generator(self.seed, "mix", draw.step)
        if not self.data.mixup or rng.random() < 0.5:
            return None
        kept = float(rng.beta(self.data.mixup, self.data.mixup))
        other = int(rng.permutation(self.batch(draw.step))[draw.place])
        return Mix(kept, self.draw(draw.step, other))

    def _stage(self, step: int) -> tuple[int, int]:
        stages = (s for s in self.data.stages if step < s.until)
        stage = next(stages, self.data)
        return stage.patch, stage.batch


def plan_order(recipe: TrainingRecipe, pictures: int) -> tuple[Order, Length]:
    """Lay out a run over that many pictures."""
    epoch = None if recipe.epochs is None else -(-pictures // recipe.data.batch)
    steps = recipe.steps if recipe.epochs is None else recipe.epochs * (epoch or 0)
    return Order(recipe.data, recipe.seed, pictures, epoch), Length(steps or 0, epoch)


def require_shares(recipe: TrainingRecipe, group: Group) -> None:
    """Raise UsageError where a batch cannot be divided evenly."""
    parts = group.size * recipe.speed.accumulate
    for batch in (recipe.data.batch, *(stage.batch for stage in recipe.data.stages)):
        if batch % parts:
            raise UsageError(
                f"a batch of {batch} cannot be divided evenly into {parts} parts ({group.size} "
                f"processes, speed.accumulate = {recipe.speed.accumulate}); change data.batch"
            )


@lru_cache(maxsize=2)
def _shuffled(seed: int, epoch: int, pictures: int) -> NDArray[np.int64]:
    return generator(seed, "epoch", epoch).permutation(pictures)
