"""Many clients in the same moment, or for a while."""

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


def finish(clients):
    """Tells threads that work until they are `ended` to end; the `failure` that one met is the test's."""
    for client in clients:
        client.ended.set()
    for client in clients:
        client.join(120)
        assert not client.is_alive()
        if client.failure:
            raise client.failure
