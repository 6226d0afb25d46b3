"""The partition function in reciprocal space: its action, and ln Z of all modes, of some and of
one.

`Action` is the effective action of Eqs. (25)-(26) in the variables z = (u, w, x, y), where x and y
are those of modes without a partner, and their conjugates. Its saddle points, Eqs. (27a-f), are
solved in `rbmkit.mean_field`.

* `gaussian_log_z`: the density of random states replaced by a normal one, Eq. (46) in Eq. (22);
  finite for beta lambda_1 < 4 only;
* `frozen` keeps the fluctuations of the leading modes only, the others at given means: from
  independent units to the whole model, mode by mode;
* `mode_potential`: the effective potential of one mode with all others at their mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rbmkit import checks
from rbmkit.model import RBM, softplus
from rbmkit.projections import daniels, tilted_units
from rbmkit.reciprocal import all_axes, modes, turned


# ---------------------------------------------------------------- all modes
@dataclass(frozen=True, eq=False)
class Action:
    """Effective action of an RBM in reciprocal space, Eqs. (25)-(26); made by `action`.

    The n = N + M reciprocal variables are a rotation and a shift of the states s = (v, h): z = R s
    - shift. They come in the order u and w (one of each per mode with s_i > 0), then x and y of the
    modes without a partner.

    Attributes
    ----------
    R : (n, n) array
        Orthogonal.
    shift : (n,) array
        (x0 + y0) / sqrt(2) for u, (y0 - x0) / sqrt(2) for w, zero for the others.
    curvature : (n,) array
        Singular values: + for u, - for w, zero for the others.
    field : (n,) array
        a0 and b0 of the modes without a partner, zero for u and w.
    constant : float
        Sum of the saddle energies a0 b0 / s.
    beta : float
    """

    R: np.ndarray
    shift: np.ndarray
    curvature: np.ndarray
    field: np.ndarray
    constant: float
    beta: float

    def z(self, s: np.ndarray) -> np.ndarray:
        """Reciprocal variables of states or means s (..., n), Eqs. (17) and (19)."""
        return s @ self.R.T - self.shift

    def means(self, z: np.ndarray) -> np.ndarray:
        """The inverse of `z`."""
        return (z + self.shift) @ self.R

    def energy(self, z: np.ndarray) -> np.ndarray:
        """E(u, w, x, y), Eq. (20) summed over modes, and the linear rest."""
        return self.constant - (self.curvature * z**2).sum(axis=-1) / 2 - z @ self.field

    def __call__(self, z: np.ndarray, zhat: np.ndarray) -> np.ndarray:
        """S(z, zhat) of Eqs. (25)-(26), complex, up to multiples of 2 pi i."""
        field = -1j * (zhat @ self.R)
        positive = field.real > 0  # ln(1 + e^x) = x + ln(1 + e^-x): no overflow
        trace = np.where(positive, field, 0) + np.log1p(np.exp(np.where(positive, -field, field)))
        trace = trace.sum(axis=-1) + 1j * (zhat @ self.shift)
        return (
            -self.beta * self.energy(z)
            + 1j * (zhat * z).sum(axis=-1)
            - len(self.shift) * np.log(2 * np.pi)
            + trace
        )

    def gradient(self, z: np.ndarray, zhat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dS/dz and dS/dzhat; both vanish where Eqs. (27a-c) and Eqs. (27d-f) hold."""
        field = -1j * (zhat @ self.R)
        small = np.exp(np.where(field.real > 0, -field, field))
        tilted = np.where(field.real > 0, 1, small) / (1 + small)  # <<s>> of Eq. (28)
        dz = self.beta * (self.curvature * z + self.field) + 1j * zhat
        return dz, 1j * (z - self.z(tilted))

    def conjugate(self, z: np.ndarray) -> np.ndarray:
        """The zhat of Eqs. (27a-c) at z, imaginary."""
        return 1j * self.beta * (self.curvature * z + self.field)


def action(rbm: RBM, *, beta: float = 1.0) -> Action:
    """The effective action of Eqs. (25)-(26) for an RBM of any shape, at inverse temperature beta
    >= 0.

    Singular values that are zero up to rounding have no saddle: their x_i and y_i are taken as
    unpaired variables.
    """
    checks.instance(rbm, RBM, "rbm")
    beta = checks.inverse_temperature(beta)
    U, s, Vt = np.linalg.svd(rbm.W)
    K = int((s > max(s[0], np.finfo(float).tiny) * max(rbm.N, rbm.M) * np.finfo(float).eps).sum())
    s = s[:K]
    a0 = U.T @ rbm.a
    b0 = Vt @ rbm.b
    x0 = -b0[:K] / s
    y0 = -a0[:K] / s
    n = rbm.N + rbm.M
    axes = all_axes(U[:, :K], Vt[:K].T, U[:, K:], Vt[K:].T)
    rest = np.zeros(n - 2 * K)
    return Action(
        R=np.ascontiguousarray(axes.T),
        shift=np.concatenate([*turned(x0, y0), rest]),
        curvature=np.concatenate([s, -s, rest]),
        field=np.concatenate([np.zeros(2 * K), a0[K:], b0[K:]]),
        constant=float((a0[:K] * b0[:K] / s).sum()),
        beta=beta,
    )


def gaussian_log_z(rbm: RBM, *, beta: float = 1.0) -> float:
    """ln Z with a normal density of random states, Eq. (46) in Eq. (22): units as Gaussians of mean
    1/2, variance 1/4.

    A product over modes: with A0 = U^T (a + W 1/2), B0 = V^T (b + W^T 1/2), the fields at the
    centre, and P_i = [[4, -beta s_i], [-beta s_i, 4]], J_i = beta (A0_i, B0_i),

        ln Z_G = (N + M) ln 2 - beta E(1/2, 1/2) + sum_i [J_i P_i^-1 J_i / 2 - ln(1 - (beta s_i /
        4)^2) / 2] + rest,

    where the rest is beta^2 / 8 times the squared fields outside of all modes.

    Parameters
    ----------
    rbm : RBM
    beta : float, optional
        Inverse temperature, >= 0.

    Returns
    -------
    float
        Infinite for beta lambda_1 >= 4, where the integral diverges.
    """
    checks.instance(rbm, RBM, "rbm")
    beta = checks.inverse_temperature(beta)
    half_v = np.full(rbm.N, 0.5)
    half_h = np.full(rbm.M, 0.5)
    m = modes(RBM(rbm.W, rbm.a + rbm.W @ half_h, rbm.b + rbm.W.T @ half_v))
    ratio = beta * m.s / 4
    if ratio[0] >= 1:
        return np.inf
    centre = beta * (rbm.a @ half_v + rbm.b @ half_h + half_v @ rbm.W @ half_h)
    fields = beta**2 / 8 * (m.a0**2 + m.b0**2 + 2 * ratio * m.a0 * m.b0) / (1 - ratio**2)
    rest = beta**2 / 8 * (m.a_rest @ m.a_rest + m.b_rest @ m.b_rest)
    return float(
        (rbm.N + rbm.M) * np.log(2) + centre + rest + (fields - np.log1p(-(ratio**2)) / 2).sum()
    )


# ---------------------------------------------------------------- some of the modes
def frozen(rbm: RBM, k: int, v_mean: np.ndarray, h_mean: np.ndarray) -> tuple[RBM, float]:
    """The model in which only the k leading modes fluctuate together; the others are frozen at
    given means.

    In the energy, x_i y_i of a frozen mode i loses the product (x_i - <x_i>)(y_i - <y_i>): each
    layer feels the mean of the other. With W_k = sum_{i <= k} s_i U_i V_i^T and W' = W - W_k that
    is an RBM with

        couplings W_k,    fields a + W' <h> and b + W'^T <v>,    and the constant energy <v> W' <h>.

    Without frozen modes it is the model itself. For k = 0 units are independent; ln Z is then
    stationary in the means where these solve the mean-field equations, and has the value of the
    saddle there.

    Parameters
    ----------
    rbm : RBM
    k : int
        Modes that are kept, 0 to min(N, M).
    v_mean : (N,) array
    h_mean : (M,) array
        Means at which the other modes are frozen, e.g. those of the data.

    Returns
    -------
    RBM, float
        The model, and its constant energy: at beta = 1 the ln Z of the frozen energy is that of the
        RBM minus it.

    Raises
    ------
    ValueError
        `k` is out of range, or a mean has the wrong shape.
    """
    checks.instance(rbm, RBM, "rbm")
    k = checks.integer(k, "k", least=0)
    largest = min(rbm.N, rbm.M)
    if k > largest:
        raise ValueError(f"k must be at most {largest}, the number of modes, got {k}")
    v_mean = checks.real_array(v_mean, (rbm.N,), "v_mean")
    h_mean = checks.real_array(h_mean, (rbm.M,), "h_mean")
    m = modes(rbm)
    kept = (m.U[:, :k] * m.s[:k]) @ m.V[:, :k].T
    rest = rbm.W - kept
    return RBM(kept, rbm.a + rest @ h_mean, rbm.b + rest.T @ v_mean), float(v_mean @ rest @ h_mean)


# ---------------------------------------------------------------- one mode
@dataclass(frozen=True, eq=False)
class ModePotential:
    """Effective potential of one mode along x, and what it gives for the whole; made by
    `mode_potential`.

    Attributes
    ----------
    x : (n,) array
        Increasing.
    value : (n,) array
        Phi(x), dimensionless; exp(-Phi) integrates to an approximate Z.
    """

    x: np.ndarray
    value: np.ndarray

    @property
    def log_z(self) -> float:
        """ln of the integral of exp(-Phi) over the points x (trapezoidal rule)."""
        low = self.value.min()
        return float(np.log(np.trapezoid(np.exp(low - self.value), self.x)) - low)


def mode_potential(
    rbm: RBM,
    v: np.ndarray,
    h: np.ndarray,
    *,
    mode: int = 0,
    beta: float = 1.0,
    tilt: np.ndarray | None = None,
) -> ModePotential:
    """Effective potential of one mode, all other modes frozen at the means v and h, y integrated
    out.

    With x' and y' of the other modes fixed, the hidden units are independent given x, and the
    visible ones feel fixed fields; the density of x = U_i . v under these is taken in the
    saddle-point approximation (Daniels): the tilt t adds t U_i to the visible fields and puts their
    mean at x(t). For a model of rank one nothing is frozen. Daniels' form is good where many units
    share x; at the ends of the support, where all units but one or two are decided, it fails, and
    with it `log_z` if the weight is there: in `curie_weiss(40, 40)` it is 0.06 low at beta lambda =
    8, 0.6 at 12 and 1.3 at 20.

    Parameters
    ----------
    rbm : RBM
    v, h : (N,) and (M,) arrays
        Means, e.g. a solution of `mean_field`.
    mode : int, optional
        Index from 0.
    beta : float, optional
        Inverse temperature, >= 0.
    tilt : (n,) array, optional
        Increasing; by default 401 values that cover nearly the whole support of x, and all
        mean-field solutions.

    Returns
    -------
    ModePotential
    """
    checks.instance(rbm, RBM, "rbm")
    v = checks.real_array(v, (rbm.N,), "v")
    h = checks.real_array(h, (rbm.M,), "h")
    m = modes(rbm)
    beta = checks.inverse_temperature(beta)
    i = checks.integer(mode, "mode", least=0)
    if i >= len(m.s):
        raise ValueError(f"mode must be below min(N, M) = {len(m.s)}, got {i}")
    U = m.U[:, i]
    V = m.V[:, i]
    s = m.s[i]
    field_v = beta * (rbm.a + rbm.W @ h - s * (V @ h) * U)
    centre = -field_v @ U
    # the tilts of solutions lie between
    ends = beta * s * np.array([V[V < 0].sum(), V[V > 0].sum()])
    reach = max(
        (8 + np.abs(field_v + centre * U).max()) / np.sqrt((U**4).sum()),
        np.abs(ends - centre).max(),
    )
    t = (
        centre + reach * np.linspace(-1, 1, 401)
        if tilt is None
        else checks.real_array(tilt, (None,), "tilt")
    )
    k0, x, k2 = tilted_units(U, field_v, t)
    log_weight = softplus(field_v).sum() + daniels(k0, t, x, k2)
    field_h = beta * (rbm.b + v @ rbm.W + s * (x - v @ U)[:, None] * V)
    counted_twice = beta * (v @ rbm.W @ h - s * (v @ U) * (V @ h))
    return ModePotential(x=x, value=counted_twice - log_weight - softplus(field_h).sum(axis=1))
