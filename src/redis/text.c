#include "text.h"

#include "base/assert.h"
#include "base/buf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------- URL */

static bool
complain(char message[REDIS_MESSAGE_SIZE], const char *what)
{
    (void)snprintf(message, REDIS_MESSAGE_SIZE, "%s", what);
    return false;
}

static bool
take_word(struct span text, char *out, size_t size)
{
    if (text.size >= size || (text.size > 0 && memchr(text.data, '\0', text.size) != NULL)) {
        return false;
    }
    if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    out[text.size] = '\0';
    return true;
}

/* Where `byte` is last, or -1. */
static int64_t
last_of(struct span text, char byte)
{
    for (size_t i = text.size; i > 0; i--) {
        if (text.data[i - 1] == byte) {
            return (int64_t)i - 1;
        }
    }
    return -1;
}

static bool
parse_who(struct span who, struct redis_url *url, char message[REDIS_MESSAGE_SIZE])
{
    struct span password = who;
    struct span user = span_cut(&password, ':');
    if (!take_word(user, url->user, sizeof(url->user)) ||
        !take_word(password, url->password, sizeof(url->password))) {
        return complain(message, "user or password: longer than 255 characters");
    }
    return user.size == 0 || password.size > 0 || complain(message, "a user without a password");
}

static bool
parse_where(struct span where, struct redis_url *url, char message[REDIS_MESSAGE_SIZE])
{
    int64_t colon = last_of(where, ':');
    uint64_t port = 0;
    if (colon < 0 || !span_parse_u64(span_slice(where, (size_t)colon + 1, where.size), &port) ||
        port == 0 || port > UINT16_MAX) {
        return complain(message, "no port: redis://HOST:PORT");
    }
    struct span host = span_slice(where, 0, (size_t)colon);
    if (host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']') {
        host = span_slice(host, 1, host.size - 1);
    } else if (last_of(host, ':') >= 0) {
        return complain(message, "an IPv6 address stands in brackets");
    }
    if (host.size == 0 || !take_word(host, url->host, sizeof(url->host))) {
        return complain(message, "no host: redis://HOST:PORT");
    }
    url->port = (uint16_t)port;
    return true;
}

bool
redis_url_parse(struct span text, struct redis_url *ret_url, char message[REDIS_MESSAGE_SIZE])
{
    struct redis_url url = {.database = 0};
    static const char scheme[] = "redis://";
    if (!span_starts_with(text, SPAN("redis://"))) {
        return complain(message, "not redis://HOST:PORT");
    }
    struct span rest = span_slice(text, sizeof(scheme) - 1, text.size);
    int64_t at = last_of(rest, '@');
    if (at >= 0) {
        if (!parse_who(span_slice(rest, 0, (size_t)at), &url, message)) {
            return false;
        }
        rest = span_slice(rest, (size_t)at + 1, rest.size);
    }
    struct span database = rest;
    struct span where = span_cut(&database, '/');
    uint64_t number = 0;
    if (database.size > 0 && (!span_parse_u64(database, &number) || number > 65535)) {
        return complain(message, "behind the port stands at most the number of a database");
    }
    url.database = (uint32_t)number;
    if (!parse_where(where, &url, message)) {
        return false;
    }
    *ret_url = url;
    return true;
}

/* ---------------------------------------------------------------------------------------- texts */

void
redis_version_text(uint64_t version, char out[REDIS_VERSION_SIZE + 1])
{
    (void)snprintf(out, REDIS_VERSION_SIZE + 1, "%020" PRIu64, version);
}

void
redis_key_text(const struct cache_key *key, char out[REDIS_KEY_TEXT_SIZE + 1])
{
    struct buf text;
    buf_init_fixed(&text, out, REDIS_KEY_TEXT_SIZE);
    buf_append_hex(&text, key->bytes, CACHE_KEY_SIZE);
    ASSERT(!buf_failed(&text));
    out[REDIS_KEY_TEXT_SIZE] = '\0';
}

void
redis_lease_text(uint64_t lease, char out[REDIS_LEASE_SIZE + 1])
{
    (void)snprintf(out, REDIS_LEASE_SIZE + 1, "%016" PRIx64, lease);
}

static bool
parse_version(struct span text, uint64_t *ret_version)
{
    return text.size == REDIS_VERSION_SIZE && text.data[0] >= '0' && text.data[0] <= '9' &&
           span_parse_u64(text, ret_version);
}

bool
redis_value_decode(struct span text, uint64_t *ret_version, struct span *ret_value)
{
    if (text.size < 1 + REDIS_VERSION_SIZE || text.data[0] != 'V' ||
        text.size > 1 + REDIS_VERSION_SIZE + PORT_CACHE_VALUE_MAX) {
        return false;
    }
    if (!parse_version(span_slice(text, 1, 1 + REDIS_VERSION_SIZE), ret_version)) {
        return false;
    }
    *ret_value = span_slice(text, 1 + REDIS_VERSION_SIZE, text.size);
    return true;
}

void
redis_told_encode(const struct cache_key *key, uint64_t version, char out[REDIS_TOLD_SIZE + 1])
{
    out[0] = 'f';
    redis_key_text(key, out + 1);
    redis_version_text(version, out + 1 + REDIS_KEY_TEXT_SIZE);
}

enum redis_told
redis_told_decode(struct span text, struct cache_key *ret_key, uint64_t *ret_version)
{
    if (span_equal(text, SPAN("alive"))) {
        return REDIS_TOLD_ALIVE;
    }
    if (text.size != REDIS_TOLD_SIZE || text.data[0] != 'f' ||
        !span_parse_hex(
            span_slice(text, 1, 1 + REDIS_KEY_TEXT_SIZE), ret_key->bytes, CACHE_KEY_SIZE) ||
        !parse_version(span_slice(text, 1 + REDIS_KEY_TEXT_SIZE, text.size), ret_version)) {
        return REDIS_TOLD_OTHER;
    }
    return REDIS_TOLD_FORGET;
}
