"""The forms that a record comes in: how each is told, shown to the scanner, and kept when a part is replaced.

What belongs here: a view for each format. What does not: what is looked for (`detectors`), and what becomes
of what was found.
"""
