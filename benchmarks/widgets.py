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

from tools import frames, series

GOAL = 0.2


def seconds(action, *arguments):
    start = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - start


def answers(box):
    """Seconds per change of a control of one explorer."""
    times = []
    for widget in walk(box):
        if hasattr(widget, "click"):
            widget.click()
            times += [seconds(widget.click) for _ in range(3)]
        elif hasattr(widget, "observe") and any(
            widget is control for control in box.controls.values()
        ):
            values = frames.choices(widget, 6)
            times += [seconds(setattr, widget, "value", value) for value in values + values[:1]][1:]
    return times


def walk(widget):
    """A widget and all that it holds."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk(child)


def main():
    slow = []
    print(
        "| notebook, explorer | controls | changes | median, s | 90 %, s | longest, s "
        "|\n|---|---|---|---|---|---|"
    )
    for name in series.names():
        for k, box in enumerate(series.explorers(name), start=1):
            times = np.array(answers(box))
            median = np.median(times)
            most = np.quantile(times, 0.9)
            longest = times.max()
            controls = ", ".join(box.controls)
            print(
                f"| {name} {k} | {controls} | {len(times)} | {median:.3f} | {most:.3f} | "
                f"{longest:.3f} |",
                flush=True,
            )
            slow += [f"{name} {k}"] if most > GOAL else []
    print(
        f"\ngoal, 90 % of the answers within {GOAL} s: "
        f"{'FAIL, ' + ', '.join(slow) if slow else 'pass'}"
    )


if __name__ == "__main__":
    main()
