"""Programs that some tests need and Python's package index does not have: found, or plainly reported as missing.

What belongs here: finding them. What does not: running them.
"""

import os
import shutil

import pytest

#: Set where every program is installed: a missing one fails there, so that a green run has looked at everything.
REQUIRE_ALL = "TALENT_TESTS_REQUIRE_ALL_PROGRAMS"


def find_program(name: str, *, what_for: str) -> str:
    """Return a program's path; without it the test is reported as not run, or fails where all are required.

    Args:
        name: As Debian names the executable.
        what_for: What is not tested without it.
    """
    found = shutil.which(name)
    if found is not None:
        return found
    message = f"not run: {name} is not installed, so {what_for} was not tried"
    if os.environ.get(REQUIRE_ALL):
        pytest.fail(message)
    pytest.skip(message)
