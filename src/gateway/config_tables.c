/* Every scalar of the configuration: name, default, bounds, meaning. Lists and objects are read in
 * config_parts.c and config_route.c; docs/gateway.md has them all. */
#include "config.h"

#include <string.h>

#define TEXT_AT(type_, name_, member, fallback_, help_)                                            \
    {                                                                                              \
        .name = name_, .kind = SETTING_TEXT, .offset = offsetof(type_, member),                    \
        .fallback = fallback_, .maximum = (int64_t)sizeof(((type_ *)0)->member), .help = help_     \
    }
#define SWITCH_AT(type_, name_, member, fallback_, help_)                                          \
    {                                                                                              \
        .name = name_, .kind = SETTING_BOOLEAN, .offset = offsetof(type_, member),                 \
        .fallback = fallback_, .help = help_                                                       \
    }
#define VALUE_AT(kind_, type_, name_, member, fallback_, low, high, help_)                         \
    {                                                                                              \
        .name = name_, .kind = kind_, .offset = offsetof(type_, member), .fallback = fallback_,    \
        .minimum = low, .maximum = high, .help = help_                                             \
    }
#define NUMBER_AT(...)   VALUE_AT(SETTING_INTEGER, __VA_ARGS__)
#define DURATION_AT(...) VALUE_AT(SETTING_DURATION, __VA_ARGS__)
#define SIZE_AT(...)     VALUE_AT(SETTING_SIZE, __VA_ARGS__)

#define SECOND           INT64_C(1000)
#define MINUTE           (60 * SECOND)
#define HOUR             (60 * MINUTE)
#define DAY              (24 * HOUR)
#define KIB              INT64_C(1024)
#define MIB              (1024 * KIB)
#define GIB              (1024 * MIB)
#define RATE_MAX         INT64_C(1000000)
#define MANY             INT64_C(1000000)

#define TABLE(variable, title_, settings_)                                                         \
    const struct gateway_table variable = {                                                        \
        .title = title_,                                                                           \
        .settings = settings_,                                                                     \
        .count = sizeof(settings_) / sizeof((settings_)[0]),                                       \
    }

#define C struct gateway_config
static const struct setting top[] = {
    TEXT_AT(C, "access_log", access_log, "-", "A file, \"-\" for standard error, or \"off\"."),
    DURATION_AT(
        C,
        "drain_delay",
        drain_delay,
        "5s",
        0,
        HOUR,
        "After SIGTERM: not ready any more, but still accepting, until load balancers know."),
    DURATION_AT(C, "drain_timeout", drain_timeout, "30s", 0, HOUR, "Then: for requests under way."),
    NUMBER_AT(
        C,
        "limit_subjects_max",
        subjects_max,
        "100000",
        16,
        INT64_C(10000000),
        "Keys, addresses and routes whose limits are kept; about 80 bytes each."),
};
TABLE(gateway_table_top, "The file", top);

static const struct setting admin[] = {
    TEXT_AT(
        C,
        "address",
        admin_address,
        "",
        "IP:PORT of health, metrics, states, reload and drain; plain HTTP, for operators only."),
};
TABLE(gateway_table_admin, "admin", admin);
#undef C

#define C struct gateway_listener_config
static const struct setting listener[] = {
    TEXT_AT(C, "address", address, "", "IP:PORT, \"[::]:443\" for every address; required."),
    TEXT_AT(C, "certificate", certificate, "", "PEM file: certificate and chain; turns TLS on."),
    TEXT_AT(C, "key", key, "", "PEM file: the certificate's private key."),
    SWITCH_AT(C, "http2", http2, "true", "Offer HTTP/2 to clients of TLS."),
    NUMBER_AT(C, "connections_max", connections_max, "16384", 1, MANY, "Open at once."),
    NUMBER_AT(C, "requests_max", requests_max, "8192", 1, 65536, "Read and not answered."),
    NUMBER_AT(C, "pipeline_max", pipeline_max, "32", 1, 1024, "Requests of one connection."),
    SIZE_AT(C, "memory_max", memory_max, "256m", MIB, 64 * GIB, "Of all connections' buffers."),
    SIZE_AT(C, "head_max", head_max, "16k", KIB, MIB, "Of a request's head."),
    NUMBER_AT(C, "headers_max", headers_max, "64", 4, HTTP_FIELDS_MAX, "Headers of a request."),
    SIZE_AT(C, "body_max", body_max, "1m", 1, 256 * MIB, "Of a request's body."),
    DURATION_AT(C, "handshake_timeout", handshake_timeout, "10s", 1, HOUR, "For TLS."),
    DURATION_AT(C, "head_timeout", head_timeout, "10s", 1, HOUR, "For a request's head, whole."),
    DURATION_AT(C, "body_timeout", body_timeout, "30s", 1, HOUR, "For a request's body, whole."),
    DURATION_AT(C, "idle_timeout", idle_timeout, "75s", 1, DAY, "For the next request."),
    DURATION_AT(C, "write_timeout", write_timeout, "30s", 1, HOUR, "To take an answer."),
};
TABLE(gateway_table_listener, "listeners[]", listener);
#undef C

#define C struct gateway_endpoint_config
static const struct setting endpoint[] = {
    TEXT_AT(C, "address", address, "", "\"host:port\"; required."),
    NUMBER_AT(C, "weight", weight, "1", 1, 1000, "Share of the requests."),
    NUMBER_AT(C, "priority", priority, "0", 0, 7, "0 first; others when too few of it are well."),
};
TABLE(gateway_table_endpoint, "upstreams.NAME.endpoints[]", endpoint);
#undef C

#define C struct gateway_upstream_config
static const struct setting upstream[] = {
    TEXT_AT(C, "dns", dns, "", "\"name:port\": each address that the name has is an endpoint."),
    TEXT_AT(C, "file", file, "", "A file of endpoints, one \"host:port weight=N\" a line."),
    DURATION_AT(
        C, "source_interval", source_interval, "10s", 100, DAY, "Between looks at dns or file."),
    TEXT_AT(
        C,
        "policy",
        policy,
        "least_of_two",
        "round_robin, smooth, random, weighted_random, least_of_two, least_requests, or hash (of "
        "the API key, or the client's address)."),
    DURATION_AT(C, "slow_start", slow_start, "10s", 0, HOUR, "Of an endpoint that came (back)."),
    NUMBER_AT(
        C, "panic_percent", panic_percent, "50", 0, 100, "Fewer well than that: all are used."),
    NUMBER_AT(C, "connections_max", connections_max, "64", 1, 4096, "To one endpoint."),
    NUMBER_AT(C, "pending_max", pending_max, "1024", 1, 65536, "Waiting for one of them."),
    NUMBER_AT(C, "requests_max", requests_max, "8192", 1, 65536, "Under way, of all endpoints."),
    NUMBER_AT(C, "attempts_max", attempts_max, "3", 1, 10, "Of a request that may be repeated."),
    SIZE_AT(C, "answer_max", answer_max, "16m", KIB, 256 * MIB, "Of an answer's body."),
    DURATION_AT(C, "timeout", timeout, "30s", 1, HOUR, "Of a request, all attempts together."),
    DURATION_AT(C, "try_timeout", try_timeout, "0", 0, HOUR, "Of one attempt; 0: as timeout."),
    DURATION_AT(C, "connect_timeout", connect_timeout, "2s", 1, MINUTE, "Name, TCP and TLS."),
    DURATION_AT(C, "idle_timeout", idle_timeout, "20s", 1, HOUR, "Of a pooled connection."),
    DURATION_AT(C, "drain_timeout", drain_timeout, "30s", 1, HOUR, "Of an endpoint that left."),
    DURATION_AT(C, "backoff_base", backoff_base, "25ms", 1, MINUTE, "Before the first retry."),
    DURATION_AT(C, "backoff_max", backoff_max, "1s", 1, MINUTE, "Before any retry."),
    NUMBER_AT(C, "retry_percent", retry_percent, "20", 0, 100, "Retries per 100 requests."),
    NUMBER_AT(C, "retry_min", retry_min, "3", 0, 100, "Retries that there always are."),
    TEXT_AT(C, "health_path", health_path, "", "Asked for actively, 2xx is well; none without."),
    DURATION_AT(C, "health_interval", health_interval, "10s", 10, HOUR, "Between checks."),
    DURATION_AT(C, "health_timeout", health_timeout, "2s", 1, MINUTE, "Of a check."),
    NUMBER_AT(C, "health_up", health_up, "2", 1, 100, "Successes until it is used again."),
    NUMBER_AT(C, "health_down", health_down, "3", 1, 100, "Failures until it is not."),
    NUMBER_AT(
        C, "outlier_failures", outlier_failures, "5", 0, 1000, "In a row: ejected; 0: never."),
    DURATION_AT(C, "outlier_base", outlier_base, "30s", 1, HOUR, "The first ejection lasts."),
    DURATION_AT(C, "outlier_max", outlier_max, "5m", 1, DAY, "The longest ejection."),
    NUMBER_AT(C, "outlier_percent", outlier_percent, "50", 0, 100, "Ejected at once at most."),
    NUMBER_AT(C, "breaker_percent", breaker_percent, "80", 0, 100, "Failed: opens; 0: never."),
    NUMBER_AT(C, "breaker_results", breaker_results, "20", 1, MANY, "In the window at least."),
    DURATION_AT(C, "breaker_window", breaker_window, "10s", 100, HOUR, "That is looked at."),
    DURATION_AT(C, "breaker_open", breaker_open, "5s", 1, HOUR, "Until it is tried again."),
    NUMBER_AT(C, "breaker_probes", breaker_probes, "3", 1, 1000, "Successes that close it."),
    SWITCH_AT(C, "tls", tls, "false", "Speak TLS to the endpoints."),
    SWITCH_AT(C, "tls_verify", tls_verify, "true", "Check their certificates; off for tests only."),
    TEXT_AT(C, "tls_ca", tls_ca, "", "PEM file of authorities, instead of the system's."),
    TEXT_AT(C, "server_name", server_name, "", "Host header and TLS name, for all endpoints."),
    DURATION_AT(
        C,
        "shed_latency",
        shed_latency,
        "0",
        0,
        HOUR,
        "Mean latency where shedding begins; 0: no."),
    NUMBER_AT(
        C, "shed_queue", shed_queue, "0", 0, 65536, "Requests under way where it begins; 0: no."),
};
TABLE(gateway_table_upstream, "upstreams.NAME", upstream);
#undef C

#define LIMITS(type_, prefix)                                                                      \
    NUMBER_AT(type_, "rate", prefix rate, "0", 0, RATE_MAX, "Requests a second; 0: any."),         \
        NUMBER_AT(type_, "burst", prefix burst, "0", 0, RATE_MAX, "At once; 0: a second's."),      \
        NUMBER_AT(type_, "concurrent", prefix concurrent, "0", 0, 65536, "Under way; 0: any."),    \
        NUMBER_AT(type_, "key_rate", prefix key_rate, "0", 0, RATE_MAX, "Of each API key."),       \
        NUMBER_AT(type_, "key_burst", prefix key_burst, "0", 0, RATE_MAX, "Of each API key."),     \
        NUMBER_AT(                                                                                 \
            type_, "key_concurrent", prefix key_concurrent, "0", 0, 65536, "Of each API key."),    \
        NUMBER_AT(                                                                                 \
            type_, "address_rate", prefix address_rate, "0", 0, RATE_MAX, "Of each client."),      \
        NUMBER_AT(                                                                                 \
            type_, "address_burst", prefix address_burst, "0", 0, RATE_MAX, "Of each client."),    \
        NUMBER_AT(                                                                                 \
            type_,                                                                                 \
            "address_concurrent",                                                                  \
            prefix address_concurrent,                                                             \
            "0",                                                                                   \
            0,                                                                                     \
            65536,                                                                                 \
            "Of each client address (IPv6: of its /64).")

#define C struct gateway_limits_config
static const struct setting route_limits[] = {LIMITS(C, )};
TABLE(gateway_table_route_limits, "limits, and routes[].limits", route_limits);
#undef C

#define C struct gateway_route
static const struct setting route[] = {
    TEXT_AT(C, "name", name, "", "In metrics and logs: letters, digits, - and _; required."),
    TEXT_AT(C, "host", host, "", "Only for this host, or \"*.example.com\"; empty: any."),
    TEXT_AT(C, "path", path, "", "Only this path, exactly."),
    TEXT_AT(C, "path_prefix", path_prefix, "", "This path and those below it."),
    TEXT_AT(C, "mode", mode_name, "any", "Keys of this mode only: test, live or any."),
    TEXT_AT(C, "upstream", upstream_name, "", "Where it goes; or see split."),
    SWITCH_AT(C, "public", public, "false", "No API key is needed (nor looked at)."),
    TEXT_AT(C, "class", class_name, "normal", "critical, normal, list or search; see shedding."),
    TEXT_AT(C, "sticky", sticky_name, "", "Of split: key, address or header:NAME."),
    TEXT_AT(C, "rewrite_prefix", rewrite_prefix, "", "Stands where path or path_prefix stood."),
    TEXT_AT(C, "rewrite_host", rewrite_host, "", "Host header; empty: the endpoint's own."),
    DURATION_AT(C, "timeout", timeout, "0", 0, HOUR, "In place of the upstream's."),
    DURATION_AT(C, "try_timeout", try_timeout, "0", 0, HOUR, "In place of the upstream's."),
    SIZE_AT(C, "body_max", body_max, "0", 0, 256 * MIB, "In place of the listener's, if less."),
};
TABLE(gateway_table_route, "routes[]", route);
#undef C

#define C struct gateway_split
static const struct setting split[] = {
    TEXT_AT(C, "upstream", upstream, "", "An upstream's name; required."),
    NUMBER_AT(C, "weight", weight, "1", 0, 10000, "Share of the requests."),
};
TABLE(gateway_table_split, "routes[].split[]", split);
#undef C

static const struct setting cors[] = {
    DURATION_AT(
        struct gateway_cors, "max_age", max_age, "1h", 0, DAY, "How long a preflight holds."),
};
TABLE(gateway_table_cors, "routes[].cors", cors);

#define C struct gateway_key_rule
static const struct setting key[] = {
    TEXT_AT(C, "match", match, "", "\"sk_live_...Ab3d\": kind, mode and the last 4 or more."),
    NUMBER_AT(C, "rate", rate, "0", 0, RATE_MAX, "In place of limits.key_rate."),
    NUMBER_AT(C, "burst", burst, "0", 0, RATE_MAX, "In place of limits.key_burst."),
    NUMBER_AT(C, "concurrent", concurrent, "0", 0, 65536, "In place of limits.key_concurrent."),
};
TABLE(gateway_table_key, "keys[]", key);
#undef C

#define C struct gateway_redis_config
static const struct setting redis[] = {
    TEXT_AT(C, "address", address, "", "IP:PORT of the Redis that gateways share; required."),
    TEXT_AT(C, "password_file", password_file, "", "Its first line is the password."),
    TEXT_AT(C, "prefix", prefix, "tael:limit:", "Of the keys there."),
    DURATION_AT(C, "timeout", timeout, "20ms", 1, 10 * SECOND, "Then local limits decide."),
    DURATION_AT(C, "retry_after", retry_after, "1s", 1, MINUTE, "Then it is asked again."),
    NUMBER_AT(C, "in_flight_max", in_flight_max, "4096", 1, 65536, "Asked at once."),
};
TABLE(gateway_table_redis, "redis", redis);
#undef C

static bool
value_is_equal(const struct setting *setting, const void *a, const void *b)
{
    const char *left = (const char *)a + setting->offset;
    const char *right = (const char *)b + setting->offset;
    switch (setting->kind) {
    case SETTING_TEXT:
        return strcmp(left, right) == 0;
    case SETTING_BOOLEAN:
        return memcmp(left, right, sizeof(bool)) == 0;
    case SETTING_INTEGER:
    case SETTING_DURATION:
    case SETTING_SIZE:
        break;
    }
    return memcmp(left, right, sizeof(int64_t)) == 0;
}

bool
gateway_table_equal(
    const struct gateway_table *table, const void *a, const void *b, const char *const *except)
{
    for (size_t i = 0; i < table->count; i++) {
        bool counts = true;
        for (size_t j = 0; except != NULL && except[j] != NULL; j++) {
            counts = counts && strcmp(except[j], table->settings[i].name) != 0;
        }
        if (counts && !value_is_equal(&table->settings[i], a, b)) {
            return false;
        }
    }
    return true;
}

void
gateway_config_help(struct buf *out)
{
    static const struct gateway_table *const tables[] = {
        &gateway_table_top,
        &gateway_table_admin,
        &gateway_table_listener,
        &gateway_table_upstream,
        &gateway_table_endpoint,
        &gateway_table_route,
        &gateway_table_route_limits,
        &gateway_table_split,
        &gateway_table_cors,
        &gateway_table_key,
        &gateway_table_redis,
    };
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        buf_append_format(out, "%s%s\n", i == 0 ? "" : "\n", tables[i]->title);
        for (size_t j = 0; j < tables[i]->count; j++) {
            const struct setting *setting = &tables[i]->settings[j];
            const char *fallback = setting->fallback[0] == '\0' ? "\"\"" : setting->fallback;
            buf_append_format(
                out, "    %-20s %s (default %s)\n", setting->name, setting->help, fallback);
        }
    }
}
