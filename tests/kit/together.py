"""Many clients in the same moment."""

import threading


def at_once(acts):
    """Runs them all in the same moment; answers what each returned."""
    start = threading.Barrier(len(acts))
    results = [None] * len(acts)

    def run(index):
        start.wait(30)
        results[index] = acts[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert all(result is not None for result in results)
    return results
