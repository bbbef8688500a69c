"""What is in a payload that should not be there.

What belongs here: detectors and their validators, the engines that look for all of them at once, the formats
that bodies come in, and findings, which never hold what was found. What does not: what a finding leads to
(`policy`, `pipeline`), and reading files or topics (`scanning`).
"""

from interceptors.scan.detector import Detector, Rule, after_word, checked
from interceptors.scan.detectors import DETECTORS
from interceptors.scan.engine import StdlibEngine
from interceptors.scan.engines import best_engine
from interceptors.scan.fields import Fields, fields
from interceptors.scan.finding import Finding, Unscanned, Validation
from interceptors.scan.formats.paths import member
from interceptors.scan.formats.view import Edit, spliced
from interceptors.scan.identifiers import check_pattern, declared
from interceptors.scan.inspection import Format, Inspection, Inspector, Limits
from interceptors.scan.places import Paths, check_path, path_matches
from interceptors.scan.scanner import OWN_TRACE_ID
from interceptors.scan.token import Token, is_token, parse_token
from interceptors.scan.treatment import Treatment

__all__ = [
    "DETECTORS",
    "OWN_TRACE_ID",
    "Detector",
    "Edit",
    "Fields",
    "Finding",
    "Format",
    "Inspection",
    "Inspector",
    "Limits",
    "Paths",
    "Rule",
    "StdlibEngine",
    "Token",
    "Treatment",
    "Unscanned",
    "Validation",
    "after_word",
    "best_engine",
    "check_path",
    "check_pattern",
    "checked",
    "declared",
    "fields",
    "is_token",
    "member",
    "parse_token",
    "path_matches",
    "spliced",
]
