"""A trained member is measured at its checkpoints."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from rbmkit import files, reciprocal
from rbmkit.likelihood import ais, exact_log_z, raise_bound, reverse_ais
from rbmkit.model import RBM
from rbmkit.sampling import gibbs
from rbmkit.study.folder import check_of, result_of, state_of, writing
from rbmkit.study.members import Member
from rbmkit.study.protocols import (
    ANNEALING,
    EXAMPLES,
    LEADING,
    REST,
    SAMPLES,
    VECTORS,
    Protocol,
    settings,
    up_to,
)
from rbmkit.study.results import QUANTILES, STUDY_KIND
from rbmkit.study.training import resumed, saved
from rbmkit.training import Training

_ENDS = tuple(f"log_z_{end}{part}" for end in ("low", "high") for part in ("", "_stderr", "_ess"))
_ENUMERATED = 20  # units of the smaller layer up to which ln Z is exact


def measure(
    folder: Path, member: Member, protocol: Protocol, examples: np.ndarray, test: np.ndarray
) -> None:
    """Measure a trained member at its checkpoints, from the last to the first, and write its result
    file.

    The modes are followed backwards: mode i of a checkpoint is the one that becomes the i-th of the
    final model.
    """
    last = saved(folder, member, protocol)[-1]
    epochs = [*up_to(last, protocol.checkpoints(member.method))]
    fresh = protocol.start(member, examples)
    modes = None
    rows = []
    for epoch in reversed(epochs):
        training = resumed(state_of(folder, member, epoch), fresh, epoch)
        path = check_of(folder, member, epoch)
        modes, overlap = _follow(training.rbm, modes)
        if not path.exists():
            detailed = epoch == last or protocol.detailed(epoch)
            _write(path, _row(training, member, protocol, modes, overlap, examples, test, detailed))
        rows.append(files.read_npz(path, ("singular_values",), kind=STUDY_KIND))
        if not np.allclose(
            rows[-1]["singular_values"], np.sort(modes.s)[::-1], rtol=1e-5, atol=1e-6
        ):
            raise ValueError(f"{path} was measured on another model; remove it to measure again")
    rows.reverse()
    values = np.array([row["singular_values"][0] for row in rows])
    kept = [epochs[k] for k in protocol.kept(member, values)]
    models = [resumed(state_of(folder, member, epoch), fresh, epoch).rbm for epoch in kept]
    text = {"member": asdict(member), **settings(protocol), "training": fresh.options()}
    result = _models(kept, models, last, test) | {
        "epochs": np.array(epochs, float),
        "text": json.dumps(text),
    }
    result |= {name: np.array([row[name] for row in rows if name in row]) for name in rows[-1]}
    if protocol.strong:
        result["vector_epochs"] = np.array(
            [epoch for epoch, row in zip(epochs, rows) if "U" in row], float
        )
        result |= {
            name: x.astype(np.float32)
            for name, x in result.items()
            if name.startswith(("leading", "followed"))
        }
    _write(result_of(folder, member), result)


def _row(
    training: Training,
    member: Member,
    protocol: Protocol,
    modes: reciprocal.Modes,
    overlap: np.ndarray,
    examples: np.ndarray,
    test: np.ndarray,
    detailed: bool,
) -> dict:
    """All that is measured at one checkpoint."""
    rbm = training.rbm
    rng = member.rng(stage=1 + training.update)
    means = examples.mean(axis=0)
    v = gibbs(rbm, training.chain_states[: SAMPLES["chains"]], steps=SAMPLES["steps"], rng=rng).v
    states = {"data": _pairs(rbm, test[: EXAMPLES["modes"]], rng), "samples": _pairs(rbm, v, rng)}
    row = _spectrum(modes, detailed) | _free_energies(rbm, examples, test)
    options = {"temperatures": protocol.temperatures, "pixel_means": means, "rng": rng}
    equilibrium = v if member.method == "PCD" and not protocol.strong else None
    row |= _bracket(rbm, equilibrium, test, options) if detailed else dict.fromkeys(_ENDS, np.nan)
    row |= _variables(
        "leading", modes, np.argsort(-modes.s, kind="stable")[:LEADING], overlap, states
    )
    row |= _variables("followed", modes, np.arange(min(LEADING, len(modes.s))), overlap, states)
    return row | _gauge(rbm, means - 0.5, test) if protocol.strong else row


def _gauge(rbm: RBM, contrast: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
    """Leading singular values without contrast x uniform pattern; summary over hidden units of
    their mean activity."""
    rest = reciprocal.without(rbm.W, contrast, np.ones(rbm.M))
    activity = rbm.hidden_mean(test[: EXAMPLES["modes"]]).mean(axis=0)
    values = np.linalg.svd(rest, compute_uv=False)[:REST].astype(np.float32)
    return {"rest_values": values, "activity": _summary(activity[:, None])[0].astype(np.float32)}


def _follow(rbm: RBM, reference: reciprocal.Modes | None) -> tuple[reciprocal.Modes, np.ndarray]:
    modes = reciprocal.modes(rbm)
    if reference is None:
        return modes, np.ones(len(modes.s))
    found = reciprocal.match(modes, reference)
    return found.modes, found.overlap


def _spectrum(modes: reciprocal.Modes, detailed: bool) -> dict[str, np.ndarray]:
    order = np.argsort(-modes.s, kind="stable")
    vectors = {
        name: getattr(modes, name)[:, order[:VECTORS]].astype(np.float16) for name in ("U", "V")
    }
    return {"singular_values": modes.s[order].astype(np.float32)} | (vectors if detailed else {})


def _pairs(rbm: RBM, v: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """States v with a hidden state each, drawn from p(h|v)."""
    mean = rbm.hidden_mean(v)
    return v, (rng.random(mean.shape) < mean).astype(np.uint8)


def _variables(
    kind: str, modes: reciprocal.Modes, which: np.ndarray, overlap: np.ndarray, states: dict
) -> dict[str, np.ndarray]:
    """What is known of the modes `which`, and statistics of x and y over the `states`."""
    rank = np.empty(len(modes.s), int)
    rank[np.argsort(-modes.s, kind="stable")] = np.arange(len(rank))
    row = {"label": which, "rank": rank[which], "overlap": overlap[which]}
    row |= {
        name: getattr(modes, name)[which] for name in ("s", "a0", "b0", "x0", "y0", "mu_x", "mu_y")
    }
    for source, (v, h) in states.items():
        x = modes.x(v, which)
        y = modes.y(h, which)
        row |= {f"x_{source}": _summary(x), f"y_{source}": _summary(y)}
        row[f"cov_{source}"] = ((x - x.mean(axis=0)) * (y - y.mean(axis=0))).mean(axis=0)
    return {f"{kind}_{name}": array for name, array in row.items()}


def _summary(x: np.ndarray) -> np.ndarray:
    """Mean, standard deviation and `rbmkit.study.results.QUANTILES` of the columns of x (n, k),
    as (k, 7)."""
    return np.column_stack([x.mean(axis=0), x.std(axis=0), np.quantile(x, QUANTILES, axis=0).T])


def _free_energies(rbm: RBM, examples: np.ndarray, test: np.ndarray) -> dict[str, float]:
    some = {"test": test, "train": examples[: EXAMPLES["train"]]}
    return {f"free_energy_{name}": rbm.free_energy(v).mean() for name, v in some.items()}


def _bracket(
    rbm: RBM, samples: np.ndarray | None, test: np.ndarray, options: dict
) -> dict[str, float]:
    """ln Z from below by AIS and from above by reverse AIS or, without equilibrium `samples`, by
    RAISE; or exact."""
    if min(rbm.N, rbm.M) <= _ENUMERATED:
        low = high = exact_log_z(rbm), 0.0, np.inf
    else:
        found = ais(rbm, chains=ANNEALING["runs"], **options)
        low = found.value, found.stderr, found.ess
        if samples is not None:
            found = reverse_ais(rbm, samples[: ANNEALING["runs"]], **options)
            high = found.value, found.stderr, found.ess
        else:
            some = options["rng"].choice(test, min(len(test), EXAMPLES["raise"]), replace=False)
            found = raise_bound(rbm, some, chains=ANNEALING["runs"] // EXAMPLES["raise"], **options)
            log_z = -rbm.free_energy(some) - found.value
            high = log_z.mean(), log_z.std(ddof=1) / np.sqrt(len(some)), found.ess.mean()
    return dict(zip(_ENDS, (*low, *high), strict=True))


def _models(
    kept: list[float], models: list[RBM], last: float, test: np.ndarray
) -> dict[str, np.ndarray]:
    """Parameters, W in half precision: of the final model as W, a and b, of earlier ones stacked,
    with their epochs.

    `rounding` is the mean and the spread over test examples of the change of F of the final model;
    empty without one.
    """
    small = [
        {"W": m.W.astype(np.float16), "a": m.a.astype(np.float32), "b": m.b.astype(np.float32)}
        for m in models
    ]
    found = {"rounding": np.empty(0)}
    if kept and kept[-1] == last:
        change = RBM(**small[-1]).free_energy(test) - models[-1].free_energy(test)
        found = small.pop() | {"rounding": np.array([change.mean(), change.std()])}
    if small:
        found |= {f"snapshot_{name}": np.array([each[name] for each in small]) for name in small[0]}
        found["snapshot_epochs"] = np.array(kept[: len(small)], float)
    return found


def _write(path: Path, arrays: dict) -> None:
    with writing(path):
        files.write_npz(
            path, kind=STUDY_KIND, **{name: np.asarray(array) for name, array in arrays.items()}
        )
