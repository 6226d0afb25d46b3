"""The study behind the figures: RBMs of four sizes and three training methods, five replicas each.

`rbmkit.study.members` says who is in it, `rbmkit.study.protocols` how they are trained, and
`rbmkit.study.running` how to run it. `rbmkit.study.results` reads what was found.
"""

from rbmkit.study.results import ModePaths, Statistics, Study, study

__all__ = ["ModePaths", "Statistics", "Study", "study"]
