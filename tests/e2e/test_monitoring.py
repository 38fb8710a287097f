"""What operators see: health, log level, metrics; with Prometheus itself as the one who reads them."""

import concurrent.futures
import json
import math
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest
import requests

from kit.card_host import CardHost
from kit.certificates import make_certificate
from kit.client import Http
from kit.gateway import Gateway, before
from kit.hung import hung_thread
from kit.ports import free_port
from kit.receiver import Receiver
from kit.server import CARD_HOST, ROOT, operators_in, wait_until

MONITORING = ROOT / "deploy" / "monitoring"
ALERTS = MONITORING / "alerts.yaml"
DASHBOARD = MONITORING / "dashboard.json"
RUNBOOK = ROOT / "docs" / "operations" / "alerts.md"


def admin_url(server):
    return operators_in(server.output_path)


LOOKS_INTO_PROCESS = True  # its listeners and what it keeps in memory


WATCHED = ("--admin-listen=127.0.0.1:0", "--webhook-test-retry-first=10ms",
           "--webhook-test-retry-max=20ms", "--webhook-test-retry-for=50ms")


@pytest.fixture
def watched(make_server):
    return make_server(*WATCHED)


@pytest.fixture
def card_host(tmp_path):
    made = None if CARD_HOST else CardHost(tmp_path / "host").start()
    yield made
    if made is not None:
        made.stop()


@pytest.fixture
def networked(card_host, make_server):
    """The same with a card network of its own, so that there is something of everything to see."""
    if card_host is None:
        return make_server(*WATCHED)
    server = make_server(*WATCHED, *card_host.server_flags, start=False)
    server.network_data = card_host.folder
    return server.start()


def pay(server, amount=700):
    answer = Http(server).post("/v1/payment_intents", data={
        "amount": amount, "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def series(url):
    text = requests.get(url + "/metrics", timeout=30).text
    return {name: float(value) for name, value in
            re.findall(r"^([a-z_]+(?:\{[^}]*\})?) ([0-9.e+-]+)$", text, re.MULTILINE)}


# ---- health --------------------------------------------------------------------------------


def test_health_says_what_it_means(watched):
    url = admin_url(watched)
    for at in (url, watched.url):
        for path, word in (("livez", "alive"), ("healthz", "alive"), ("readyz", "ready"),
                           ("startupz", "started")):
            answer = requests.get(f"{at}/{path}", timeout=60)
            assert (answer.status_code, answer.text) == (200, word + "\n")
            assert requests.post(f"{at}/{path}", timeout=60).status_code == 404


def test_draining_is_alive_and_not_ready(make_server):
    """From SIGTERM on it says that it is not ready, and for drain-delay serves whoever still comes."""
    server = make_server("--drain-delay=5s")
    first = pay(server)
    server.process.send_signal(signal.SIGTERM)
    said = wait_until(lambda: not_ready(server.url), 10, "503 of /readyz")
    assert said == "not ready: draining\n"
    assert requests.get(server.url + "/livez", timeout=60).status_code == 200
    assert requests.get(server.url + "/startupz", timeout=60).status_code == 200
    second = pay(server)
    assert server.process.wait(30) == 0
    server.process = None
    server.start()
    for intent in (first, second):
        assert Http(server).get(f"/v1/payment_intents/{intent['id']}").json()["status"] == "succeeded"


def test_hung_public_sockets_are_not_alive(watched):
    """Operators' own listener has another thread: it must notice, or nobody restarts the process."""
    def said():
        answer = requests.get(admin_url(watched) + "/livez", timeout=60)
        return answer.text if answer.status_code == 503 else None

    with hung_thread(watched.process, "net"):
        text = wait_until(said, 30, "503 of /livez")
        assert re.fullmatch(r"not alive: the net loop has not turned for \d\d s\n", text)
        assert series(admin_url(watched))['tael_loop_delay_seconds{loop="net"}'] > 10
    wait_until(lambda: said() is None, 10, "200 of /livez")
    assert requests.get(watched.url + "/livez", timeout=60).status_code == 200


def not_ready(url):
    answer = requests.get(url + "/readyz", timeout=60)
    return answer.text if answer.status_code == 503 else None


@pytest.mark.parametrize("how", ["connection", "forwarded", "none"])
def test_an_address_that_does_not_go_with_the_setting_is_told_once(make_server, how):
    server = make_server(f"--client-address={how}")
    http, chain = Http(server), {"X-Forwarded-For": "198.51.100.7"}
    for headers in ({}, {}, chain, chain):
        assert http.get("/v1/balance", headers=headers).status_code == 200
    said = [json.loads(line) for line in server.log().splitlines() if "client-address may be wrong" in line]
    fits = how == "none" or (how == "forwarded" and server.gateway)
    assert [line["why"].startswith(f"it is {how}, ") for line in said] == ([] if fits else [True])


# ---- log level -----------------------------------------------------------------------------


def test_log_level_changes_while_it_runs(watched):
    url = admin_url(watched) + "/log-level"
    assert requests.get(url, timeout=60).text == "info\n"
    for body, level in (("error", "error"), ("level=warning", "warning"), ("debug\n", "debug")):
        answer = requests.put(url, data=body, timeout=60)
        assert (answer.status_code, answer.text) == (200, level + "\n")
        assert requests.get(url, timeout=60).text == level + "\n"
    assert '"message":"the log level was changed","level":"debug"' in watched.log()


@pytest.mark.parametrize("body,says", [
    ("loud", "level: 'loud' is none of debug, info, warning, error"),
    ("Info", "level: 'Info' is none of debug, info, warning, error"),
    ("level=", "level: the body is empty; it is none of debug, info, warning, error"),
    ("", "level: the body is empty; it is none of debug, info, warning, error"),
    ("x" * 100, f"level: '{'x' * 40}' is none of debug, info, warning, error"),
])
def test_bad_log_level_is_told_and_changes_nothing(watched, body, says):
    url = admin_url(watched) + "/log-level"
    answer = requests.put(url, data=body, timeout=60)
    assert (answer.status_code, answer.text) == (400, says + "\n")
    assert requests.get(url, timeout=60).text == "info\n"


def test_log_level_is_for_operators_only(watched):
    assert requests.get(watched.url + "/log-level", timeout=60).status_code == 404
    assert requests.put(watched.url + "/log-level", data="debug", timeout=60).status_code == 404
    answer = requests.post(admin_url(watched) + "/log-level", data="debug", timeout=60)
    assert answer.status_code == 405 and answer.headers["Allow"] == "GET, HEAD, PUT"


def test_a_page_in_a_browser_changes_nothing(watched):
    """Its requests name the page that they come from."""
    url = admin_url(watched)
    page = {"Origin": "http://evil.example"}
    for method, path in (("PUT", "/log-level"), ("POST", "/transactions"), ("POST", "/merchants")):
        answer = requests.request(method, url + path, data="debug", headers=page, timeout=60)
        assert answer.status_code == 403 and "browser" in answer.text, path
    assert requests.get(url + "/log-level", headers=page, timeout=60).text == "info\n"


def test_whoever_comes_through_a_proxy_of_this_machine_watches_nothing(make_server):
    """Without an operators' listener this machine may watch; a proxy on it is not who asks."""
    server = make_server()
    url = server.metrics_urls()[0]
    for path in ("/metrics", "/ledger/head", "/api/v2/traces"):
        assert requests.get(url + path, timeout=60).status_code == 200, path
        for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
            answer = requests.get(url + path, headers={name: "for=203.0.113.7"}, timeout=60)
            assert answer.status_code == 404, (path, name)
    assert requests.get(url + "/livez", headers={"Via": "1.1 a"}, timeout=60).status_code == 200


# ---- metrics -------------------------------------------------------------------------------


def test_what_happens_is_counted(watched):
    url = admin_url(watched)
    before = series(url)
    for _ in range(3):
        pay(watched)
    assert Http(watched).get("/v1/payment_intents/pi_x").status_code == 404
    after = series(url)

    def grown(name):
        return after[name] - before.get(name, 0)

    post = 'route="/v1/payment_intents",method="POST"'
    assert grown(f'tael_http_requests_total{{{post},status_class="2xx"}}') == 3
    assert grown(f'tael_http_requests_total{{{post},status_class="5xx"}}') == 0
    assert grown('tael_http_requests_total{route="/v1/payment_intents/:id",method="GET",'
                 'status_class="4xx"}') == 1
    assert grown(f"tael_http_request_duration_seconds_count{{{post}}}") == 3
    assert grown(f'tael_http_request_duration_seconds_bucket{{{post},le="+Inf"}}') == 3
    assert grown('tael_http_answers_total{status="404"}') == 1
    assert grown("tael_journal_sync_seconds_count") >= 3
    assert grown("tael_ledger_commit_seconds_count") >= 3
    assert grown("tael_ledger_group_requests_sum") >= 3
    assert grown("tael_document_apply_seconds_count") >= 3
    assert grown("tael_document_sync_seconds_count") >= 3
    assert grown("tael_document_group_operations_sum") >= 3
    assert grown("tael_journal_written_bytes_total") >= 3 * 4096
    assert after["tael_ready"] == 1
    assert after["process_open_fds"] > 10
    assert time.time() - 3600 < after["process_start_time_seconds"] <= time.time() + 2


def test_promtool_finds_nothing_to_say(watched):
    pay(watched)
    text = requests.get(admin_url(watched) + "/metrics", timeout=30).content
    result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                            timeout=60, check=False)
    assert result.returncode == 0 and not result.stderr + result.stdout, result.stderr
    broken = text.replace(b"tael_http_requests_total", b"tael_httpRequests")
    assert subprocess.run(["promtool", "check", "metrics"], input=broken, capture_output=True,
                          timeout=60, check=False).returncode != 0


# ---- alert rules ---------------------------------------------------------------------------

# For each alert: series that must fire it, in promtool's notation, one value a minute.
FIRES = {
    "TaelDown": ['up{job="tael-gateway"} 0x30'],
    "TaelNotReady": ["tael_ready 0x30"],
    "TaelShardMissing": ['tael_shards_ready{shard="a"} 0x30'],
    "TaelRestarts": ['process_start_time_seconds{job="tael"} 0+1x30'],
    "TaelErrors": ['tael_http_requests_total{status_class="5xx"} 0+2x30',
                   'tael_http_requests_total{status_class="2xx"} 0+98x30'],
    "TaelSlow": ['tael_http_request_duration_seconds_bucket{le="1"} 0+1x30',
                 'tael_http_request_duration_seconds_bucket{le="5"} 0+50x30',
                 'tael_http_request_duration_seconds_bucket{le="+Inf"} 0+50x30'],
    "TaelSheds": ["tael_net_shed_requests_total 0+5x30", "tael_net_shed_memory_total 0x30",
                  "tael_net_over_limit_total 0x30", "tael_net_gave_way_total 0x30",
                  "tael_ledger_busy_total 0x30"],
    "TaelLoopLate": ['tael_loop_delay_seconds{loop="resource"} 3x30'],
    "TaelCertificateExpires": ['tael_certificate_expires_timestamp_seconds{use="api"} 600000x30'],
    "TaelBooksDiffer": ["tael_wallet_differences 1x30"],
    "TaelReconcilerStopped": [
        'tael_reconcile_runs_total{job="tael",instance="a"} 5x400',
        'tael_reconcile_runs_total{job="tael",instance="b"} 0x400',
        'process_start_time_seconds{job="tael",instance="a"} 0x400',
        'process_start_time_seconds{job="tael",instance="b"} 18000x400'],
    "TaelAttemptStuck": ["tael_attempt_oldest_seconds 1000x30"],
    "TaelSuspenseOpen": ["tael_suspense_open 1x30"],
    "TaelRefundStuck": ["tael_refund_oldest_seconds 700000x30"],
    "TaelPayoutStuck": ["tael_payout_oldest_seconds 300000x30"],
    "TaelPayoutsFail": ["tael_payouts_failed_total 0+1x30", "tael_payouts_paid_total 0x30"],
    "TaelDisputeDue": ["tael_disputes_due_soon 1x30"],
    "TaelDisputeUnplaced": ["tael_disputes_unplaced 1x30"],
    "TaelParticipantStuck": ["tael_participant_transactions_stuck 1x30"],
    "TaelCardsUnknown": ["tael_cards_unknown_total 0+10x30", "tael_cards_sent_total 0+100x30"],
    "TaelCardNetworkDown": ["tael_network_signed_on 0x30"],
    "TaelCardNetworkNotices": ["tael_network_notices_refused_total 0+1x30"],
    "TaelLedgerFailed": ["tael_ledger_healthy 0x30"],
    "TaelLedgerFull": ["tael_ledger_full_total 0+1x30"],
    "TaelTransactionsInDoubt": ["tael_txn_oldest_seconds 40x30"],
    "TaelDiskFails": ["tael_document_failures_total 0+1x30"],
    "TaelDiskSlow": ['tael_journal_sync_seconds_bucket{le="0.1"} 0+1x30',
                     'tael_journal_sync_seconds_bucket{le="1"} 0+50x30',
                     'tael_journal_sync_seconds_bucket{le="+Inf"} 0+50x30'],
    "TaelClockJumped": ["tael_ledger_clock_alarms_total 0 0 1x28"],
    "TaelFilesShort": ['process_open_fds{job="tael"} 95x30', 'process_max_fds{job="tael"} 100x30'],
    "TaelOutboxLags": ["tael_outbox_lag_seconds 100x30"],
    "TaelWebhooksOverdue": ["tael_webhook_overdue_seconds 400x30"],
    "TaelWebhooksGivenUp": ["tael_webhook_given_up_total 0 0 1x28"],
    "TaelDocumentsDamaged": ["tael_document_damaged_total 0 0 1x28"],
    "TaelWebhooksDamaged": ["tael_webhook_damaged_total 0 0 1x28"],
    "TaelWebhookKeyMissing": ["tael_webhook_key_missing 1x30"],
    "TaelSecretsUnreadable": ["tael_vault_cards_unreadable 0x5 1x25"],
    "TaelLogDropped": ["tael_log_lines_dropped_total 0+1x30"],
    "TaelGatewayNotReady": ["tael_gateway_ready 0x30"],
    "TaelGatewayUpstreamDown": ['tael_gateway_upstream_endpoints_usable{upstream="api"} 0x30'],
    "TaelGatewayEndpointsUnhealthy": ['tael_gateway_upstream_endpoints{upstream="api"} 3x30',
                                      'tael_gateway_upstream_endpoints_usable{upstream="api"} 2x30'],
    "TaelGatewayCircuitOpen": ['tael_gateway_upstream_breaker_state{upstream="api"} 2x30',
                               'tael_gateway_upstream_breaker_opened_total{upstream="api"} 0x30'],
    "TaelGatewayErrors": ['tael_gateway_requests_total{status="5xx"} 0+2x30',
                          'tael_gateway_requests_total{status="2xx"} 0+98x30'],
    "TaelGatewaySlow": ['tael_gateway_request_duration_seconds_bucket{le="1"} 0+1x30',
                        'tael_gateway_request_duration_seconds_bucket{le="2.5"} 0+50x30',
                        'tael_gateway_request_duration_seconds_bucket{le="+Inf"} 0+50x30'],
    "TaelGatewaySheds": ['tael_gateway_shed_total{upstream="api",class="search"} 0+5x30',
                         "tael_gateway_busy_requests_total 0x30", "tael_gateway_busy_memory_total 0x30",
                         "tael_gateway_over_limit_total 0x30", "tael_gateway_gave_way_total 0x30"],
    "TaelGatewayLimits": ['tael_gateway_verdicts_total{verdict="limited_rate"} 0+20x30',
                          'tael_gateway_verdicts_total{verdict="forwarded"} 0+80x30'],
    "TaelGatewayLimitsApart": ["tael_gateway_redis_connected 0x30", "tael_gateway_redis_fallbacks_total 0x30"],
    "TaelGatewayEndpointsUnknown": ['tael_gateway_upstream_source_errors_total{upstream="api"} 0+6x30'],
    "TaelGatewayReloadFailed": ["tael_gateway_last_reload_successful 0x30"],
    "TaelGatewayCertificateExpires": ['tael_gateway_certificate_expires_timestamp_seconds{listener="a"} 600000x30'],
    "TaelGatewayLogDropped": ["tael_gateway_log_lines_dropped_total 0+1x30"],
}


def alert_names():
    return re.findall(r"^ +- alert: (\w+)$", ALERTS.read_text(), re.MULTILINE)


def case(alert, lines, minutes, firing):
    return {
        "interval": "1m",
        "input_series": [dict(zip(("series", "values"), line.split(" ", 1))) for line in lines],
        "promql_expr_test": [{
            "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
            "eval_time": f"{minutes}m",
            "exp_samples": [{"labels": "{}", "value": 1 if firing else 0}],
        }],
    }


# What several processes of one installation show when all is well: a ledger has a standby, and of the servers on a
# database one compares the books, and makes the deliveries, for all.
WELL = {
    "TaelNotReady": ['tael_ready{instance="b"} 0x400', 'tael_standby{instance="b"} 1x400',
                     'tael_ready{instance="a"} 1x400', 'tael_standby{instance="a"} 0x400'],
    "TaelSheds": ['tael_ledger_busy_total{instance="b"} 0+9x400', 'tael_standby{instance="b"} 1x400'],
    "TaelLedgerFailed": ['tael_ledger_healthy{instance="b"} 0x400', 'tael_standby{instance="b"} 1x400'],
    "TaelReconcilerStopped": ['tael_reconcile_runs_total{job="tael",instance="a"} 0+1x400',
                              'tael_reconcile_runs_total{job="tael",instance="b"} 0x400',
                              'process_start_time_seconds{job="tael",instance="a"} 0x400',
                              'process_start_time_seconds{job="tael",instance="b"} 0x400'],
    # A payment in fifty is beyond its key's limit, and two answers in a thousand are errors.
    "TaelGatewayLimits": ['tael_gateway_verdicts_total{verdict="limited_rate"} 0+2x400',
                          'tael_gateway_verdicts_total{verdict="forwarded"} 0+98x400'],
    "TaelGatewayErrors": ['tael_gateway_requests_total{status="5xx"} 0+2x400',
                          'tael_gateway_requests_total{status="2xx"} 0+998x400'],
    # One that came and is looked at again is no endpoint that is down.
    "TaelGatewayEndpointsUnhealthy": ['tael_gateway_upstream_endpoints{upstream="api"} 3x24 4x376',
                                      'tael_gateway_upstream_endpoints_usable{upstream="api"} 3x26 4x374'],
}


# Of several processes each has the metrics of its roles: an alert that puts two of them together has to fire without one.
ALONE = {
    "TaelSheds": ["tael_net_shed_requests_total", "tael_net_shed_memory_total", "tael_net_over_limit_total",
                  "tael_ledger_busy_total", "tael_internal_shed_total", "tael_cards_busy_total"],
    "TaelBooksDiffer": ["tael_differences", "tael_wallet_differences"],
    "TaelAttemptStuck": ["tael_attempt_oldest_seconds", "tael_wallet_attempt_oldest_seconds"],
    "TaelPayoutStuck": ["tael_payout_oldest_seconds", "tael_wallet_withdrawal_oldest_seconds"],
    "TaelDiskFails": ["tael_journal_failures_total", "tael_document_failures_total"],
    "TaelGatewaySheds": ["tael_gateway_shed_total", "tael_gateway_busy_requests_total",
                         "tael_gateway_busy_memory_total", "tael_gateway_over_limit_total",
                         "tael_gateway_gave_way_total"],
    "TaelGatewayCircuitOpen": ["tael_gateway_upstream_breaker_opened_total"],
    "TaelGatewayLimitsApart": ["tael_gateway_redis_fallbacks_total"],
    "TaelSecretsUnreadable": ["tael_webhook_secrets_unreadable", "tael_vault_cards_unreadable"],
}


# What their series show when all is well; the others' show 0.
ONE_IS_WELL = {"TaelDown", "TaelNotReady", "TaelShardMissing", "TaelLedgerFailed", "TaelGatewayNotReady",
               "TaelGatewayUpstreamDown", "TaelGatewayLimitsApart", "TaelGatewayReloadFailed",
               "TaelCardNetworkDown"}
LONG_AFTER = {"TaelCertificateExpires", "TaelGatewayCertificateExpires"}


def test_every_alert_fires_and_only_then(tmp_path):
    names = alert_names()
    assert sorted(names) == sorted(FIRES)
    shutil.copyfile(ALERTS, tmp_path / "alerts.yaml")
    tests = []
    for name, lines in FIRES.items():
        minutes = 390 if name == "TaelReconcilerStopped" else 29
        tests.append(case(name, lines, minutes, True))
        # Nothing was counted, nothing is late, nobody is down: nothing fires.
        good = "700000" if name in LONG_AFTER else "1" if name in ONE_IS_WELL else "0"
        tests.append(case(name, [f"{line.split(' ', 1)[0]} {good}x400" for line in lines
                                 if name != "TaelReconcilerStopped"], minutes, False))
    tests += [case(name, lines, 390, False) for name, lines in WELL.items()]
    tests += [case(name, [f"{one} 0+100000x30"], 29, True) for name, all_of_it in ALONE.items() for one in all_of_it]
    (tmp_path / "tests.yaml").write_text(json.dumps(
        {"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": tests}))
    subprocess.run(["promtool", "check", "rules", tmp_path / "alerts.yaml"], check=True, timeout=60)
    result = subprocess.run(["promtool", "test", "rules", tmp_path / "tests.yaml"],
                            capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_alerts_of_the_gateway_ask_for_what_it_counts(tmp_path):
    certificate, key = make_certificate(tmp_path, "gateway")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        config = before(nobody.getsockname()[1], redis={"address": f"127.0.0.1:{nobody.getsockname()[1]}"}, listeners=[
            {"address": "127.0.0.1:0", "certificate": str(certificate), "key": str(key)}])
        gateway = Gateway(tmp_path / "gateway", config).start()
        try:
            counted = set(re.findall(r"^(\w+)[{ ]", gateway.admin("/metrics").text, re.MULTILINE))
        finally:
            gateway.stop()
    asked = set(re.findall(r"\btael_gateway_\w+", ALERTS.read_text()))
    assert len(asked) > 15 and not asked - counted


def test_every_alert_has_its_page():
    text = ALERTS.read_text()
    headings = set(re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE))
    assert headings == set(alert_names())
    urls = re.findall(r"runbook_url: (\S+)", text)
    assert urls == [f"docs/operations/alerts.md#{name.lower()}" for name in alert_names()]


# ---- Prometheus itself ---------------------------------------------------------------------


class Prometheus:
    """A server of its own, which scrapes one target every second."""

    def __init__(self, folder, target):
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        shutil.copyfile(ALERTS, folder / "alerts.yaml")
        (folder / "prometheus.yaml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yaml"],
            "scrape_configs": [
                {"job_name": "tael", "static_configs": [{"targets": [target]}]}],
        }))
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={folder}/prometheus.yaml",
                 f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def get(self, path, **params):
        try:
            answer = requests.get(self.url + path, params=params, timeout=60)
        except requests.ConnectionError:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            return None
        return answer.json()["data"] if answer.status_code == 200 else None

    def values(self, expression):
        """Numbers that a query answers, NaN left out; None if it is refused."""
        data = self.get("/api/v1/query", query=expression)
        if data is None:
            return None
        return [float(result["value"][1]) for result in data["result"]
                if not math.isnan(float(result["value"][1]))]

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def prometheus(networked, tmp_path):
    folder = tmp_path / "prometheus"
    folder.mkdir()
    made = Prometheus(folder, admin_url(networked).removeprefix("http://"))
    yield made
    made.close()


def queries():
    """Every query of the dashboard, as Grafana would send it."""
    found = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$__rate_interval", "30s")
            found[f"{panel['title']}: {target['legendFormat']}"] = expression.replace(
                "$instance", ".*")
    assert len(found) > 50
    return found


def endpoint(http, url):
    answer = http.post("/v1/webhook_endpoints", data={"url": url, "enabled_events[]": "*"})
    assert answer.status_code == 200, answer.text


def test_prometheus_reads_it_and_alarms(networked, prometheus):
    """The dashboard's queries find data, and an alert of the rules fires, on a server that works."""
    http = Http(networked)
    wait_until(lambda: prometheus.values('tael_webhook_given_up_total{job="tael"} == 0'), 60,
               "the first scrape")
    groups = prometheus.get("/api/v1/rules")["groups"]
    assert sum(len(group["rules"]) for group in groups) == len(alert_names())
    with socket.socket() as nobody:  # bound and not listening: refused at once
        nobody.bind(("127.0.0.1", 0))
        with Receiver() as receiver, concurrent.futures.ThreadPoolExecutor(1) as pool:
            endpoint(http, receiver.url())
            endpoint(http, f"http://127.0.0.1:{nobody.getsockname()[1]}/hook")
            done = []
            load = pool.submit(keep_paying, networked, done)
            try:
                missing = queries()

                def all_answered():
                    for name in list(missing):
                        if prometheus.values(missing[name]):
                            del missing[name]
                    return not missing

                try:
                    wait_until(all_answered, 60, "data for every query")
                except AssertionError:
                    raise AssertionError(f"no data for: {json.dumps(missing, indent=1)}") from None
                fired = wait_until(lambda: firing(prometheus), 60, "an alert")
            finally:
                done.append(True)
                assert load.result(60) > 0
    assert "TaelWebhooksGivenUp" in fired
    assert fired["TaelWebhooksGivenUp"]["labels"]["severity"] == "ticket"
    assert "webhooks were given up" in fired["TaelWebhooksGivenUp"]["annotations"]["summary"]
    assert "TaelBooksDiffer" not in fired and "TaelDown" not in fired


def keep_paying(server, done):
    count = 0
    while not done:
        pay(server)
        count += 1
        Http(server).get("/v1/balance")
        time.sleep(0.05)
    return count


def firing(prometheus):
    alerts = prometheus.get("/api/v1/alerts")["alerts"]
    found = {alert["labels"]["alertname"]: alert for alert in alerts if alert["state"] == "firing"}
    return found if "TaelWebhooksGivenUp" in found else None


def test_prometheus_example_is_valid():
    subprocess.run(["promtool", "check", "config", MONITORING / "prometheus.yaml"], check=True,
                   timeout=60)


def test_health_command(watched):
    from kit.server import run_tael
    url = admin_url(watched)
    assert run_tael("health", url).stdout == "ready\n"
    assert run_tael("health", url + "/livez").stdout == "alive\n"
    refused = run_tael("health", url + "/nothing")
    assert refused.returncode == 1 and "status 404" in refused.stderr
    assert run_tael("health", "http://127.0.0.1:1").returncode == 1
    assert run_tael("health", "ftp://x").returncode == 2


