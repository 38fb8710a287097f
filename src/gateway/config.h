/*
 * The gateway's configuration: one JSON file, read whole into an arena, checked whole before any of
 * it counts. docs/gateway.md documents every key; the tables in config_tables.c are where names,
 * bounds, defaults and the texts of `tael gateway --keys` come from.
 *
 * CONFIG-1  A file that is refused changes nothing, and is told by line, path and reason.
 * CONFIG-2  Routes are kept in the order in which they are tried, so that the first that matches is
 *           the one that the rules of precedence choose (match.h).
 * CONFIG-3  No route is kept from every request by one that is tried before it.
 */
#ifndef GATEWAY_CONFIG_H
#define GATEWAY_CONFIG_H

#include "cidr.h"
#include "key.h"
#include "limit.h"
#include "shed.h"

#include "http/http.h"

#include "base/arena.h"
#include "base/settings.h"

#define GATEWAY_NAME_SIZE     64
#define GATEWAY_ADDRESS_SIZE  64
#define GATEWAY_HOST_SIZE     254
#define GATEWAY_PATH_SIZE     1024
#define GATEWAY_FILE_SIZE     1024

#define GATEWAY_LISTENERS_MAX 8
#define GATEWAY_UPSTREAMS_MAX 64
#define GATEWAY_ROUTES_MAX    256
#define GATEWAY_KEYS_MAX      1024
#define GATEWAY_SPLITS_MAX    16
#define GATEWAY_HEADERS_MAX   16 /* that a route matches, sets or removes, each */
#define GATEWAY_CIDRS_MAX     256
#define GATEWAY_ORIGINS_MAX   64
#define GATEWAY_ENDPOINTS_MAX 64

/* Of a file, and of the memory that it becomes. */
#define GATEWAY_CONFIG_BYTES_MAX (4U << 20)
#define GATEWAY_CONFIG_ARENA_MAX (64U << 20)

struct gateway_listener_config {
    char address[GATEWAY_ADDRESS_SIZE]; /* "0.0.0.0:443" */
    char certificate[GATEWAY_FILE_SIZE];
    char key[GATEWAY_FILE_SIZE];
    bool http2;
    int64_t connections_max, requests_max, pipeline_max;
    int64_t memory_max, head_max, headers_max, body_max;
    int64_t handshake_timeout, head_timeout, body_timeout, idle_timeout, write_timeout;
};

struct gateway_endpoint_config {
    char address[GATEWAY_HOST_SIZE + 8]; /* "host:port" */
    int64_t weight, priority;
};

struct gateway_upstream_config {
    char name[GATEWAY_NAME_SIZE];
    struct gateway_endpoint_config *endpoints;
    size_t endpoint_count;
    char dns[GATEWAY_HOST_SIZE + 8];
    char file[GATEWAY_FILE_SIZE];
    int64_t source_interval;
    char policy[32];
    int64_t slow_start, panic_percent;
    int64_t connections_max, pending_max, requests_max, attempts_max, answer_max;
    int64_t timeout, try_timeout, connect_timeout, idle_timeout, drain_timeout;
    int64_t backoff_base, backoff_max, retry_percent, retry_min;
    char health_path[256];
    int64_t health_interval, health_timeout, health_up, health_down;
    int64_t outlier_failures, outlier_base, outlier_max, outlier_percent;
    int64_t breaker_percent, breaker_results, breaker_window, breaker_open, breaker_probes;
    bool tls, tls_verify;
    char tls_ca[GATEWAY_FILE_SIZE];
    char server_name[GATEWAY_HOST_SIZE];
    int64_t shed_latency, shed_queue;
    uint64_t fingerprint; /* of all but the endpoints: equal ones live on through a reload */
};

/* A limit as it is written: of a route, of a key on a route, of an address on a route. */
struct gateway_limits_config {
    int64_t rate, burst, concurrent;
    int64_t key_rate, key_burst, key_concurrent;
    int64_t address_rate, address_burst, address_concurrent;
};

struct gateway_limits {
    struct gateway_limit_rule all;
    struct gateway_limit_rule key;
    struct gateway_limit_rule address;
};

struct gateway_split {
    char upstream[GATEWAY_NAME_SIZE];
    int64_t weight;
    uint32_t upstream_index;
};

enum gateway_sticky {
    GATEWAY_STICKY_NONE,
    GATEWAY_STICKY_KEY,
    GATEWAY_STICKY_ADDRESS,
    GATEWAY_STICKY_HEADER,
};

enum gateway_mode {
    GATEWAY_MODE_ANY,
    GATEWAY_MODE_TEST,
    GATEWAY_MODE_LIVE,
};

/* A header that a request must have: with this value, or with any. */
struct gateway_header_match {
    struct span name;
    struct span value;
    bool any_value;
};

struct gateway_cors {
    const struct span *origins;
    size_t origin_count;
    bool any_origin;
    struct span allow_headers;
    int64_t max_age; /* milliseconds */
};

struct gateway_header_edit {
    const struct http_header *set;
    size_t set_count;
    const struct span *remove;
    size_t remove_count;
};

struct gateway_networks {
    const struct gateway_cidr *allow; /* none: everybody */
    size_t allow_count;
    const struct gateway_cidr *deny; /* goes before allow */
    size_t deny_count;
};

struct gateway_route {
    /* As written. */
    char name[GATEWAY_NAME_SIZE];
    char host[GATEWAY_HOST_SIZE];
    char path[GATEWAY_PATH_SIZE];
    char path_prefix[GATEWAY_PATH_SIZE];
    char mode_name[8];
    char class_name[16];
    char sticky_name[80];
    char upstream_name[GATEWAY_NAME_SIZE];
    char rewrite_prefix[GATEWAY_PATH_SIZE];
    char rewrite_host[GATEWAY_HOST_SIZE];
    bool public;
    int64_t timeout, try_timeout, body_max;
    struct gateway_limits_config limits_config;

    /* Made from it. */
    uint32_t index; /* among the routes as they are tried */
    uint32_t order; /* in the file */
    struct span host_span, path_span;
    bool host_wildcard, path_exact;
    bool rewrites;
    enum gateway_mode mode;
    enum gateway_class class;
    enum gateway_sticky sticky;
    struct span sticky_header;
    uint32_t methods; /* a bit for each enum http_method; 0: any */
    uint32_t kinds;   /* a bit for each enum gateway_key_kind that may come */
    const struct gateway_header_match *headers;
    size_t header_count;
    struct gateway_split *splits;
    size_t split_count;
    uint32_t split_total;
    struct gateway_header_edit request;
    struct gateway_header_edit response;
    struct gateway_networks networks;
    struct gateway_cors *cors; /* NULL: none */
    struct gateway_limits limits;
};

/* Rules of one API key, named by what may be written of it: "sk_live_...Ab3d". */
struct gateway_key_rule {
    char match[GATEWAY_KEY_SIZE_MAX + 1];
    int64_t rate, burst, concurrent;
    struct gateway_limit_rule rule;
    struct gateway_networks networks;
};

struct gateway_redis_config {
    char address[GATEWAY_HOST_SIZE + 8]; /* empty: limits are this process's own */
    char password_file[GATEWAY_FILE_SIZE];
    char prefix[64];
    int64_t timeout, retry_after, in_flight_max;
};

struct gateway_config {
    struct arena arena;
    uint32_t references; /* the loop's */
    char admin_address[GATEWAY_ADDRESS_SIZE];
    char access_log[GATEWAY_FILE_SIZE];
    int64_t drain_delay, drain_timeout, subjects_max;
    struct gateway_listener_config *listeners;
    size_t listener_count;
    struct gateway_upstream_config *upstreams;
    size_t upstream_count;
    struct gateway_route *routes; /* CONFIG-2 */
    size_t route_count;
    struct gateway_key_rule *keys;
    size_t key_count;
    struct gateway_limits_config limits_config;
    struct gateway_limits limits; /* of all routes together */
    const struct gateway_cidr *trusted;
    size_t trusted_count;
    struct gateway_redis_config redis;
};

#define GATEWAY_MESSAGE_SIZE 512

/* Reads and checks a configuration. ERR_INVALID, ERR_RANGE, ERR_FULL, ERR_MEMORY: `message` says
 * what, as "line 12: routes[3].rate: ...". No file is opened but for what `text` is. */
MUST_USE err_t gateway_config_read(
    struct span text, struct gateway_config **ret_config, char message[GATEWAY_MESSAGE_SIZE]);
void gateway_config_destroy(struct gateway_config **config);

/* Every key with its default and meaning, for people. */
void gateway_config_help(struct buf *out);

/* ---- the tables (config_tables.c) */

struct gateway_table {
    const char *title;
    const struct setting *settings;
    size_t count;
};

/* Whether two structs of the table's have the same values, but for those of `except` (names, ended
 * by NULL). */
bool gateway_table_equal(
    const struct gateway_table *table, const void *a, const void *b, const char *const *except);

extern const struct gateway_table gateway_table_top;
extern const struct gateway_table gateway_table_admin;
extern const struct gateway_table gateway_table_listener;
extern const struct gateway_table gateway_table_upstream;
extern const struct gateway_table gateway_table_endpoint;
extern const struct gateway_table gateway_table_route;
extern const struct gateway_table gateway_table_route_limits;
extern const struct gateway_table gateway_table_split;
extern const struct gateway_table gateway_table_cors;
extern const struct gateway_table gateway_table_key;
extern const struct gateway_table gateway_table_redis;

#endif
