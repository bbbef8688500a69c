"""What is in a payload that should not be there.

What belongs here: detectors and their validators, the engines that look for all of them at once, the formats
that bodies come in, and findings, which never hold what was found. What does not: what a finding leads to
(`policy`, `pipeline`), and reading files or topics (`cli`).
"""
