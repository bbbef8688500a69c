"""What is wrong in a project: its policies, its configurations, and its Python sources.

What belongs here: rules, a module for each family of them, what they are asked about, and how findings are
told. What does not: running or importing what is checked; a source is only ever parsed. No finding shows more
of a file than a name.
"""

from interceptors.governance.checks.baseline import Baseline
from interceptors.governance.checks.finding import Finding, Rule, Severity
from interceptors.governance.checks.job import RULES, check_paths
from interceptors.governance.checks.report import Form, report

__all__ = ["RULES", "Baseline", "Finding", "Form", "Rule", "Severity", "check_paths", "report"]
