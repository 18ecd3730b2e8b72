"""The base of every error that a person can mend: a wrong setting, a missing right, a port that is taken.

The command line prints its message and nothing else, and the service and Dagster repeat it as it stands. A defect of
ours is never one of these: it keeps its traceback.
"""


class UserError(Exception):
    """Something that a person can mend.

    The message names what is wrong and says what to do about it, in one to three lines, and holds no secret.
    """
