"""Whether a number is one of its kind: check digits, checksums and the ranges that are issued.

What belongs here: pure functions from a text to yes or no, total for any ASCII text, each with the standard
that it follows. What does not: where in a message a text lies (`detectors`).
"""
