"""A job by rq: `rq_job.py work` runs jobs, `rq_job.py ask` has one run and prints what came of it.

rq has no option for its keys; it reads their prefix from RQ_KEY_PREFIX when it is imported (rq 3; older ones have none).
"""

import os
import sys
import time

os.environ["RQ_KEY_PREFIX"] = os.environ["NAMESPACE"] + ":rq"

from redis import Redis
from rq import Queue, Worker


def add(a, b):
    return a + b


def ask(connection):
    queue = Queue("sums", connection=connection)
    jobs = [queue.enqueue("rq_job.add", 2, 3), queue.enqueue("rq_job.add", "a", 1)]
    for _ in range(200):
        if all(job.get_status(refresh=True) in ("finished", "failed") for job in jobs):
            break
        time.sleep(0.1)
    print("result:", jobs[0].return_value())
    print("a failure:", jobs[1].latest_result().exc_string.strip().splitlines()[-1])
    print("workers:", len(Worker.all(connection=connection)))
    queue.empty()


if __name__ == "__main__":
    connection = Redis.from_url(os.environ["REDIS_URL"])
    if sys.argv[1] == "work":
        Worker(["sums"], connection=connection).work()
    else:
        ask(connection)
