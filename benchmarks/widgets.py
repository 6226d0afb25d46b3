"""How fast explorers answer: from the change of a control to the new picture. Goal: 0.2 s.

    python benchmarks/widgets.py            # about a minute on 2 quiet cores

Every control of every explorer is moved through values over its whole range, after one move that
does not count; buttons are pressed three times. This is the time in the kernel; the browser adds
some milliseconds.
"""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "agg")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from rbmkit.explorers import EXPLORERS
from rbmkit.explorers.live import Live
from tools import frames

GOAL = 0.2


def seconds(action, *arguments):
    start = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - start


def answers(explorer):
    """Seconds per change of a control, or per press of a button."""
    box = explorer.box()
    times = []
    for button in (widget for widget in walk(box) if hasattr(widget, "click")):
        button.click()
        times += [seconds(button.click) for _ in range(3)]
    if explorer.buttons:
        return times
    for control, widget in zip(explorer.controls.values(), box.children):
        values = frames.choices(control, 6)
        moves = [seconds(setattr, widget, "value", value) for value in values + values[:1]]
        times += moves[1:]
    return times


def walk(widget):
    """A widget and all that it holds."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk(child)


def main():
    slow = []
    print("| explorer | controls | changes | median, s | 90 %, s | longest, s |")
    print("|---|---|---|---|---|---|")
    for name, make in EXPLORERS.items():
        explorer = make()
        if isinstance(explorer, Live):
            continue  # it asks no kernel
        times = answers(explorer)
        median, most, longest = np.quantile(times, [0.5, 0.9, 1.0])
        row = [name, ", ".join(explorer.controls), len(times)]
        row += [f"{median:.3f}", f"{most:.3f}", f"{longest:.3f}"]
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
        if most > GOAL:
            slow.append(name)
    verdict = "FAIL, " + ", ".join(slow) if slow else "pass"
    print(f"\ngoal, 90 % of the answers within {GOAL} s: {verdict}")


if __name__ == "__main__":
    main()
