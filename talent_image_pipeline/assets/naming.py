"""The names that assets, jobs and runs share: the group, the owners, the run tags.

What belongs here: constants.
What does not: the names of single assets, jobs and sensors, which stand with them.
"""

GROUP = "talent_images"
OWNERS = ["team:data"]
TRIGGER_TAG = "trigger"
TALENT_TAG = "talent_id"
#: On a run that repeats a failed batch: the run that failed, and how many runs of the batch there were before.
REPEATS_TAG = "repeats"
REPETITION_TAG = "repetition"
