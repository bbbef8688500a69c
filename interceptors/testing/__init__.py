"""The fakes that this project's own tests and demonstration run on, shipped for yours.

What belongs here: stand-ins that implement a real interface, so that what passes on them passes on the real
thing; each in its own module, imported by its name. What does not: assertions about this library (they are
in `tests/`), and anything that a program in production would need.
"""
