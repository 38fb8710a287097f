#include "journal_scan.h"
#include "postgres.h"

#include <string.h>

#define LEASE_MS_MIN       500
#define LEASE_MS_MAX       600000
#define LEASE_MS_DEFAULT   10000
#define COPY_ABOVE_DEFAULT 256

static err_t
read_number(
    struct span name,
    struct span value,
    const int64_t range[2],
    uint32_t *ret_value,
    struct store_error *error)
{
    int64_t number = 0;
    if (!span_parse_i64(value, &number) || number < range[0] || number > range[1]) {
        return store_error_set(
            error,
            ERR_INVALID,
            "ledger URL: %.*s is a number of %lld to %lld",
            (int)name.size,
            name.data,
            (long long)range[0],
            (long long)range[1]);
    }
    *ret_value = (uint32_t)number;
    return ERR_OK;
}

static err_t
read_schema(struct span value, struct store_pg_options *options, struct store_error *error)
{
    bool good = value.size > 0 && value.size < sizeof(options->schema);
    for (size_t i = 0; good && i < value.size; i++) {
        char byte = value.data[i];
        bool digit = byte >= '0' && byte <= '9';
        good = (byte >= 'a' && byte <= 'z') || byte == '_' || (digit && i > 0);
    }
    if (!good) {
        return store_error_set(
            error, ERR_INVALID, "ledger URL: schema is a name of a-z, 0-9 and _, at most 63 long");
    }
    memcpy(options->schema, value.data, value.size);
    options->schema[value.size] = '\0';
    return ERR_OK;
}

/* ERR_NOT_FOUND: it is libpq's. */
static err_t
read_option(
    struct span name,
    struct span value,
    struct store_pg_options *options,
    struct store_error *error)
{
    static const int64_t lease[2] = {LEASE_MS_MIN, LEASE_MS_MAX};
    static const int64_t copy[2] = {0, INT32_MAX};
    if (span_equal(name, SPAN("schema"))) {
        return read_schema(value, options, error);
    }
    if (span_equal(name, SPAN("lease_ms"))) {
        return read_number(name, value, lease, &options->lease_ms, error);
    }
    if (span_equal(name, SPAN("copy_above"))) {
        return read_number(name, value, copy, &options->copy_above, error);
    }
    if (span_equal(name, SPAN("account_index"))) {
        options->account_index = span_equal(value, SPAN("on"));
        if (!options->account_index && !span_equal(value, SPAN("off"))) {
            return store_error_set(error, ERR_INVALID, "ledger URL: account_index is on or off");
        }
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

err_t
store_pg_url(
    const char *url, struct store_pg_options *ret_options, char *ret_url, struct store_error *error)
{
    *ret_options = (struct store_pg_options){
        .schema = "tael_ledger", .lease_ms = LEASE_MS_DEFAULT, .copy_above = COPY_ABOVE_DEFAULT};
    struct span rest = span_from_cstr(url);
    struct span base = span_cut(&rest, '?');
    memcpy(ret_url, base.data, base.size);
    size_t length = base.size;
    char separator = '?';
    while (rest.size > 0) {
        struct span pair = span_cut(&rest, '&');
        struct span value = pair;
        struct span name = span_cut(&value, '=');
        err_t code = read_option(name, value, ret_options, error);
        if (code == ERR_NOT_FOUND) {
            ret_url[length++] = separator;
            memcpy(ret_url + length, pair.data, pair.size);
            length += pair.size;
            separator = '&';
        } else if (code != ERR_OK) {
            return code;
        }
    }
    ASSERT(length <= strlen(url));
    ret_url[length] = '\0';
    return ERR_OK;
}
