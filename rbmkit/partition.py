"""The partition function in reciprocal space: its action and saddle points, and what they say about ln Z.

`Action` is the effective action of Eqs. (25)-(26) in the variables z = (u, w, x, y), where x and y are those of modes
without a partner, and their conjugates. Its saddle points, Eqs. (27a-f), are the naive mean-field equations

    m_v = sigma(beta (a + W m_h)),        m_h = sigma(beta (b + W^T m_v)),

solved by `mean_field`, from as many starts as one likes. From there on ln Z is approximated by

* `saddle_log_z`: the action at the saddle; a rigorous lower bound;
* `one_loop_log_z`: with the Gaussian fluctuations about it, -1/2 ln det(1 - A A^T), where
  A = beta sqrt(m_v (1 - m_v)) W sqrt(m_h (1 - m_h)) per unit; finite while `stability`, the largest singular value of
  A, is below 1;
* `tap_log_z`: the mean field of second order in the couplings (Thouless, Anderson and Palmer; Plefka); no bound;
* `gaussian_log_z`: the density of random states replaced by a normal one, Eq. (46) in Eq. (22); finite for
  beta lambda_1 < 4 only.

`frozen` keeps the fluctuations of the leading modes only, the others at given means: from independent units to the
whole model, mode by mode.

`quartic` is the constraint potential of one mode to fourth order, and `mode_potential` its effective potential with all
other modes at their mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit, logit

from rbmkit import checks
from rbmkit.model import RBM, softplus
from rbmkit.reciprocal import modes

_TOLERANCE = 1e-11  # a solution: no mean changes by more than this in one sweep
_DISTINCT = 1e-3  # two solutions: some mean differs by more than this; at a triple root, as for beta lambda_1 = 4, the
# tolerance above leaves a mean uncertain by about its cube root, 2e-4
_SWEEPS = 60  # before Newton's method
_MOST_STEPS = 400
_LONGEST_STEP = 3.0  # of a logit, in a step of Newton's method
_CONJUGATE_GRADIENTS = 60  # per step of Newton's method
_GAIN = 1e-10  # in ln Z: above rounding
_FAR = 30.0  # sweeps in one, straight on, adapted as it goes: leaves saddles, where Newton's method makes tiny steps
_MARGIN = 1e-12  # starts are kept this far from 0 and 1


# ---------------------------------------------------------------- the action
@dataclass(frozen=True, eq=False)
class Action:
    """Effective action of an RBM in reciprocal space, Eqs. (25)-(26); made by `action`.

    The n = N + M reciprocal variables are a rotation and a shift of the states s = (v, h): z = R s - shift. They come
    in the order u and w (one of each per mode with s_i > 0), then x and y of the modes without a partner.

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
        return -self.beta * self.energy(z) + 1j * (zhat * z).sum(axis=-1) - len(self.shift) * np.log(2 * np.pi) + trace

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
    """The effective action of Eqs. (25)-(26) for an RBM of any shape, at inverse temperature beta >= 0.

    Singular values that are zero up to rounding have no saddle: their x_i and y_i are taken as unpaired variables.
    """
    checks.instance(rbm, RBM, "rbm")
    beta = checks.inverse_temperature(beta)
    U, s, Vt = np.linalg.svd(rbm.W)
    K = int((s > max(s[0], np.finfo(float).tiny) * max(rbm.N, rbm.M) * np.finfo(float).eps).sum())
    s, a0, b0 = s[:K], U.T @ rbm.a, Vt @ rbm.b
    x0, y0 = -b0[:K] / s, -a0[:K] / s
    n = rbm.N + rbm.M
    R = np.zeros((n, n))
    R[:K, : rbm.N], R[:K, rbm.N :] = U[:, :K].T, Vt[:K]
    R[K : 2 * K, : rbm.N], R[K : 2 * K, rbm.N :] = -U[:, :K].T, Vt[:K]
    R[: 2 * K] /= np.sqrt(2)
    R[2 * K : rbm.N + K, : rbm.N], R[rbm.N + K :, rbm.N :] = U[:, K:].T, Vt[K:]
    rest = np.zeros(n - 2 * K)
    return Action(
        R=R,
        shift=np.concatenate([(x0 + y0) / np.sqrt(2), (y0 - x0) / np.sqrt(2), rest]),
        curvature=np.concatenate([s, -s, rest]),
        field=np.concatenate([np.zeros(2 * K), a0[K:], b0[K:]]),
        constant=float((a0[:K] * b0[:K] / s).sum()),
        beta=beta,
    )


# ---------------------------------------------------------------- mean field
@dataclass(frozen=True, eq=False)
class MeanField:
    """Solutions of the mean-field equations, the one of largest `log_z` first; made by `mean_field`.

    Attributes
    ----------
    v, h : (n, N) and (n, M) arrays
        Means of the units, in [0, 1]: the n different solutions.
    log_z : (n,) array
        Approximate ln Z at each. Of first order it is a lower bound on ln Z.
    found_from : (starts,) int array
        The solution that each start led to.
    rbm, beta, order
        What was solved.
    """

    v: np.ndarray
    h: np.ndarray
    log_z: np.ndarray
    found_from: np.ndarray
    rbm: RBM
    beta: float
    order: int

    def __repr__(self) -> str:
        return f"MeanField({len(self.v)} solutions from {len(self.found_from)} starts, order {self.order})"

    def __len__(self) -> int:
        return len(self.v)

    @cached_property
    def spectrum(self) -> np.ndarray:
        """Singular values of A at each solution, descending: (n, min(N, M)). About 30 ms per solution at M = 500."""
        return np.array([_spectrum(self.rbm, v, h, self.beta) for v, h in zip(self.v, self.h, strict=True)])

    @property
    def stability(self) -> np.ndarray:
        """Largest singular value of A at each solution, (n,): at a maximum of the bound at most 1, above 1 at others.

        For solutions of first order: `log_z` of second order has another curvature.
        """
        self._first_order("stability")
        return self.spectrum[:, 0]

    @cached_property
    def one_loop(self) -> np.ndarray:
        """log_z - 1/2 ln det(1 - A A^T) at each solution, (n,); infinite where `stability` is not below 1.

        For solutions of first order: those of second order hold part of the fluctuations already.
        """
        self._first_order("the one-loop correction")
        squares = np.where(self.stability[:, None] < 1, self.spectrum**2, 0)
        return np.where(self.stability < 1, self.log_z - np.log1p(-squares).sum(axis=1) / 2, np.inf)

    def _first_order(self, what: str) -> None:
        if self.order != 1:
            raise ValueError(f"{what} belongs to solutions of order 1; these are of order 2 (TAP)")


def mean_field(rbm: RBM, start: np.ndarray | None = None, *, beta: float = 1.0, order: int = 1) -> MeanField:
    """Solve the mean-field equations, the saddle-point equations (27a-f), from one or many starts.

    Each sweep sets the means of the hidden units to the optimum at fixed visible ones, and then the reverse; the
    approximate ln Z never falls. Starts that are slow go on with steps of Newton's method (conjugate gradients inside)
    and long steps along the last sweep; a step counts only if it raises ln Z, or at least halves the change.

    Parameters
    ----------
    rbm : RBM
    start : (N,) or (n, N) array, optional
        Visible means in [0, 1] to start from: data, samples, random numbers. Default: all 1/2.
    beta : float, optional
        Inverse temperature, >= 0.
    order : {1, 2}, optional
        1: naive mean field. 2: with Onsager's reaction term (TAP), of second order in the couplings,

            ln Z_2 = ln Z_1 + beta^2/2 sum_ij W_ij^2 m_i (1 - m_i) m_j (1 - m_j).

    Returns
    -------
    MeanField
        All different solutions. A start at a solution stays there, also at an unstable one.

    Raises
    ------
    ValueError
        `start` has the wrong width or values outside [0, 1]; `order` is not 1 or 2; `beta` negative.
    ArithmeticError
        Some start has not converged.
    """
    checks.instance(rbm, RBM, "rbm")
    if order not in (1, 2):
        raise ValueError(f"order must be 1 (naive mean field) or 2 (TAP), got {order!r}")
    beta, start = checks.inverse_temperature(beta), _starts(start, rbm.N)
    equations = _Equations(rbm, beta, order)
    x_v = equations.solve(logit(np.clip(start, _MARGIN, 1 - _MARGIN)))
    x_h = equations.hidden(x_v)
    first, found_from = _distinct(expit(x_v))
    log_z = equations.log_z(x_v[first], x_h[first])
    ranking = np.argsort(-log_z)
    chosen, rank = first[ranking], np.argsort(ranking)
    return MeanField(expit(x_v[chosen]), expit(x_h[chosen]), log_z[ranking], rank[found_from], rbm, beta, order)


def sweep(rbm: RBM, v: np.ndarray, *, fields: np.ndarray, order: int = 1, sweeps: int = 1) -> np.ndarray:
    """Sweeps of the mean-field equations with visible fields of their own in each row, beta = 1.

    Parameters
    ----------
    rbm : RBM
    v, fields : (n, N) arrays
        Means to start from, in [0, 1], and the visible fields in place of `rbm.a`.
    order : {1, 2}
        As in `mean_field`.
    sweeps : int

    Returns
    -------
    (n, N) array
        Visible means after the last sweep: near a solution, or not.
    """
    checks.instance(rbm, RBM, "rbm")
    fields = checks.real_array(fields, (None, rbm.N), "fields")
    equations = _Equations(rbm, 1.0, order)
    equations.a = fields
    x = logit(np.clip(_starts(v, rbm.N), _MARGIN, 1 - _MARGIN))
    for _ in range(checks.positive_int(sweeps, "sweeps")):
        x = equations.visible(equations.hidden(x))
    return expit(x)


def saddle_log_z(rbm: RBM, start: np.ndarray | None = None, *, beta: float = 1.0) -> float:
    """ln Z at the saddle point of the action, the best one found from `start` (default 1/2): a lower bound on ln Z.

    The arguments are those of `mean_field`. The constant -(N + M) ln(2 pi) of Eq. (25) is left out: the fluctuations
    cancel it, see `one_loop_log_z`. In a symmetric model with beta lambda_1 > 4 the default start is itself a solution,
    the unstable one, and by far not the best: give other starts.
    """
    return float(mean_field(rbm, start, beta=beta).log_z[0])


def one_loop_log_z(rbm: RBM, start: np.ndarray | None = None, *, beta: float = 1.0) -> float:
    """`saddle_log_z` with Gaussian fluctuations about that saddle, - 1/2 ln det(1 - A A^T).

    Infinite if the saddle is not stable (`stability` >= 1). The arguments are those of `mean_field`.
    """
    return float(mean_field(rbm, start, beta=beta).one_loop[0])


def tap_log_z(rbm: RBM, start: np.ndarray | None = None, *, beta: float = 1.0) -> float:
    """ln Z in the mean field of second order (TAP): the largest found from `start`. It is not a bound.

    The arguments are those of `mean_field`.
    """
    return float(mean_field(rbm, start, beta=beta, order=2).log_z[0])


def stability(rbm: RBM, start: np.ndarray | None = None, *, beta: float = 1.0) -> float:
    """Largest singular value of A at the saddle of `saddle_log_z`; fluctuations about it are stable below 1.

    At m = 1/2 it is beta lambda_1 / 4. The arguments are those of `mean_field`.
    """
    return float(mean_field(rbm, start, beta=beta).stability[0])


def gaussian_log_z(rbm: RBM, *, beta: float = 1.0) -> float:
    """ln Z with a normal density of random states, Eq. (46) in Eq. (22): units as Gaussians of mean 1/2, variance 1/4.

    A product over modes: with A0 = U^T (a + W 1/2), B0 = V^T (b + W^T 1/2), the fields at the centre, and
    P_i = [[4, -beta s_i], [-beta s_i, 4]], J_i = beta (A0_i, B0_i),

        ln Z_G = (N + M) ln 2 - beta E(1/2, 1/2) + sum_i [J_i P_i^-1 J_i / 2 - ln(1 - (beta s_i / 4)^2) / 2] + rest,

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
    beta, half_v, half_h = checks.inverse_temperature(beta), np.full(rbm.N, 0.5), np.full(rbm.M, 0.5)
    m = modes(RBM(rbm.W, rbm.a + rbm.W @ half_h, rbm.b + rbm.W.T @ half_v))
    ratio = beta * m.s / 4
    if ratio[0] >= 1:
        return np.inf
    centre = beta * (rbm.a @ half_v + rbm.b @ half_h + half_v @ rbm.W @ half_h)
    fields = beta**2 / 8 * (m.a0**2 + m.b0**2 + 2 * ratio * m.a0 * m.b0) / (1 - ratio**2)
    rest = beta**2 / 8 * (m.a_rest @ m.a_rest + m.b_rest @ m.b_rest)
    return float((rbm.N + rbm.M) * np.log(2) + centre + rest + (fields - np.log1p(-(ratio**2)) / 2).sum())


class _Equations:
    """Mean-field equations of one RBM at one temperature; x are logits of means, rows are independent problems."""

    def __init__(self, rbm: RBM, beta: float, order: int):
        self.W, self.a, self.b = beta * rbm.W, beta * rbm.a, beta * rbm.b
        self.W2 = self.W**2 if order == 2 else None

    def hidden(self, x_v: np.ndarray) -> np.ndarray:
        m = expit(x_v)
        return _best(self.b + m @ self.W, None if self.W2 is None else (m * (1 - m)) @ self.W2)

    def visible(self, x_h: np.ndarray) -> np.ndarray:
        m = expit(x_h)
        return _best(self.a + m @ self.W.T, None if self.W2 is None else (m * (1 - m)) @ self.W2.T)

    def log_z(self, x_v: np.ndarray, x_h: np.ndarray) -> np.ndarray:
        """Mean energy (times -beta) and entropy of independent units, and the Onsager term."""
        v, h = expit(x_v), expit(x_h)
        value = v @ self.a + h @ self.b + ((v @ self.W) * h).sum(axis=1)
        value += (softplus(x_v) - v * x_v).sum(axis=1) + (softplus(x_h) - h * x_h).sum(axis=1)
        return value if self.W2 is None else value + (((v * (1 - v)) @ self.W2) * h * (1 - h)).sum(axis=1) / 2

    def solve(self, x: np.ndarray) -> np.ndarray:
        """Visible logits of a solution for each row of starts x."""
        x, todo, reach = x.copy(), np.arange(len(x)), np.full((len(x), 1), _FAR)
        for step in range(_MOST_STEPS):
            swept, change = self.sweep(x[todo])
            if step >= _SWEEPS:
                sweep_value = value = self.log_z(swept, self.hidden(swept))
                least = change
                for target in (self.newton(x[todo]), x[todo] + reach[todo] * (swept - x[todo])):
                    trial, trial_change = self.sweep(target)
                    trial_value = self.log_z(trial, self.hidden(trial))
                    better = (trial_value > value + _GAIN) | (trial_change < least / 2)
                    swept[better] = trial[better]
                    value, change = np.where(better, (trial_value, trial_change), (value, change))
                    least = np.minimum(least, change)
                reach[todo] *= np.where(trial_value > sweep_value, 2.0, 0.5)[:, None]
            x[todo] = swept
            todo = todo[change > _TOLERANCE]
            if not len(todo):
                return x
        raise ArithmeticError(
            f"mean field: {len(todo)} of {len(x)} starts have not converged after {_MOST_STEPS} steps: "
            f"rows {', '.join(map(str, todo))} of start (means still change by {change.max():.1e}); "
            "leave them out, or try another beta"
        )

    def sweep(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One update of both layers, and the largest change of a visible mean in each row."""
        swept = self.visible(self.hidden(x))
        return swept, np.abs(expit(swept) - expit(x)).max(axis=1)

    def newton(self, x_v: np.ndarray) -> np.ndarray:
        """One step of Newton's method: the Hessian of ln Z, hidden units eliminated, by conjugate gradients."""
        x_h = self.hidden(x_v)
        v, h = expit(x_v), expit(x_h)
        s_v, s_h = v * (1 - v), h * (1 - h)
        residual = self.a + h @ self.W.T - x_v
        stiff_v = stiff_h = 1.0
        if self.W2 is not None:
            c_v, c_h = s_h @ self.W2.T, s_v @ self.W2
            residual += c_v * (0.5 - v)
            stiff_v, stiff_h = 1 + c_v * s_v, 1 + c_h * s_h

        def feedback(change: np.ndarray) -> np.ndarray:  # of visible means, through the hidden units, to their fields
            field = change @ self.W
            if self.W2 is not None:
                field += (change * (1 - 2 * v)) @ self.W2 * (0.5 - h)
            answer = field * s_h / stiff_h
            field = answer @ self.W.T
            if self.W2 is not None:
                field += (answer * (1 - 2 * h)) @ self.W2.T * (0.5 - v)
            return field

        root = np.sqrt(s_v / stiff_v)
        change = root * _conjugate_gradients(lambda p: p - root * feedback(root * p), root * residual)
        return x_v + np.clip((residual + feedback(change)) / stiff_v, -_LONGEST_STEP, _LONGEST_STEP)


def _best(field: np.ndarray, onsager: np.ndarray | None) -> np.ndarray:
    """Root x of x + c (sigma(x) - 1/2) = field, c >= 0: Newton's method from below |x|, which never overshoots."""
    if onsager is None:
        return field
    x = field / (1 + onsager / 4)
    for _ in range(100):
        m = expit(x)
        step = (field - x - onsager * (m - 0.5)) / (1 + onsager * m * (1 - m))
        x = x + step
        if np.all(np.abs(step) <= 1e-14 * (1 + np.abs(x))):
            break
    return x


def _conjugate_gradients(apply, rhs: np.ndarray) -> np.ndarray:
    """Solve apply(x) = rhs for each row; a row stops where it meets a direction of negative curvature."""
    x, r = np.zeros_like(rhs), rhs.copy()
    p, rr = r.copy(), (r**2).sum(axis=1)
    enough = rr * np.minimum(1e-2, rr)  # far from the solution a rough direction will do
    for _ in range(_CONJUGATE_GRADIENTS):
        q = apply(p)
        curvature = (p * q).sum(axis=1)
        go = (curvature > 0) & (rr > enough)
        if not go.any():
            break
        step = np.where(go, rr / np.where(go, curvature, 1), 0)[:, None]
        x, r = x + step * p, r - step * q
        previous, rr = rr, np.where(go, (r**2).sum(axis=1), 0)
        p = r + np.where(go, rr / np.where(go, previous, 1), 0)[:, None] * p
    return x


def _starts(start: np.ndarray | None, N: int) -> np.ndarray:
    if start is None:
        return np.full((1, N), 0.5)
    start = np.atleast_2d(np.asarray(start))
    start = checks.real_array(start, (None, N), "start")
    if start.min() < 0 or start.max() > 1:
        raise ValueError(f"start must hold means in [0, 1], found values from {start.min()} to {start.max()}")
    return start


def _distinct(m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the first row of each kind, and the kind of each row."""
    first, kind = [], np.empty(len(m), int)
    for k, row in enumerate(m):
        same = np.flatnonzero(np.abs(m[first] - row).max(axis=1) < _DISTINCT) if first else []
        if len(same):
            kind[k] = same[0]
        else:
            kind[k] = len(first)
            first.append(k)
    return np.array(first), kind


def _spectrum(rbm: RBM, v: np.ndarray, h: np.ndarray, beta: float) -> np.ndarray:
    """Singular values of A = beta sqrt(v (1 - v)) W sqrt(h (1 - h)), descending."""
    A = beta * np.sqrt(v * (1 - v))[:, None] * rbm.W * np.sqrt(h * (1 - h))
    square = A.T @ A if rbm.M <= rbm.N else A @ A.T
    return np.sqrt(np.maximum(np.linalg.eigvalsh(square)[::-1], 0))


# ---------------------------------------------------------------- some of the modes
def frozen(rbm: RBM, k: int, v_mean: np.ndarray, h_mean: np.ndarray) -> tuple[RBM, float]:
    """The model in which only the k leading modes fluctuate together; the others are frozen at given means.

    In the energy, x_i y_i of a frozen mode i loses the product (x_i - <x_i>)(y_i - <y_i>): each layer feels the mean
    of the other. With W_k = sum_{i <= k} s_i U_i V_i^T and W' = W - W_k that is an RBM with

        couplings W_k,    fields a + W' <h> and b + W'^T <v>,    and the constant energy <v> W' <h>.

    Without frozen modes it is the model itself. For k = 0 units are independent; ln Z is then stationary in the
    means where these solve the mean-field equations, and has the value of the saddle there.

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
        The model, and its constant energy: at beta = 1 the ln Z of the frozen energy is that of the RBM minus it.

    Raises
    ------
    ValueError
        `k` is out of range, or a mean has the wrong shape.
    """
    checks.instance(rbm, RBM, "rbm")
    k, largest = checks.integer(k, "k", least=0), min(rbm.N, rbm.M)
    if k > largest:
        raise ValueError(f"k must be at most {largest}, the number of modes, got {k}")
    v_mean = checks.real_array(v_mean, (rbm.N,), "v_mean")
    h_mean = checks.real_array(h_mean, (rbm.M,), "h_mean")
    m = modes(rbm)
    kept = (m.U[:, :k] * m.s[:k]) @ m.V[:, :k].T
    rest = rbm.W - kept
    return RBM(kept, rbm.a + rest @ h_mean, rbm.b + rest.T @ v_mean), float(v_mean @ rest @ h_mean)


# ---------------------------------------------------------------- one mode
@dataclass(frozen=True)
class Quartic:
    """Constraint potential of one variable to fourth order; made by `quartic`, call it for its value.

        V(x) = constant + k (x - mu)^2 / 2 + c4 (x - mu)^4

    Attributes
    ----------
    mu, variance, excess : float
        Mean, variance and excess kurtosis of the variable over random states.
    k, c4, constant : float
        For a mode (unit length): 4 (1 - |excess| / 2) and 2 |excess| / 3.
    """

    mu: float
    variance: float
    excess: float

    @property
    def k(self) -> float:
        return (1 + self.excess / 2) / self.variance

    @property
    def c4(self) -> float:
        return -self.excess / 24 / self.variance**2

    @property
    def constant(self) -> float:
        return np.log(2 * np.pi * self.variance) / 2 - self.excess / 8

    def __call__(self, x: np.ndarray) -> np.ndarray:
        z2 = (np.asarray(x) - self.mu) ** 2
        return self.constant + self.k / 2 * z2 + self.c4 * z2**2


def quartic(vector: np.ndarray) -> Quartic:
    """Quartic form of -ln rho of ``vector . v``, v uniform on {0,1}^N: from its cumulants, nothing is fitted.

    Odd cumulants beyond the first vanish, the second is sum_j U_j^2 / 4 and the fourth -sum_j U_j^4 / 8. The first
    Edgeworth term then gives the potential, to first order in the excess kurtosis. The exact one is
    ``-rbmkit.reciprocal.log_density(vector, x)``.

    Parameters
    ----------
    vector : (N,) array
        A mode, e.g. ``U[:, i]``, not zero; for u or w, the pair ``[U[:, i], V[:, i]] / sqrt(2)`` joined, w with -U.
    """
    c = checks.real_array(vector, (None,), "vector")
    variance = checks.positive_float((c**2).sum() / 4, "the length of vector")
    return Quartic(mu=float(c.sum() / 2), variance=variance, excess=float(-(c**4).sum() / 8 / variance**2))


@dataclass(frozen=True, eq=False)
class ModePotential:
    """Effective potential of one mode along x, and what it gives for the whole; made by `mode_potential`.

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
    rbm: RBM, v: np.ndarray, h: np.ndarray, *, mode: int = 0, beta: float = 1.0, tilt: np.ndarray | None = None
) -> ModePotential:
    """Effective potential of one mode, all other modes frozen at the means v and h, y integrated out.

    With x' and y' of the other modes fixed, the hidden units are independent given x, and the visible ones feel fixed
    fields; the density of x = U_i . v under these is taken in the saddle-point approximation (Daniels): the tilt t
    adds t U_i to the visible fields and puts their mean at x(t). For a model of rank one nothing is frozen. Daniels'
    form is good where many units share x; at the ends of the support, where all units but one or two are decided, it
    fails, and with it `log_z` if the weight is there: in `curie_weiss(40, 40)` it is 0.06 low at beta lambda = 8, 0.6
    at 12 and 1.3 at 20.

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
        Increasing; by default 401 values that cover nearly the whole support of x, and all mean-field solutions.

    Returns
    -------
    ModePotential
    """
    checks.instance(rbm, RBM, "rbm")
    v, h = checks.real_array(v, (rbm.N,), "v"), checks.real_array(h, (rbm.M,), "h")
    m, beta = modes(rbm), checks.inverse_temperature(beta)
    i = checks.integer(mode, "mode", least=0)
    if i >= len(m.s):
        raise ValueError(f"mode must be below min(N, M) = {len(m.s)}, got {i}")
    U, V, s = m.U[:, i], m.V[:, i], m.s[i]
    field_v = beta * (rbm.a + rbm.W @ h - s * (V @ h) * U)
    centre = -field_v @ U
    ends = beta * s * np.array([V[V < 0].sum(), V[V > 0].sum()])  # the tilts of solutions lie between
    reach = max((8 + np.abs(field_v + centre * U).max()) / np.sqrt((U**4).sum()), np.abs(ends - centre).max())
    t = centre + reach * np.linspace(-1, 1, 401) if tilt is None else checks.real_array(tilt, (None,), "tilt")
    tilted = field_v + t[:, None] * U
    mean = expit(tilted)
    x, width = mean @ U, (mean * (1 - mean)) @ U**2
    log_rho = softplus(tilted).sum(axis=1) - t * x - np.log(2 * np.pi * width) / 2
    field_h = beta * (rbm.b + v @ rbm.W + s * (x - v @ U)[:, None] * V)
    counted_twice = beta * (v @ rbm.W @ h - s * (v @ U) * (V @ h))
    return ModePotential(x=x, value=counted_twice - log_rho - softplus(field_h).sum(axis=1))
