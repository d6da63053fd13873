"""A job by Celery: `celery_job.py work` runs jobs, `celery_job.py ask` has some run and prints what came of them.

Its keys and channels get their prefix from `global_keyprefix`, for the broker and for the results.
"""

import os
import sys
import threading

from celery import Celery, chord

options = {"global_keyprefix": os.environ["NAMESPACE"] + ":"}
app = Celery(
    "celery_job",
    broker=os.environ["REDIS_URL"],
    backend=os.environ["REDIS_URL"],
    broker_transport_options=options,
    result_backend_transport_options=options,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@app.task(name="add")
def add(a, b):
    return a + b


@app.task(name="total")
def total(numbers):
    return sum(numbers)


def first_event(seen, ready):
    """What `celery events` and Flower do: they watch everything."""
    with app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers={"task-succeeded": seen.append})
        with receiver.consumer_context():
            ready.set()
            try:
                for _ in receiver.consume(limit=None, timeout=20):
                    if seen:
                        return
            except TimeoutError:
                pass


def ask():
    seen, ready = [], threading.Event()
    watcher = threading.Thread(target=first_event, args=(seen, ready), daemon=True)
    watcher.start()
    ready.wait(20)
    print("result:", add.delay(2, 3).get(timeout=30))
    print("chord:", chord([add.s(1, 1), add.s(2, 2)])(total.s()).get(timeout=30))
    print("later:", add.apply_async((4, 5), countdown=1).get(timeout=30))
    print("workers:", len(app.control.ping(timeout=2)))
    watcher.join(20)
    print("events:", "seen" if seen else "none")


if __name__ == "__main__":
    if sys.argv[1] == "work":
        app.worker_main(["worker", "--pool=solo", "--loglevel=warning", "--task-events", "--hostname=" + os.environ["NAMESPACE"]])
    else:
        ask()
