"""Nets between two others, weight by weight."""

from torch import Tensor

from restorekit.backends.card import Card
from restorekit.backends.checkpoint import Checkpoint
from restorekit.errors import CheckpointError, UsageError


def interpolate(first: Checkpoint, second: Checkpoint, alpha: float) -> Checkpoint:
    """Return the net whose weights are (1 - alpha) of the first and alpha of the second.

    Wang et al. (ESRGAN, ECCVW 2018, eq. 4). It makes sense where one net was trained on from the
    other: between weights that were found apart lies nothing. The card has the training of the
    second, names both as the source, and has no measured numbers, for none are of these weights.

    Raises:
        UsageError: alpha does not lie from 0 to 1.
        CheckpointError: the two are not of one net, or not for one task.
    """
    if not 0 <= alpha <= 1:
        raise UsageError(f"alpha must lie from 0 (the first) to 1 (the second), not {alpha:g}")
    _require_alike(first.card, second.card)
    state = {key: _between(value, second.state[key], alpha) for key, value in first.state.items()}
    source = (
        f"{1 - alpha:g} of {_provenance(first.card)} and {alpha:g} of {_provenance(second.card)}"
    )
    licence = " and ".join(dict.fromkeys((first.card.licence, second.card.licence)))
    changes = {"source": source, "licence": licence, "measured": ()}
    return Checkpoint(second.card.model_copy(update=changes), state)


def _require_alike(first: Card, second: Card) -> None:
    for word in ("backend", "config", "task", "scale", "value_range"):
        one, other = getattr(first, word), getattr(second, word)
        if one != other:
            raise CheckpointError(
                f"{first.name} and {second.name} differ in {word}: {one} and {other}; interpolate "
                "between two checkpoints of one net, one of them trained on from the other"
            )


def _between(first: Tensor, second: Tensor, alpha: float) -> Tensor:
    return first.lerp(second, alpha) if first.is_floating_point() else second


def _provenance(card: Card) -> str:
    return f"{card.name} ({card.source})"
