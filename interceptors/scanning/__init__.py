"""Scanning what lies still: files, standard input and topics.

What belongs here: where records come from and how findings are told. What does not: what an identifier is
(`scan`), the command's options (`cli`), and messages on their way (`pipeline`).
"""
