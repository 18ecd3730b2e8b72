"""The names that assets, jobs and runs share: the group, the owners, the run tags.

What belongs here: constants.
What does not: the names of single assets, jobs and sensors, which stand with them.
"""

GROUP = "talent_images"
OWNERS = ["team:data"]
TRIGGER_TAG = "trigger"
TALENT_TAG = "talent_id"
