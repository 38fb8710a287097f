/* The server's settings: flags, TAEL_* variables, configuration file and --help come from here. */
#include "node.h"

#define AT(member) offsetof(struct node_settings, member)
#define TEXT_OF(name_, member, fallback_, help_)                                                   \
    {                                                                                              \
        .name = name_, .kind = SETTING_TEXT, .offset = AT(member), .fallback = fallback_,          \
        .maximum = (int64_t)sizeof(((struct node_settings *)0)->member), .help = help_             \
    }
#define SWITCH(name_, member, help_)                                                               \
    {                                                                                              \
        .name = name_, .kind = SETTING_BOOLEAN, .offset = AT(member), .fallback = "false",         \
        .help = help_                                                                              \
    }
#define NUMBER(name_, member, fallback_, low, high, unit_, help_)                                  \
    {                                                                                              \
        .name = name_, .kind = SETTING_INTEGER, .offset = AT(member), .fallback = fallback_,       \
        .minimum = low, .maximum = high, .unit = unit_, .help = help_                              \
    }
#define DURATION(name_, member, fallback_, low, high, help_)                                       \
    {                                                                                              \
        .name = name_, .kind = SETTING_DURATION, .offset = AT(member), .fallback = fallback_,      \
        .minimum = low, .maximum = high, .help = help_                                             \
    }
#define SIZE(name_, member, fallback_, low, high, help_)                                           \
    {                                                                                              \
        .name = name_, .kind = SETTING_SIZE, .offset = AT(member), .fallback = fallback_,          \
        .minimum = low, .maximum = high, .help = help_                                             \
    }

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define KIB    INT64_C(1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)

const struct setting node_setting_table[] = {
    TEXT_OF("config", config, "", "A file with lines of NAME = VALUE for any of these settings."),
    TEXT_OF("data", data, "", "The data folder; made if it is not there."),
    {
        .name = "documents",
        .kind = SETTING_TEXT,
        .offset = AT(documents),
        .fallback = "",
        .maximum = NODE_DATABASE_SIZE,
        .help = "postgres://...: the database of payments, customers and so on, which several "
                "servers may share; better in TAEL_DOCUMENTS or a file, if it has a password. "
                "shards:FILE: several, each with its part of the merchants, by the map in FILE. "
                "Without it they are in the data folder.",
        .secret = true,
    },
    {
        .name = "cache",
        .kind = SETTING_TEXT,
        .offset = AT(cache),
        .fallback = "",
        .maximum = NODE_CACHE_SIZE,
        .help = "redis://[USER:PASSWORD@]HOST:PORT[/DATABASE]: copies of customers that servers on "
                "one PostgreSQL share; memory: each its own, and others' changes are seen within "
                "the lifetime only. Better in TAEL_CACHE or a file, if it has a password.",
        .secret = true,
    },
    NUMBER("cache-max", cache_max, "65536", 64, 1048576, "copies", "In this process's memory."),
    SIZE("cache-memory", cache_memory, "64m", 256 * KIB, 16 * GIB, "Of these copies."),
    DURATION(
        "cache-lifetime",
        cache_lifetime,
        "10s",
        100,
        MINUTE,
        "No copy is shown longer, even if word of a change got lost."),
    TEXT_OF("listen", listen, "127.0.0.1:8080", "ADDRESS:PORT of the API; port 0: a free one."),
    NUMBER("port", port, "-1", -1, 65535, NULL, "Replaces the port of --listen; -1: does not."),
    TEXT_OF(
        "public-url",
        public_url,
        "",
        "Where browsers reach this server, for links that it hands out: https://pay.example.com. "
        "Without it, the address of --listen."),
    {
        .name = "console",
        .kind = SETTING_BOOLEAN,
        .offset = AT(console),
        .fallback = "true",
        .help = "The merchant console, pages for browsers at /console/ of the API's address.",
    },
    {
        .name = "request-log",
        .kind = SETTING_BOOLEAN,
        .offset = AT(request_log),
        .fallback = "true",
        .help =
            "Requests of merchants are kept for them at /v1/request_logs, without their bodies.",
    },
    DURATION(
        "request-log-keep", request_log_keep, "7d", MINUTE, 365 * DAY, "Life of these entries."),
    NUMBER(
        "request-log-max",
        request_log_max,
        "100000",
        1000,
        10000000,
        "requests",
        "Kept of one merchant and mode; some 400 bytes each."),
    TEXT_OF(
        "client-address",
        client_address,
        "connection",
        "Where requests come from, for the log of requests and rules against fraud: connection; "
        "forwarded, the first of X-Forwarded-For, behind a gateway that sets it; none."),
    TEXT_OF(
        "admin-listen",
        admin_listen,
        "",
        "ADDRESS:PORT of /livez, /readyz, /startupz, /metrics and /log-level. Without it /metrics "
        "is on the API's "
        "listener, for this machine only."),
    TEXT_OF("tls-cert", tls_cert, "", "PEM file: the certificate and its chain; turns TLS on."),
    TEXT_OF("tls-key", tls_key, "", "PEM file: the certificate's private key."),
    DURATION(
        "drain-delay",
        drain_delay,
        "0s",
        0,
        HOUR,
        "Between SIGTERM and the drain: /readyz says 503, requests are served as before, so that "
        "load balancers can look away first."),
    DURATION("drain-timeout", drain_timeout, "10s", 0, HOUR, "At the end: for requests under way."),
    TEXT_OF("log-level", log_level, "info", "debug, info, warning or error."),
    SWITCH("allow-dumps", allow_dumps, "Core files and debuggers, which see keys: for tests only."),
    SWITCH("new-test-key", new_test_key, "Makes another test key, for when the first was lost."),

    TEXT_OF(
        "roles",
        roles,
        "all",
        "What this process is: all, or some of ledger, vault, cards, bank, payments, wallets, "
        "mobile, events and api, with commas."),
    TEXT_OF(
        "ledger-at",
        ledger_at,
        "",
        "Where the ledger is, if not here: HOST:PORT, several with commas, or file:PATH of a file "
        "with one a line, which is read again every 5 s."),
    TEXT_OF(
        "ledger-shards",
        ledger_shards,
        "",
        "A file with the map of a ledger of several shards, instead of ledger-at, and for the "
        "process "
        "of each shard too."),
    TEXT_OF(
        "shard", shard, "", "Which shard of that map this process is; its only role is ledger."),
    TEXT_OF(
        "ledger-commit",
        ledger_commit,
        "2pc",
        "How transfers between shards are decided: 2pc, or 3pc, which goes on without a shard or "
        "this process while most of a transfer's slots can be reached, and writes more."),
    TEXT_OF(
        "wallet-placement",
        wallet_placement,
        "merchant",
        "Over shards, whose slot a wallet's money is in: merchant, with everything else of its "
        "merchant's, or wallet, so that wallets spread over the shards and their payments cross."),
    TEXT_OF("cards-at", cards_at, "", "Where cards is, if not here: the same."),
    TEXT_OF("vault-at", vault_at, "", "Where the vault is, if not here: the same."),
    TEXT_OF(
        "bank-at",
        bank_at,
        "",
        "Where the bank that pays withdrawals and payouts out is: the same. Without it, here with "
        "the role "
        "wallets."),
    TEXT_OF(
        "internal-listen",
        internal_listen,
        "",
        "ADDRESS:PORT for the services of other processes; port 0: a free one."),
    TEXT_OF(
        "internal-key-file",
        internal_key_file,
        "",
        "A file with a key of 32 characters or more that all services share: for one machine."),
    TEXT_OF(
        "internal-tls-ca",
        internal_tls_ca,
        "",
        "PEM file: the authorities of the services' certificates, instead of a key."),
    TEXT_OF(
        "internal-tls-cert",
        internal_tls_cert,
        "",
        "PEM file: this process's certificate, with a DNS name ROLE.DOMAIN for each role, and its "
        "chain."),
    TEXT_OF("internal-tls-key", internal_tls_key, "", "PEM file: its private key."),
    TEXT_OF("internal-domain", internal_domain, "tael.internal", "The DOMAIN of those names."),
    SWITCH(
        "internal-plain",
        internal_plain,
        "With a key, requests may leave this machine in clear, card numbers too: only where the "
        "network hides them."),
    DURATION(
        "internal-timeout",
        internal_timeout,
        "10s",
        1,
        10 * MINUTE,
        "For another service to answer; then the outcome is unknown."),
    NUMBER(
        "internal-connections-max",
        internal_connections_max,
        "512",
        1,
        16384,
        "connections",
        "To one endpoint of another service."),

    NUMBER(
        "rate-limit",
        rate_limit,
        "1000",
        1,
        1000000000,
        "requests a second",
        "Of one API key; of a merchant's secret and restricted keys of one mode together four "
        "times that, and of its publishable ones."),
    DURATION(
        "idempotency-keep", idempotency_keep, "24h", DAY, 365 * DAY, "Life of idempotency keys."),
    DURATION(
        "documents-sweep",
        documents_sweep,
        "24h",
        0,
        365 * DAY,
        "Documents in shards: how often one server deletes cold texts that no row names; 0: "
        "never."),
    DURATION(
        "lock-timeout",
        lock_timeout,
        "2s",
        1,
        MINUTE,
        "How long a request waits for another one on the same object."),
    NUMBER(
        "lock-waiters-max", lock_waiters_max, "128", 1, 65536, "requests", "On the same object."),
    NUMBER("operations-max", operations_max, "4096", 16, 65536, "requests", "Being worked on."),
    NUMBER("search-max", search_max, "1000000", 1, 1000000000, "objects", "That one search reads."),

    NUMBER("connections-max", connections_max, "16384", 1, 1000000, "connections", "Open at once."),
    NUMBER("requests-max", requests_max, "8192", 1, 65536, "requests", "Read and not answered."),
    NUMBER("pipeline-max", pipeline_max, "32", 1, 1024, "requests", "Of one connection."),
    SIZE("memory-max", memory_max, "256m", MIB, 64 * GIB, "Of all connections' buffers."),
    SIZE("body-max", body_max, "4m", 64 * KIB, 64 * MIB, "Of one request body (ledger batches)."),
    SIZE("form-max", form_max, "256k", KIB, MIB, "Of one request body in all other routes."),
    DURATION("handshake-timeout", handshake_timeout, "10s", 1, HOUR, "For the TLS handshake."),
    DURATION("head-timeout", head_timeout, "10s", 1, HOUR, "For a request's head."),
    DURATION("body-timeout", body_timeout, "30s", 1, HOUR, "For a request's body."),
    DURATION("idle-timeout", idle_timeout, "75s", 1, DAY, "For a connection's next request."),
    DURATION("write-timeout", write_timeout, "30s", 1, HOUR, "For a client to take an answer."),

    NUMBER("fee-basis-points", fee_basis_points, "290", 0, 10000, "1/100 %", "Of a payment."),
    NUMBER("fee-fixed", fee_fixed, "30", 0, 100000, "minor units", "On top of that."),
    NUMBER(
        "dispute-fee",
        dispute_fee,
        "1500",
        0,
        100000,
        "US cents",
        "Of a dispute; in another currency about as much."),
    DURATION("settlement-delay", settlement_delay, "2d", 0, 365 * DAY, "Until money is available."),
    DURATION(
        "authorization-hold",
        authorization_hold,
        "7d",
        SECOND,
        31 * DAY,
        "Then an authorization that was not captured is canceled."),
    DURATION(
        "authentication-timeout",
        authentication_timeout,
        "1h",
        SECOND,
        DAY,
        "Then a customer who was asked to authenticate has failed to."),
    DURATION(
        "attempt-lease", attempt_lease, "30s", SECOND, HOUR, "A worker's claim on an attempt."),
    DURATION(
        "rail-timeout",
        rail_timeout,
        "10s",
        1,
        10 * MINUTE,
        "Then the outcome at the card network is unknown, and is asked for."),
    DURATION("sweep-interval", sweep_interval, "1s", 1, HOUR, "Between looks for unfinished work."),
    DURATION("reconcile-interval", reconcile_interval, "1s", 1, DAY, "Between steps of comparing."),

    TEXT_OF(
        "wallet-limits",
        wallet_limits,
        WALLETS_LIMITS_DEFAULT,
        "TIER.out and TIER.in, or TIER.CURRENCY.out: what a wallet may move at once, in a day and "
        "in a month, in whole units of the currency, or of US dollars roughly converted."),
    DURATION(
        "withdrawal-watch",
        withdrawal_watch,
        "5d",
        0,
        365 * DAY,
        "How long a withdrawal that was paid is watched for coming back."),
    DURATION(
        "payout-delay",
        payout_delay,
        "60s",
        0,
        30 * DAY,
        "Until the bank is asked for a payout: so long it can be canceled."),
    DURATION(
        "payout-watch",
        payout_watch,
        "5d",
        0,
        365 * DAY,
        "How long a payout that was paid is watched for coming back."),
    DURATION(
        "payout-day",
        payout_day,
        "24h",
        1000,
        DAY,
        "How long a day of a payout schedule is: another one is for tests."),
    DURATION("bank-settle", bank_settle, "2s", 0, DAY, "Simulated bank: until a payment is paid."),
    DURATION("bank-return", bank_return, "5s", 0, DAY, "Simulated bank: then a bad one is back."),
    TEXT_OF(
        "merchant-name",
        merchant_name,
        "Test merchant",
        "In QR codes of the first merchant; at most 25 characters. Others have their own names "
        "there."),
    TEXT_OF("merchant-city", merchant_city, "Testville", "In QR codes; at most 15 characters."),
    TEXT_OF("merchant-country", merchant_country, "US", "In QR codes; two capital letters."),
    TEXT_OF("merchant-category", merchant_category, "5999", "In QR codes; ISO 18245."),
    DURATION("qr-lifetime", qr_lifetime, "15m", SECOND, DAY, "Of a code that an intent shows."),
    NUMBER(
        "payer-confirm-above",
        payer_confirm_above,
        "5000",
        0,
        INT64_C(1000000000000),
        "US cents",
        "Or as much in other currencies, roughly: payers are asked before their code pays more."),
    DURATION("payer-wait", payer_wait, "45s", SECOND, HOUR, "For a payer who is asked."),
    DURATION(
        "payer-code-lifetime",
        payer_code_lifetime,
        "60s",
        SECOND,
        HOUR,
        "Of a code that a payer shows."),
    NUMBER(
        "payer-code-wrong-max",
        payer_code_wrong_max,
        "30",
        1,
        1000000,
        "codes",
        "A minute that never were, of a merchant: then none is looked at for a while."),
    DURATION("webhook-timeout", webhook_timeout, "20s", 1, 5 * MINUTE, "For endpoints to answer."),
    DURATION(
        "webhook-retry-first",
        webhook_retry_first,
        "60s",
        1,
        DAY,
        "Live mode: the first retry comes within it, each following one within twice as much."),
    DURATION(
        "webhook-retry-max", webhook_retry_max, "6h", 1, 7 * DAY, "But never later than that."),
    DURATION("webhook-retry-for", webhook_retry_for, "3d", 1, 30 * DAY, "Then it is given up."),
    DURATION(
        "webhook-test-retry-first",
        webhook_test_retry_first,
        "10s",
        1,
        DAY,
        "Test mode: the same."),
    DURATION(
        "webhook-test-retry-max",
        webhook_test_retry_max,
        "10m",
        1,
        7 * DAY,
        "Test mode: the same."),
    DURATION(
        "webhook-test-retry-for",
        webhook_test_retry_for,
        "3h",
        1,
        30 * DAY,
        "Test mode: the same."),
    DURATION(
        "webhook-disable-after",
        webhook_disable_after,
        "5d",
        SECOND,
        365 * DAY,
        "An endpoint that failed at everything for so long is disabled."),
    NUMBER(
        "webhook-in-flight-max",
        webhook_in_flight_max,
        "512",
        2,
        16384,
        "requests",
        "To all endpoints at a time; to those that fail, half of it; to those of one merchant, "
        "three quarters."),
    NUMBER(
        "webhook-endpoint-in-flight-max",
        webhook_endpoint_in_flight_max,
        "64",
        1,
        1024,
        "requests",
        "To one endpoint at a time."),
    SIZE(
        "webhook-memory-max",
        webhook_memory_max,
        "64m",
        MIB,
        16 * GIB,
        "Of all requests to endpoints; of those of one merchant, three quarters."),
    TEXT_OF(
        "webhook-key-file",
        webhook_key_file,
        "",
        "A file with the keys of the webhooks' secrets, 64 hexadecimal digits a line, for servers "
        "that share a database; tael webhooks goes over to the first. Without it, "
        "webhooks/master.key in the data folder, which is made."),
    DURATION(
        "participant-timeout",
        participant_timeout,
        "5s",
        100,
        MINUTE,
        "For a participant of a transaction to answer."),
    DURATION(
        "participant-prepare-for",
        participant_prepare_for,
        "15s",
        100,
        5 * MINUTE,
        "For all participants of a payment to agree to it; then it is declined."),
    DURATION(
        "participant-retry-first",
        participant_retry_first,
        "1s",
        SECOND,
        HOUR,
        "A decision that was not confirmed is told again within it, then within twice as much."),
    DURATION(
        "participant-retry-max",
        participant_retry_max,
        "5m",
        SECOND,
        DAY,
        "But never later than that."),
    DURATION(
        "participant-retry-for",
        participant_retry_for,
        "24h",
        SECOND,
        30 * DAY,
        "Then it is stuck, and waits for a person."),
    DURATION(
        "webhook-log-keep",
        webhook_log_keep,
        "30d",
        SECOND,
        365 * DAY,
        "Life of the delivery log; at most that of events."),
    DURATION("event-keep", event_keep, "30d", SECOND, 3650 * DAY, "Life of events."),
    TEXT_OF(
        "webhook-private",
        webhook_private,
        "test",
        "Which modes' endpoints may have private addresses (this machine, its networks): test, "
        "all or none. Link-local ones only with all."),
    TEXT_OF(
        "webhook-ca",
        webhook_ca,
        "",
        "PEM file: authorities that https endpoints are believed by, instead of the system's."),

    TEXT_OF(
        "broker",
        broker,
        "",
        "Where every event is published: kafka://HOST:PORT,.../TOPIC, kafkas://, "
        "amqp://USER:PASSWORD@HOST:PORT/VHOST/EXCHANGE, amqps://. Empty: nowhere."),
    TEXT_OF(
        "broker-ca",
        broker_ca,
        "",
        "PEM file: authorities that the broker is believed by, instead of the system's."),
    TEXT_OF(
        "broker-config",
        broker_config,
        "",
        "Kafka: a file of librdkafka's settings, NAME=VALUE a line (SASL, say)."),
    DURATION(
        "broker-timeout",
        broker_timeout,
        "30s",
        SECOND,
        2 * MINUTE,
        "The broker's time to confirm a group of events."),

    TEXT_OF(
        "card-network",
        card_network,
        "",
        "iso8583://HOST:PORT of the card network's host, or iso8583s://... for TLS. Empty: the "
        "issuers are simulated in the process that has the vault."),
    TEXT_OF(
        "card-network-dialect",
        card_network_dialect,
        "ascii",
        "How messages are packed: ascii or binary; docs/card-network.md has the tables."),
    TEXT_OF(
        "card-network-ca",
        card_network_ca,
        "",
        "PEM file: authorities that the host is believed by, instead of the system's."),
    TEXT_OF(
        "card-network-terminal",
        card_network_terminal,
        "TAEL0001",
        "DE 41, eight characters: of this process alone, among all that the host knows."),
    TEXT_OF(
        "card-network-acquirer",
        card_network_acquirer,
        "100000",
        "DE 32, digits: the number that the network gave to the acquirer."),
    NUMBER(
        "card-network-connections",
        card_network_connections,
        "2",
        1,
        NETWORK_CONNECTIONS_MAX,
        "connections",
        "To the host; a request takes the one with the fewest under way."),
    DURATION(
        "card-network-echo",
        card_network_echo,
        "60s",
        100,
        HOUR,
        "Of silence, until the host is asked whether it is still there."),

    DURATION("issuer-latency", issuer_latency, "0ms", 0, HOUR, "Simulated issuer: of an answer."),
    DURATION("issuer-jitter", issuer_jitter, "0ms", 0, HOUR, "Simulated issuer: on top of that."),
    NUMBER(
        "issuer-lost-per-mille",
        issuer_lost_per_mille,
        "0",
        0,
        1000,
        NULL,
        "Simulated issuer: done, but the answer is lost."),
    NUMBER(
        "issuer-dropped-per-mille",
        issuer_dropped_per_mille,
        "0",
        0,
        1000,
        NULL,
        "Simulated issuer: the request never arrives."),
    NUMBER(
        "issuer-late-per-mille",
        issuer_late_per_mille,
        "0",
        0,
        1000,
        NULL,
        "Simulated issuer: the request arrives when nobody waits any more."),
    NUMBER(
        "issuer-twice-per-mille",
        issuer_twice_per_mille,
        "0",
        0,
        1000,
        NULL,
        "Simulated issuer: the request arrives twice."),
    DURATION(
        "issuer-refund-settle",
        issuer_refund_settle,
        "1s",
        0,
        DAY,
        "Simulated issuer: until a pending refund is decided."),
    DURATION(
        "issuer-dispute-delay",
        issuer_dispute_delay,
        "1s",
        0,
        DAY,
        "Simulated issuer: until a dispute comes, and until it is decided."),
    DURATION(
        "issuer-dispute-due",
        issuer_dispute_due,
        "7d",
        1,
        365 * DAY,
        "Simulated issuer: how long a dispute waits for evidence."),

    {
        .name = "ledger",
        .kind = SETTING_TEXT,
        .offset = AT(ledger),
        .fallback = "",
        .maximum = NODE_DATABASE_SIZE,
        .help =
            "journal:DIR, memory: or postgres://...: where the ledger is kept; better in "
            "TAEL_LEDGER or a file, if it has a password. Without it in the data folder. Of "
            "several processes with one postgres://... one has the ledger, the others stand by.",
        .secret = true,
    },
    NUMBER(
        "ledger-accounts-max",
        ledger_accounts_max,
        "10000000",
        1000,
        1000000000,
        "accounts",
        "More are refused. Tables grow with what is in them: 170 to 190 bytes for each account."),
    NUMBER(
        "ledger-pendings-max",
        ledger_pendings_max,
        "2500000",
        1000,
        1000000000,
        "transfers",
        "Live pending transfers; more are refused. 220 to 250 bytes of memory for each."),
    NUMBER(
        "ledger-transfers-max",
        ledger_transfers_max,
        "200000000",
        1000,
        INT64_C(100000000000),
        "transfers",
        "With postgres://: ids that the filter in memory is made for. A journal is limited by the "
        "disk."),
    SIZE(
        "ledger-segment-size",
        ledger_segment_size,
        "64m",
        4 * MIB, /* the largest batch must fit */
        4 * GIB,
        "Of a file of the journal."),
    SIZE(
        "ledger-snapshot-interval",
        ledger_snapshot_interval,
        "128m",
        0,
        1024 * GIB,
        "Of journal between two snapshots: what a start reads again. 0: no snapshots."),
    SIZE(
        "ledger-recent",
        ledger_recent,
        "256m",
        4 * MIB,
        1024 * GIB,
        "Of the journal's newest bytes, kept in memory for reading accounts' histories."),
    TEXT_OF(
        "ledger-orders",
        ledger_orders,
        "",
        "What the journal keeps its transfers in order of, for queries by it: account (to enter "
        "long histories at any time), user-data-128, user-data-64, user-data-32, code, ledger, "
        "with commas between; or all."),

    TRACING_SETTINGS(struct node_settings, tracing, "tael"),
    SWITCH(
        "trace-trust", trace_trust, "Traces that clients began go on here; else a link is kept."),
};

const size_t node_setting_count = sizeof(node_setting_table) / sizeof(node_setting_table[0]);
