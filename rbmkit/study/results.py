"""What a study has found: its files, read and checked, and the statistics in them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from rbmkit import files
from rbmkit.data import data_folder
from rbmkit.model import RBM

STUDY_KIND = "rbmkit.study/1"
STUDY_KEYS = ("epochs", "text", "singular_values")
# folders of the studies that ship, by their protocols
STUDIES = {
    "mild": "study",
    "paper": "strong",
}
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False)
class ModePaths:
    """Eight modes of one RBM through its training; T checkpoints, k modes (counted from 0).

    The order is either that of the singular values at each checkpoint, or that of the final model
    (``label == rank`` at the end). Signs are continuous along a label, and at the end as in
    `rbmkit.reciprocal.modes`.

    Attributes
    ----------
    label, rank : (T, k) int arrays
        Rank of the mode in the final model, to which it was followed by `rbmkit.reciprocal.match`;
        rank now.
    overlap : (T, k) array
        With the same mode one checkpoint later, 0 to 1; far below 1, the label means little.
    s : (T, k) array
        Singular values.
    a0, b0, x0, y0, mu_x, mu_y : (T, k) arrays
        Fields, saddle point and means of random states (the minimum of the constraint potential),
        as in `Modes`.
    x_data, y_data, x_samples, y_samples : (T, k, 7) arrays
        x and y over test examples and over samples of the model: mean, standard deviation and the
        five `QUANTILES`. y is that of one hidden state drawn from p(h|v) for each v.
    cov_data, cov_samples : (T, k) arrays
        Covariance of x_i and y_i, so that the variances of u_i and w_i are (var x + var y +- 2 cov)
        / 2, Eq. (19).
    """

    label: np.ndarray
    rank: np.ndarray
    overlap: np.ndarray
    s: np.ndarray
    a0: np.ndarray
    b0: np.ndarray
    x0: np.ndarray
    y0: np.ndarray
    mu_x: np.ndarray
    mu_y: np.ndarray
    x_data: np.ndarray
    y_data: np.ndarray
    x_samples: np.ndarray
    y_samples: np.ndarray
    cov_data: np.ndarray
    cov_samples: np.ndarray

    def __repr__(self) -> str:
        return "ModePaths({} checkpoints, {} modes)".format(*self.s.shape)


@dataclass(frozen=True, eq=False)
class Statistics:
    """What was measured on one member of the study at its T checkpoints.

    Attributes
    ----------
    epochs : (T,) array
        0 is the untrained model.
    singular_values : (T, K) float32 array, descending
    vector_epochs : (S,) array
        The checkpoints for which U and V are stored: all, or (paper's protocol) those with an
        estimate of ln Z.
    U, V : (S, N, 5) and (S, M, 5) float16 arrays
        The vectors of ``leading`` 0 to 4.
    free_energy_test, free_energy_train : (T,) arrays
        Means of F over the test examples and over the first 5,000 training examples.
    log_z_low, log_z_high, log_z_low_stderr, log_z_high_stderr, log_z_low_ess, log_z_high_ess : (T,)
    arrays
        ln Z by AIS, and by reverse AIS (PCD) or RAISE (CD, Rdm), with standard errors and effective
        sample sizes. Paper's protocol: always RAISE, and NaN at checkpoints without an estimate.
    rest_values : (T, 20) array
        Paper's protocol only: the leading singular values of `rbmkit.reciprocal.without` contrast x
        uniform pattern.
    activity : (T, 7) array
        Paper's protocol only: mean, standard deviation and `QUANTILES` over the hidden units of
        their mean activity.
    leading, followed : ModePaths
        The modes with the largest singular values at each checkpoint; those that become the leading
        ones.
    rounding : (2,) array
        Mean and standard deviation over the test examples of the change of F of the final model by
        storing W in half precision, in nats; empty where the final model is not stored.
    text : dict
        The member, its protocol and the sizes of the estimates.
    """

    epochs: np.ndarray
    singular_values: np.ndarray
    vector_epochs: np.ndarray
    U: np.ndarray
    V: np.ndarray
    free_energy_test: np.ndarray
    free_energy_train: np.ndarray
    log_z_low: np.ndarray
    log_z_high: np.ndarray
    log_z_low_stderr: np.ndarray
    log_z_high_stderr: np.ndarray
    log_z_low_ess: np.ndarray
    log_z_high_ess: np.ndarray
    leading: ModePaths
    followed: ModePaths
    rounding: np.ndarray
    text: dict
    rest_values: np.ndarray | None = None
    activity: np.ndarray | None = None

    def log_likelihood(self, end: str, part: str = "test") -> np.ndarray:
        """(T,) mean log-likelihood of the "test" or "train" examples, in nats: the "upper" end,
        from `log_z_low`, or the "lower" one."""
        log_z = {"upper": self.log_z_low, "lower": self.log_z_high}[end]
        return -{"test": self.free_energy_test, "train": self.free_energy_train}[part] - log_z


class Study:
    """The trained replicas in a folder of results; every file is checked against its SHA-256 when
    it is read.

    Attributes
    ----------
    names : list of str
        E.g. ``"pcd-500-0"``: method, hidden units, replica.
    """

    def __init__(self, folder: str | os.PathLike):
        self._folder = Path(folder)
        self.names = sorted(
            (name.removesuffix(".npz") for name in files.read_sums(self._folder)), key=_by_number
        )

    def __repr__(self) -> str:
        return f"Study({len(self.names)} models)"

    def members(self, *, method: str | None = None, hidden: int | None = None) -> list[str]:
        """Names of all replicas of a method ("PCD", "CD", "Rdm") and size."""
        split = [(name, *name.split("-")) for name in self.names]
        return [
            name
            for name, m, n, _ in split
            if method in (None, *_methods(m)) and hidden in (None, int(n))
        ]

    def rbm(self, name: str, epoch: float | None = None) -> RBM:
        """The model at the end of its training, or at one of its `snapshots` (W rounded to half
        precision).

        Raises
        ------
        ValueError
            No such member; its model, or that of this epoch, is not stored.
        """
        arrays = self._read(name)
        snapshots = _snapshots(arrays)
        if epoch is None and "W" in arrays:
            epoch = snapshots[-1]
        if epoch not in snapshots:
            raise ValueError(
                f"the model of {name} is not stored for {epoch=}; epochs with a model: {snapshots}"
            )
        if epoch == snapshots[-1] and "W" in arrays:
            return RBM(arrays["W"], arrays["a"], arrays["b"])
        k = snapshots.index(epoch)
        return RBM(*(arrays[f"snapshot_{part}"][k] for part in ("W", "a", "b")))

    def snapshots(self, name: str) -> list[float]:
        """The epochs for which the model of a member is stored, often only the last one; see
        `rbm`."""
        return _snapshots(self._read(name))

    def statistics(self, name: str) -> Statistics:
        """What was measured along its training."""
        arrays = self._read(name)
        paths = {}
        for kind in ("leading", "followed"):
            paths[kind] = ModePaths(
                **{f.name: arrays[f"{kind}_{f.name}"] for f in fields(ModePaths)}
            )
        arrays.setdefault("vector_epochs", arrays["epochs"])
        plain = {
            f.name: arrays[f.name]
            for f in fields(Statistics)
            if f.name in arrays and f.name != "text"
        }
        return Statistics(**plain, **paths, text=json.loads(str(arrays["text"])))

    def _read(self, name: str) -> dict[str, np.ndarray]:
        if name not in self.names:
            raise ValueError(
                f"no member {name!r} in {self._folder}; it has {', '.join(self.names)}"
            )
        return files.read_npz(
            files.verified(self._folder, f"{name}.npz"), STUDY_KEYS, kind=STUDY_KIND
        )


def _snapshots(arrays: dict[str, np.ndarray]) -> list[float]:
    return [*arrays.get("snapshot_epochs", ()), *arrays["epochs"][-1:][: "W" in arrays]]


def _by_number(name: str) -> list:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in name.split("-")]


def _methods(lower: str) -> list[str]:
    return [lower, lower.upper(), lower.capitalize()]


@files.said_in_one_line()
def study(which: str | os.PathLike = "mild") -> Study:
    """A study that ships with the project, made by ``python -m rbmkit study``.

    Parameters
    ----------
    which : {"mild", "paper"} or path, optional
        Its protocol: that of this series, or the one after the paper, whose models are strong
        (`rbmkit.study`). A path: the results in another folder.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no study in the folder; its list of checksums is damaged.
    """
    return Study(data_folder() / STUDIES[which] if which in STUDIES else which)
