"""What a team runs to see that its policies and services are as they should be.

What belongs here: reading what lies in a tree (policies, configurations, sources) and saying what is wrong
with it, and trying what a policy's tests would notice. What does not: anything that runs while a message
passes, a bus, and printing (`cli`).
"""
