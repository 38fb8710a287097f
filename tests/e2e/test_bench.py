"""`tael bench`: that it measures what it says, not how fast this machine is."""

import json

from kit.server import run_tael


def points(result):
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_ledger_measures_every_point(tmp_path):
    machine, settings, *table = points(
        run_tael("bench", "ledger", "--seconds=2", "--repeat=1", "--json", f"--data={tmp_path}")
    )
    assert machine["cores"] >= 1 and machine["build"]
    assert settings["accounts"] == 10000 and settings["sync_us"] > 0
    assert [(p["durable"], p["batch"], p["outstanding"]) for p in table] == [
        (durable, batch, outstanding)
        for durable in (False, True)
        for batch in (1, 10, 100, 1000, 8190)
        for outstanding in (1, 8 if batch == 8190 else 64)
    ]
    for point in table:
        assert point["batches_per_s"] > 0 and 0 < point["p50_ms"] <= point["p99_ms"], point
        events = point["batches_per_s"] * point["batch"]
        assert abs(point["transfers_per_s"] - events) <= point["batch"], point
    assert not list(tmp_path.iterdir())


def test_ledger_tells_of_a_folder_that_is_not_there(tmp_path):
    result = run_tael("bench", "ledger", f"--data={tmp_path}/nowhere")
    assert result.returncode == 1 and result.stderr and not result.stdout


def test_a_baseline_that_fails_is_no_number(tmp_path):
    result = run_tael(
        "bench", "ledger", "--seconds=1", "--repeat=1", "--json",
        "--baseline=/bin/false", f"--data={tmp_path}",
    )
    assert result.returncode == 1 and "/bin/false" in result.stderr
    assert not list(tmp_path.iterdir())


FIGURES = ("transfers_per_second", "p50_ms", "p99_ms", "cpu_us_per_transfer",
           "bytes_written_per_transfer", "resident_bytes", "restart_seconds")


def test_ledger_point_in_process_reads_back_what_it_wrote(tmp_path):
    words = ("bench", "ledger", f"--store=journal:{tmp_path}/l", "--batch=1000", "--json")
    (point,) = points(run_tael(
        *words, "--rows=40000", "--accounts=50", "--ids=time", "--spread=zipf", "--pending=50",
        "--reads", "--orders=account"))
    assert 40000 <= point["transfers"] < 48000  # what was under way is answered, too
    assert all(point[name] > 0 for name in FIGURES), point
    assert point["bytes_written_per_transfer"] >= 128
    assert point["lookups_per_second"] > 0 and point["last_100_per_second"] > 0
    assert point["any_100_per_second"] > 0
    (more,) = points(run_tael(*words, "--rows=2000"))  # on what is there
    assert more["transfers"] >= 2000
    checked = run_tael("ledger", "check", f"{tmp_path}/l", "--json")
    assert checked.returncode == 0, checked.stderr


def test_ledger_point_over_http(tmp_path, make_server):
    words = ("--batch=100", "--rows=5000", "--outstanding=2", "--pending=100", "--json")
    (own,) = points(run_tael("bench", "ledger", "--server", f"--data={tmp_path}", *words))
    assert own["transfers"] >= 5000 and all(own[name] > 0 for name in FIGURES), own
    assert not list(tmp_path.iterdir())
    server = make_server("--rate-limit=1000000")
    (other,) = points(run_tael("bench", "ledger", f"--url={server.url}", f"--key={server.key}", *words))
    assert other["transfers"] >= 5000 and other["restart_seconds"] is None
    # What that server uses nobody here can know.
    unknown = ("cpu_us_per_transfer", "load_share", "bytes_written_per_transfer", "resident_bytes")
    assert [other[name] for name in unknown] == [None] * len(unknown)
    text = run_tael("bench", "ledger", f"--url={server.url}", f"--key={server.key}", "--rows=10", "--batch=1")
    assert "memory" not in text.stdout and "processor" not in text.stdout, text.stdout


def test_ledger_point_names_the_option_that_is_wrong():
    for words, named in ((("--ids=odd",), "--ids"), (("--spread=odd",), "--spread"),
                         (("--server",), "--server")):
        result = run_tael("bench", "ledger", "--store=memory:", *words)
        assert result.returncode == 2 and named in result.stderr, result.stderr


def test_payments_starts_its_own_server(tmp_path):
    words = ["--seconds=1", "--repeat=1", "--connections=4", "--json", f"--data={tmp_path}"]
    _, *measured = points(run_tael("bench", "payments", *words))
    assert [one["bench"] for one in measured] == ["livez", "cards", "wallets", "qr_codes"]
    for point in measured:
        assert point["answers"] > 0 and point["bad"] == 0
        assert 0 < point["p50_ms"] <= point["p99_ms"] <= point["max_ms"]
    for payments in measured[1:]:
        assert payments["server_cpu_us"] > 0 and payments["written_bytes"] > 0
    assert not list(tmp_path.iterdir())


def test_webhooks_arrive_from_a_queue(tmp_path):
    words = ["--seconds=1", "--repeat=1", "--queue=500", "--json", f"--data={tmp_path}"]
    machine, alone, together, queue = points(run_tael("bench", "webhooks", *words))
    assert machine["cores"] >= 1
    assert [one["what"] for one in (alone, together, queue)] == [
        "customers", "customers, a webhook each", "webhooks from a queue"]
    assert alone["deliveries_per_s"] == 0 and together["deliveries_per_s"] > 0
    assert queue["count"] >= 500 - 64 and queue["per_s"] > 0 and queue["server_cpu_us"] > 0
    assert not list(tmp_path.iterdir())


def test_payments_counts_what_a_running_server_has(make_server):
    server = make_server(
        "--rate-limit=1000000",
        "--wallet-limits=basic.out=1000000/1000000000/1000000000 "
        "basic.in=1000000/1000000000/1000000000")
    words = ["--seconds=1", "--repeat=1", "--connections=2", "--json", f"--url={server.url}"]
    *_, payments = points(run_tael("bench", "payments", *words, f"--key={server.key}"))
    assert payments["answers"] > 0 and "server_cpu_us" not in payments
    shown = run_tael("payments", "list", "--limit=100", "--json", f"--url={server.url}",
                     f"--key={server.key}")
    listed = json.loads(shown.stdout)["data"]
    assert len(listed) >= min(payments["answers"], 100)
    assert all(p["status"] == "succeeded" and p["amount"] == 100 for p in listed)


def test_a_refusal_fails_the_measurement(make_server):
    server = make_server()
    words = ["--seconds=1", "--repeat=1", "--connections=2", "--json", f"--url={server.url}"]
    result = run_tael("bench", "payments", *words, "--key=sk_test_nobody")
    assert result.returncode == 1 and "Invalid API Key" in result.stderr
    assert "cards" not in result.stdout
