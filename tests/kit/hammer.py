"""Requests as fast as they are answered, against a rate limit; and what it must have let through."""

import concurrent.futures
import time

import requests

from kit.server import HANG_SECONDS

LIMITED = 20


def hammer(urls, key, seconds, threads=4):
    """What passed and what was limited, of all URLs together: each when it was asked, when it was answered, and
    the answer. A machine that is busy asks slowly: it goes on until enough of them were limited."""
    deadline = time.monotonic() + seconds
    passed, limited = [], []

    def goes_on(now):
        return now < deadline or len(limited) <= LIMITED and now < deadline + HANG_SECONDS

    def work(url):
        with requests.Session() as session:
            while goes_on(asked := time.monotonic()):
                answer = session.get(url, timeout=30, headers={"Authorization": f"Bearer {key}"})
                assert answer.status_code in (200, 429), answer.text
                where = passed if answer.status_code == 200 else limited
                where.append((asked, time.monotonic(), answer))

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(threads * len(urls)) as pool:
        for future in [pool.submit(work, url) for url in urls for _ in range(threads)]:
            future.result()
    assert len(limited) > LIMITED, "it was not asked fast enough"
    return passed, limited, time.monotonic() - began


def refilled(limited, rate, burst):
    """How many must have passed at least: a bucket was empty whenever somebody was limited, and between two such
    moments that are near one another it was never full, so everything that came into it was taken."""
    count, first, last = 0, None, None
    for one in [*sorted(limited, key=lambda one: one[1]), None]:
        if first is None or one is None or one[1] - last[0] > (burst - 1) / rate:
            count += max(0, rate * (last[0] - first[1]) - 1) if first else 0
            first = one
        last = one
    return count
