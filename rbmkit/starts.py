"""Where the Markov chains of the negative phase start at each update: all in which the methods of
training differ.

* ``"Rdm"``: random hidden states, forgotten after each update;
* ``"CD"``: the minibatch itself (contrastive divergence);
* ``"PCD"``: where the last update left them (persistent contrastive divergence).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rbmkit.sampling import random_states


@dataclass(frozen=True, eq=False)
class Start:
    """States of chains before their first step.

    Attributes
    ----------
    v, h : (n, N) and (n, M) uint8 arrays
        Fresh ones, for the kernel to work on.
    from_hidden : bool
        Whether the first half step draws v from h; else h is drawn from v.
    """

    v: np.ndarray
    h: np.ndarray
    from_hidden: bool = False


def random_hidden(batch: np.ndarray, last: np.ndarray, M: int, seed: Sequence[int]) -> Start:
    """As many chains as before, at independent fair coins."""
    h = random_states(len(last), M, np.random.default_rng(seed))
    return Start(last.copy(), h, from_hidden=True)


def at_the_data(batch: np.ndarray, last: np.ndarray, M: int, seed: Sequence[int]) -> Start:
    """One chain at each example of the minibatch."""
    return Start(batch.copy(), np.empty((len(batch), M), np.uint8))


def where_they_were(batch: np.ndarray, last: np.ndarray, M: int, seed: Sequence[int]) -> Start:
    """Every chain goes on."""
    return Start(last.copy(), np.empty((len(last), M), np.uint8))


STARTS = {"Rdm": random_hidden, "CD": at_the_data, "PCD": where_they_were}
METHODS = tuple(STARTS)
