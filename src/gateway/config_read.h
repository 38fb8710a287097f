/* What the readers of the configuration's parts share: where a mistake is, and lists of things. */
#ifndef GATEWAY_CONFIG_READ_H
#define GATEWAY_CONFIG_READ_H

#include "config.h"

#include "json/json_in.h"

struct gateway_reader {
    struct span text;
    struct arena *arena;
    char *message; /* of GATEWAY_MESSAGE_SIZE bytes */
};

/* "line 12: routes[3].rate: ..." about `value`. Returns ERR_INVALID. */
__attribute__((format(printf, 3, 4))) err_t gateway_reader_fail(
    const struct gateway_reader *reader, const struct json_value *value, const char *format, ...);

/*
 * Members of `object` that the table names go to `values`, which begins with the defaults. A member
 * that is neither in the table nor in `others` (names, ended by NULL) is refused.
 */
MUST_USE err_t gateway_reader_scalars(
    const struct gateway_reader *reader,
    const struct json_value *object,
    const struct gateway_table *table,
    void *values,
    const char *const *others);
/* NULL is fine: nothing is there. `count_max` bounds it. */
MUST_USE err_t gateway_reader_is_list(
    const struct gateway_reader *reader, const struct json_value *list, size_t count_max);
MUST_USE err_t
gateway_reader_is_object(const struct gateway_reader *reader, const struct json_value *value);

/* A list of texts. */
MUST_USE err_t gateway_reader_texts(
    const struct gateway_reader *reader,
    const struct json_value *list,
    size_t count_max,
    const struct span **ret_texts,
    size_t *ret_count);
MUST_USE err_t gateway_reader_cidrs(
    const struct gateway_reader *reader,
    const struct json_value *list,
    const struct gateway_cidr **ret_cidrs,
    size_t *ret_count);
/* "allow" and "deny" of `object`. */
MUST_USE err_t gateway_reader_networks(
    const struct gateway_reader *reader,
    const struct json_value *object,
    struct gateway_networks *ret_networks);
/* An object of names and values that may be written as headers. */
MUST_USE err_t gateway_reader_headers(
    const struct gateway_reader *reader,
    const struct json_value *object,
    const struct http_header **ret_headers,
    size_t *ret_count);
/* A burst that belongs to no rate is a mistake, not a limit. */
MUST_USE err_t gateway_reader_burst(
    const struct gateway_reader *reader,
    const struct json_value *object,
    const char *prefix,
    int64_t rate,
    int64_t burst);
MUST_USE err_t gateway_reader_limits(
    const struct gateway_reader *reader,
    const struct json_value *object,
    struct gateway_limits_config *config,
    struct gateway_limits *ret_limits);

/* Letters, digits, '-', '_' and '.', 1 to 63 of them: what may stand in a metric's label. */
bool gateway_name_is_valid(struct span name);
/* "host:port" with a port of 1 to 65,535, or 0 too with `any_port`. */
bool gateway_address_is_valid(struct span address, bool any_port);

MUST_USE err_t gateway_config_read_upstreams(
    const struct gateway_reader *reader,
    const struct json_value *object,
    struct gateway_config *config);
MUST_USE err_t gateway_config_read_routes(
    const struct gateway_reader *reader,
    const struct json_value *list,
    struct gateway_config *config);

#endif
