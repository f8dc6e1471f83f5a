"""What we know about sick workloads, one function per situation; all are asked, the best founded answer is taken."""

from collections.abc import Callable

from incidents.analysis.context import Context
from incidents.analysis.hypothesis import Hypothesis
from incidents.analysis.rules import batch, containers, nodes, workloads

Rule = Callable[[Context], Hypothesis | None]

RULES: tuple[Rule, ...] = (*containers.RULES, *batch.RULES, *nodes.RULES, *workloads.RULES)
