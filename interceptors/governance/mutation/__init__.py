"""What a policy's tests would notice: the policy is weakened, one line at a time, and the tests are run.

What belongs here: what is weaker than what, how that is written into the text, and running the tests on a
copy. What does not: changing a file of the user's.
"""

from interceptors.governance.mutation.run import UNNOTICED, Outcome, try_weakenings
from interceptors.governance.mutation.weakenings import Weakening, weakenings

__all__ = ["UNNOTICED", "Outcome", "Weakening", "try_weakenings", "weakenings"]
