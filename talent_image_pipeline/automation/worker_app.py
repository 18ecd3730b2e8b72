"""What ``celery -A talent_image_pipeline.automation.worker_app worker`` runs: see ``warm_workers.py``.

What belongs here: the app under the name that Celery looks for. It is made when a worker starts, and by nobody else.
"""

import dagster as dg

from talent_image_pipeline.automation.warm_workers import build_worker_app

app = build_worker_app(dg.DagsterInstance.get())
