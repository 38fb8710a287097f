#include "config_read.h"

#include "base/assert.h"
#include "base/ip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values of a whole file: routes, their limits, headers and networks. */
#define VALUES_MAX 200000

struct listen_address {
    uint8_t ip[16];
    uint16_t port;
};

/* "IP:PORT": a name would be looked up, and may have several addresses. */
static bool
listen_address_parse(const char *text, struct listen_address *ret_address)
{
    struct span span = span_from_cstr(text);
    struct span host;
    return ip_port_split(span, &host, &ret_address->port) &&
           gateway_ip_parse(span, ret_address->ip) == ERR_OK;
}

/* "[::]" takes every address, "0.0.0.0" every one of IPv4. */
static bool
listen_address_covers(const struct listen_address *a, const struct listen_address *b)
{
    static const uint8_t any[16];
    static const uint8_t any_v4[16] = {[10] = 0xff, [11] = 0xff};
    return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 || memcmp(a->ip, any, sizeof(any)) == 0 ||
           (memcmp(a->ip, any_v4, sizeof(any_v4)) == 0 && ip_is_v4(b->ip));
}

/* Whether only one of the two can be listened at. Both were parsed before. */
static bool
addresses_meet(const char *a_text, const char *b_text)
{
    struct listen_address a;
    struct listen_address b;
    return listen_address_parse(a_text, &a) && listen_address_parse(b_text, &b) &&
           a.port == b.port && a.port != 0 &&
           (listen_address_covers(&a, &b) || listen_address_covers(&b, &a));
}

static err_t
read_listener(
    const struct gateway_reader *reader,
    const struct json_value *value,
    struct gateway_listener_config *listener)
{
    TRY(gateway_reader_scalars(reader, value, &gateway_table_listener, listener, NULL));
    struct listen_address address;
    if (!listen_address_parse(listener->address, &address)) {
        return gateway_reader_fail(reader, value, "address must be IP:PORT");
    }
    if ((listener->certificate[0] == '\0') != (listener->key[0] == '\0')) {
        return gateway_reader_fail(reader, value, "certificate and key go together");
    }
    return ERR_OK;
}

static err_t
read_listeners(
    const struct gateway_reader *reader,
    const struct json_value *root,
    struct gateway_config *config)
{
    const struct json_value *list = json_value_member(root, SPAN("listeners"));
    TRY(gateway_reader_is_list(reader, list, GATEWAY_LISTENERS_MAX));
    if (list == NULL || list->child_count == 0) {
        return gateway_reader_fail(
            reader, list == NULL ? root : list, "listeners: there must be at least one");
    }
    config->listeners =
        ARENA_ARRAY(reader->arena, struct gateway_listener_config, list->child_count);
    if (config->listeners == NULL) {
        return ERR_MEMORY;
    }
    for (const struct json_value *item = list->first_child; item != NULL; item = item->next) {
        struct gateway_listener_config *listener = &config->listeners[config->listener_count];
        TRY(read_listener(reader, item, listener));
        const struct json_value *address = json_value_member(item, SPAN("address"));
        if (config->admin_address[0] != '\0' &&
            addresses_meet(config->admin_address, listener->address)) {
            return gateway_reader_fail(reader, address, "is the operators' too (admin.address)");
        }
        for (size_t i = 0; i < config->listener_count; i++) {
            if (addresses_meet(config->listeners[i].address, listener->address)) {
                return gateway_reader_fail(reader, item, "address is another listener's too");
            }
        }
        config->listener_count++;
    }
    return ERR_OK;
}

/* "sk_live_...Ab3d" */
static bool
key_match_is_valid(struct span match)
{
    size_t dots = 8;
    if (match.size < 8 + 3 + 4 || !span_equal(span_slice(match, dots, dots + 3), SPAN("..."))) {
        return false;
    }
    struct span kind = span_slice(match, 0, 3);
    struct span mode = span_slice(match, 3, 8);
    return (span_equal(kind, SPAN("sk_")) || span_equal(kind, SPAN("rk_")) ||
            span_equal(kind, SPAN("pk_"))) &&
           (span_equal(mode, SPAN("live_")) || span_equal(mode, SPAN("test_")));
}

static err_t
read_keys(
    const struct gateway_reader *reader,
    const struct json_value *list,
    struct gateway_config *config)
{
    static const char *const others[] = {"allow", "deny", NULL};
    TRY(gateway_reader_is_list(reader, list, GATEWAY_KEYS_MAX));
    if (list == NULL || list->child_count == 0) {
        return ERR_OK;
    }
    config->keys = ARENA_ARRAY(reader->arena, struct gateway_key_rule, list->child_count);
    if (config->keys == NULL) {
        return ERR_MEMORY;
    }
    for (const struct json_value *item = list->first_child; item != NULL; item = item->next) {
        struct gateway_key_rule *key = &config->keys[config->key_count];
        TRY(gateway_reader_scalars(reader, item, &gateway_table_key, key, others));
        if (!key_match_is_valid(span_from_cstr(key->match))) {
            return gateway_reader_fail(
                reader,
                item,
                "match must be the beginning, three dots and the last 4 or more of a key, as in "
                "sk_live_...Ab3d");
        }
        TRY(gateway_reader_burst(reader, item, "", key->rate, key->burst));
        TRY(gateway_reader_networks(reader, item, &key->networks));
        key->rule = gateway_limit_rule_make(
            (uint64_t)key->rate, (uint64_t)key->burst, (uint64_t)key->concurrent);
        config->key_count++;
    }
    return ERR_OK;
}

static err_t
read_redis(
    const struct gateway_reader *reader,
    const struct json_value *object,
    struct gateway_config *config)
{
    if (object == NULL) {
        const struct gateway_table *table = &gateway_table_redis;
        settings_defaults(table->settings, table->count, &config->redis);
        return ERR_OK;
    }
    TRY(gateway_reader_scalars(reader, object, &gateway_table_redis, &config->redis, NULL));
    uint8_t ip[16];
    struct span address = span_from_cstr(config->redis.address);
    /* A name would be looked up on the loop of sockets, which must not wait. */
    if (!gateway_address_is_valid(address, false) || gateway_ip_parse(address, ip) != ERR_OK) {
        return gateway_reader_fail(reader, object, "address must be IP:PORT");
    }
    return ERR_OK;
}

static err_t
read_admin(
    const struct gateway_reader *reader,
    const struct json_value *object,
    struct gateway_config *config)
{
    if (object == NULL) {
        return ERR_OK;
    }
    TRY(gateway_reader_scalars(reader, object, &gateway_table_admin, config, NULL));
    struct listen_address address;
    if (!listen_address_parse(config->admin_address, &address)) {
        return gateway_reader_fail(reader, object, "address must be IP:PORT");
    }
    return ERR_OK;
}

static err_t
read_root(
    const struct gateway_reader *reader,
    const struct json_value *root,
    struct gateway_config *config)
{
    static const char *const others[] = {
        "listeners",
        "admin",
        "upstreams",
        "routes",
        "keys",
        "limits",
        "redis",
        "trusted_proxies",
        NULL};
    TRY(gateway_reader_scalars(reader, root, &gateway_table_top, config, others));
    TRY(read_admin(reader, json_value_member(root, SPAN("admin")), config));
    TRY(read_listeners(reader, root, config));
    const struct json_value *upstreams = json_value_member(root, SPAN("upstreams"));
    if (upstreams == NULL) {
        return gateway_reader_fail(reader, root, "upstreams: there must be at least one");
    }
    TRY(gateway_config_read_upstreams(reader, upstreams, config));
    const struct json_value *routes = json_value_member(root, SPAN("routes"));
    if (routes == NULL) {
        return gateway_reader_fail(reader, root, "routes: there must be at least one");
    }
    TRY(gateway_config_read_routes(reader, routes, config));
    TRY(read_keys(reader, json_value_member(root, SPAN("keys")), config));
    TRY(gateway_reader_limits(
        reader, json_value_member(root, SPAN("limits")), &config->limits_config, &config->limits));
    TRY(gateway_reader_cidrs(
        reader,
        json_value_member(root, SPAN("trusted_proxies")),
        &config->trusted,
        &config->trusted_count));
    return read_redis(reader, json_value_member(root, SPAN("redis")), config);
}

static err_t
read_text(struct gateway_reader *reader, struct span text, struct gateway_config *config)
{
    reader->text = arena_copy(&config->arena, text);
    struct json_value *root;
    struct json_problem problem;
    if (reader->text.data == NULL && text.size > 0) {
        return ERR_MEMORY;
    }
    err_t result = json_read(reader->text, &config->arena, VALUES_MAX, &root, &problem);
    if (result != ERR_OK) {
        struct json_value place = {.position = (uint32_t)problem.position};
        (void)gateway_reader_fail(
            reader,
            &place,
            "%.*s%s%s",
            (int)problem.path.size,
            problem.path.size == 0 ? "" : problem.path.data,
            problem.path.size == 0 ? "" : ": ",
            problem.message);
        return result;
    }
    return read_root(reader, root, config);
}

err_t
gateway_config_read(
    struct span text, struct gateway_config **ret_config, char message[GATEWAY_MESSAGE_SIZE])
{
    message[0] = '\0';
    if (text.size > GATEWAY_CONFIG_BYTES_MAX) {
        (void)snprintf(message, GATEWAY_MESSAGE_SIZE, "the file has more than 4 MiB");
        return ERR_FULL;
    }
    struct gateway_config *config = calloc(1, sizeof(*config));
    if (config == NULL) {
        (void)snprintf(message, GATEWAY_MESSAGE_SIZE, "%s", err_text(ERR_MEMORY));
        return ERR_MEMORY;
    }
    arena_init(&config->arena, GATEWAY_CONFIG_ARENA_MAX);
    struct gateway_reader reader = {.arena = &config->arena, .message = message};
    err_t result = read_text(&reader, text, config);
    if (result != ERR_OK) {
        if (message[0] == '\0') {
            (void)snprintf(message, GATEWAY_MESSAGE_SIZE, "%s", err_text(result));
        }
        gateway_config_destroy(&config);
        return result;
    }
    ASSERT(config->route_count > 0);
    *ret_config = config;
    return ERR_OK;
}

void
gateway_config_destroy(struct gateway_config **config)
{
    if (*config == NULL) {
        return;
    }
    arena_release(&(*config)->arena);
    free(*config);
    *config = NULL;
}
