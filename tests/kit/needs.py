"""What a test needs of the machine that it runs on, and is skipped without."""

import pytest

from kit import postgres

HINT = "PostgreSQL is not installed: apt-get install postgresql-15"

needs_postgres = pytest.mark.skipif(not postgres.available(), reason=HINT)


def skip_without_postgres():
    if not postgres.available():
        pytest.skip(HINT)
