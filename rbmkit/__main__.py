"""Command line: ``python -m rbmkit study run FOLDER``; see ``python -m rbmkit study --help``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rbmkit.starts import METHODS
from rbmkit.study import running
from rbmkit.study.members import members
from rbmkit.study.progress import status
from rbmkit.study.protocols import DATA_SETS, PROTOCOLS


def parser() -> argparse.ArgumentParser:
    """All commands and options."""
    top = argparse.ArgumentParser(
        prog="python -m rbmkit", description="The physics of Restricted Boltzmann Machines."
    )
    study = top.add_subparsers(dest="command", required=True).add_parser(
        "study",
        help="train and measure many RBMs",
        description=running.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = study.add_subparsers(dest="action", required=True)
    run = commands.add_parser("run", help="train and measure; run it again to go on after a stop")
    state = commands.add_parser("status", help="how far a study is")
    collect = commands.add_parser(
        "collect", help="copy finished results to where rbmkit.study() reads them"
    )
    for command in (run, state):
        command.add_argument("folder", help="working folder")
        _add_members(command)
    run.add_argument(
        "--jobs", type=int, default=1, help="processes on this machine, one thread each if several"
    )
    run.add_argument(
        "--backend",
        choices=("loky", "dask"),
        default="loky",
        help="processes here, or a dask cluster",
    )
    run.add_argument(
        "--scheduler", metavar="ADDRESS", help="of the dask scheduler, e.g. tcp://127.0.0.1:8786"
    )
    collect.add_argument("folder", help="working folder")
    collect.add_argument(
        "--to",
        metavar="FOLDER",
        help="default: data/study, or data/strong for the paper's protocol",
    )
    return top


def _add_members(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--methods", nargs="+", choices=METHODS, default=METHODS, help="default: all"
    )
    command.add_argument(
        "--hidden",
        nargs="+",
        type=int,
        metavar="M",
        help="hidden units; default: those of the study",
    )
    command.add_argument(
        "--replicas", nargs="+", type=int, default=range(5), metavar="K", help="default: 0 1 2 3 4"
    )
    command.add_argument(
        "--data", choices=DATA_SETS, default="mnist", help="bars: a trial that takes seconds"
    )
    command.add_argument(
        "--protocol", choices=PROTOCOLS, default="mild", help="default: %(default)s"
    )
    command.add_argument("--epochs", type=float, help="default: those of the protocol")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = parser().parse_args(argv)
    try:
        return _do(options)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _do(options: argparse.Namespace) -> int:
    if options.action == "collect":
        for path in running.collect(options.folder, options.to):
            print(path)
        return 0
    epochs = {} if options.epochs is None else {"epochs": options.epochs}
    protocol = PROTOCOLS[options.protocol](data=options.data, **epochs)
    wanted = members(options.methods, options.hidden, options.replicas)
    if options.action == "run":
        engine = {"jobs": options.jobs, "backend": options.backend, "scheduler": options.scheduler}
        running.run(options.folder, wanted, protocol, **engine)
    for name, (done, total) in status(options.folder, wanted, protocol).items():
        print(f"{name:14} {done / total:5.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
