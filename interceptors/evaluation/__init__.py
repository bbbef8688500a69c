"""How right the scanner is: labelled data, scores, and the same for its peers.

What belongs here: the form of labelled data, precision and recall, and reports. What does not: what an
identifier is (`scan`), and the command's options (`cli`).
"""
