"""The names that assets, jobs and runs share: assets, group, owners, run tags.

What belongs here: constants.
What does not: the names of jobs and sensors, which stand with them.
"""

GROUP = "talent_images"
OWNERS = ["team:data"]
CANDIDATES = "candidate_talents"
RESOLVED = "resolved_profile_images"
TRIGGER_TAG = "trigger"
TALENT_TAG = "talent_id"
#: On a run that repeats a failed batch: the run that failed, and how many runs of the batch there were before.
REPEATS_TAG = "repeats"
REPETITION_TAG = "repetition"


def platform_asset(platform: str) -> str:
    """Return the name of a platform's asset."""
    return f"{platform}_images"
