"""Train the RBM with 500 hidden units that ships with the project, and bracket its likelihood along
the way.

    python data/make_rbm_mnist_500.py [FOLDER]

makes ``rbm_mnist_500.npz`` (the trained model), ``trajectory_mnist_500.npz`` (snapshots, their
likelihood and the training options) and their checksums in ``SHA256SUMS`` next to this script. The
state of the training is kept in FOLDER (default ``build/rbm_mnist_500``) after every epoch; a run
that was stopped continues from there, to the same numbers.
"""

import json
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from rbmkit import RBM, SGD, Training, ais, gibbs, mnist, raise_bound, reverse_ais
from rbmkit.data import TRAJECTORY_KIND
from rbmkit.files import write_npz, write_sums

HERE = Path(__file__).resolve().parent
EPOCHS = (0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30, 40, 60)
OPTIONS = {
    "method": "PCD",
    "steps": 5,
    "batch_size": 500,
    "chains": 500,
    "optimiser": SGD(0.1),
    "schedule": ((0, 1.0), (20, 1.0), (60, 0.0)),
    "centred": True,
}
SIGMA = 0.01
SEED = 1
TEMPERATURES = 3_000  # intervals of all annealing
CHAINS = 200  # runs of AIS and of reverse AIS
# of RAISE: test digits, and reverse runs for each
EXAMPLES = 200
RUNS = 5


def train(folder: Path, data: np.ndarray) -> Training:
    """Train to the last epoch, from the state in `folder` if there is one; snapshots of the
    model go to `folder`."""
    path = folder / "training.npz"
    start = RBM.random(784, 500, sigma=SIGMA, rng=SEED, pixel_means=data.mean(axis=0))
    training = (
        Training.resume(path, data) if path.exists() else Training(start, data, **OPTIONS, rng=SEED)
    )
    if training.update == 0:
        start.save(folder / "epoch_0.npz")
    for epoch in tqdm(sorted({*EPOCHS, *range(1, int(EPOCHS[-1]) + 1)}), desc="epochs"):
        if epoch > training.epoch:
            training.run(epoch - training.epoch, progress=False)
            if epoch in EPOCHS:
                training.rbm.save(folder / f"epoch_{epoch:g}.npz")
            training.save(path)
    return training


def bracket(rbm: RBM, chains: np.ndarray, test: np.ndarray, means: np.ndarray) -> dict[str, float]:
    """Test log-likelihood from above by AIS; from below by reverse AIS and, for the first test
    digits, by RAISE."""
    free_energy = rbm.free_energy(test)
    options = {"temperatures": TEMPERATURES, "pixel_means": means, "rng": 7}
    samples = gibbs(rbm, chains[:CHAINS], steps=1000, rng=7).v
    upper = ais(rbm, chains=CHAINS, **options)
    lower = reverse_ais(rbm, samples, **options)
    low = raise_bound(rbm, test[:EXAMPLES], chains=RUNS, **options)
    # RAISE's ln Z, so that all three speak of the whole test set
    shift = (-free_energy[:EXAMPLES] - low.value).mean()
    return {
        "free_energy": free_energy.mean(),
        "log_z_ais": upper.value,
        "log_z_ais_stderr": upper.stderr,
        "ess_ais": upper.ess,
        "log_z_reverse": lower.value,
        "log_z_reverse_stderr": lower.stderr,
        "ess_reverse": lower.ess,
        "log_z_raise": shift,
        "log_z_raise_stderr": (-free_energy[:EXAMPLES] - low.value).std(ddof=1) / np.sqrt(EXAMPLES),
    }


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    digits = mnist()
    test = digits.test[np.random.default_rng(SEED).permutation(len(digits.test))]
    training = train(folder, digits.train)
    training.rbm.save(HERE / "rbm_mnist_500.npz")
    models = [RBM.load(folder / f"epoch_{epoch:g}.npz") for epoch in EPOCHS]
    rows = []
    for epoch, rbm in zip(tqdm(EPOCHS, desc="likelihood"), models, strict=True):
        path = folder / f"bracket_{epoch:g}.json"
        if not path.exists():
            chains = (
                training.chain_states
                if epoch == EPOCHS[-1]
                else digits.train[: len(training.chain_states)]
            )
            path.write_text(json.dumps(bracket(rbm, chains, test, digits.train.mean(axis=0))))
        rows.append(json.loads(path.read_text()))
    write_npz(
        HERE / "trajectory_mnist_500.npz",
        kind=TRAJECTORY_KIND,
        epochs=np.array(EPOCHS, float),
        W=np.array([rbm.W for rbm in models], np.float16),
        a=np.array([rbm.a for rbm in models], np.float32),
        b=np.array([rbm.b for rbm in models], np.float32),
        options=np.array(json.dumps(training.options())),
        **{name: np.array([row[name] for row in rows]) for name in rows[0]},
    )
    write_sums(HERE, ["rbm_mnist_500.npz", "trajectory_mnist_500.npz"])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "build" / "rbm_mnist_500")
