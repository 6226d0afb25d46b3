"""Order parameters of the modes through a stored training, Figs. 7 and 8 of the paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rbmkit import checks
from rbmkit.reciprocal import turned
from rbmkit.study import ModePaths


@dataclass(frozen=True, eq=False)
class OrderParameter:
    """z_i = u_i (row 0) and z_{M+i} = w_i (row 1) through a training, from the saddle of the mode,
    which is at zero.

    Attributes
    ----------
    mu : (2, T) array
        Minimum of the constraint potential, Eq. (29).
    data, samples : (2, T) arrays
        Means over test examples and over samples of the model.
    data_std, samples_std : (2, T) arrays
        Their standard deviations.
    """

    mu: np.ndarray
    data: np.ndarray
    samples: np.ndarray
    data_std: np.ndarray
    samples_std: np.ndarray


def order_parameter(paths: ModePaths, i: int = 0) -> OrderParameter:
    """Order parameters of mode i of a stored training, Figs. 7 and 8.

    The sign of a mode is arbitrary: (U_i, V_i) -> (-U_i, -V_i) turns u and w around. It is chosen
    here such that mu_x >= 0, as in `rbmkit.reciprocal.modes`: by the weights alone, whatever data
    and samples do.

    Parameters
    ----------
    paths : ModePaths
        E.g. `Statistics.leading`.
    i : int, optional
    """
    checks.instance(paths, ModePaths, "paths")
    sign = np.where(paths.mu_x[:, i] < 0, -1.0, 1.0)

    def uw(x: np.ndarray, y: np.ndarray) -> np.ndarray:  # Eq. (19)
        return sign * np.stack(turned(x - paths.x0[:, i], y - paths.y0[:, i]))

    # var u and var w: those of (y +- x) / sqrt 2
    def std(x: np.ndarray, y: np.ndarray, cov: np.ndarray) -> np.ndarray:
        half = (x[:, i, 1] ** 2 + y[:, i, 1] ** 2) / 2
        return np.sqrt(np.stack([half + cov[:, i], half - cov[:, i]]))

    return OrderParameter(
        mu=uw(paths.mu_x[:, i], paths.mu_y[:, i]),
        data=uw(paths.x_data[:, i, 0], paths.y_data[:, i, 0]),
        samples=uw(paths.x_samples[:, i, 0], paths.y_samples[:, i, 0]),
        data_std=std(paths.x_data, paths.y_data, paths.cov_data),
        samples_std=std(paths.x_samples, paths.y_samples, paths.cov_samples),
    )
