/* The part "upstreams" of the configuration. */
#include "config_read.h"

#include "balance/balance.h"
#include "base/hash.h"

#include <string.h>

static err_t
read_endpoint(
    const struct gateway_reader *reader,
    const struct json_value *value,
    struct gateway_endpoint_config *endpoint)
{
    const struct gateway_table *table = &gateway_table_endpoint;
    if (value->kind == JSON_KIND_TEXT) {
        settings_defaults(table->settings, table->count, endpoint);
        if (value->text.size < sizeof(endpoint->address)) {
            memcpy(endpoint->address, value->text.data, value->text.size);
        }
    } else {
        TRY(gateway_reader_scalars(reader, value, table, endpoint, NULL));
    }
    if (!gateway_address_is_valid(span_from_cstr(endpoint->address), false)) {
        return gateway_reader_fail(reader, value, "must be host:port");
    }
    return ERR_OK;
}

static err_t
read_endpoints(
    const struct gateway_reader *reader,
    const struct json_value *list,
    struct gateway_upstream_config *upstream)
{
    TRY(gateway_reader_is_list(reader, list, GATEWAY_ENDPOINTS_MAX));
    if (list == NULL || list->child_count == 0) {
        return ERR_OK;
    }
    upstream->endpoints =
        ARENA_ARRAY(reader->arena, struct gateway_endpoint_config, list->child_count);
    if (upstream->endpoints == NULL) {
        return ERR_MEMORY;
    }
    for (const struct json_value *item = list->first_child; item != NULL; item = item->next) {
        struct gateway_endpoint_config *endpoint = &upstream->endpoints[upstream->endpoint_count];
        TRY(read_endpoint(reader, item, endpoint));
        for (size_t i = 0; i < upstream->endpoint_count; i++) {
            if (strcmp(upstream->endpoints[i].address, endpoint->address) == 0) {
                return gateway_reader_fail(reader, item, "is there twice");
            }
        }
        upstream->endpoint_count++;
    }
    return ERR_OK;
}

static bool
policy_is_known(const char *name)
{
    for (int policy = 0; policy < BALANCE_POLICY_COUNT; policy++) {
        if (strcmp(name, balance_policy_name((enum balance_policy)policy)) == 0) {
            return true;
        }
    }
    return false;
}

static uint64_t
mix(uint64_t sum, const struct json_value *value)
{
    static const struct hash_key key = {0x7461656c, 0x67617465};
    sum = hash_u64(sum ^ (uint64_t)value->kind ^ (value->boolean ? 256 : 0));
    sum = hash_u64(sum ^ hash_keyed(key, value->name));
    return hash_u64(sum ^ hash_keyed(key, value->text));
}

/* Of what is written but the endpoints, white space apart: upstreams that have the same share their
 * connections and what is known of their endpoints. */
static uint64_t
fingerprint_of(const struct json_value *root)
{
    uint64_t sum = mix(0, root);
    const struct json_value *value = root->first_child;
    while (value != NULL) {
        bool skipped = value->parent == root && span_equal(value->name, SPAN("endpoints"));
        sum = skipped ? hash_u64(sum) : mix(sum, value);
        if (value->first_child != NULL && !skipped) {
            value = value->first_child;
            continue;
        }
        while (value != root && value->next == NULL) {
            value = value->parent;
            sum = hash_u64(sum);
        }
        value = value == root ? NULL : value->next;
    }
    return sum;
}

static err_t
check_source(
    const struct gateway_reader *reader,
    const struct json_value *value,
    const struct gateway_upstream_config *upstream)
{
    int sources = (upstream->endpoint_count > 0 ? 1 : 0) + (upstream->dns[0] != '\0' ? 1 : 0) +
                  (upstream->file[0] != '\0' ? 1 : 0);
    if (sources != 1) {
        return gateway_reader_fail(
            reader, value, "must have endpoints, dns or file, and only one of them");
    }
    if (upstream->dns[0] != '\0' &&
        !gateway_address_is_valid(span_from_cstr(upstream->dns), false)) {
        return gateway_reader_fail(reader, value, "dns must be name:port");
    }
    if (upstream->tls_ca[0] != '\0' && !upstream->tls) {
        return gateway_reader_fail(
            reader, value, "tls_ca without tls: the endpoints would be spoken to in the clear");
    }
    if (upstream->health_path[0] != '\0' && upstream->health_path[0] != '/') {
        return gateway_reader_fail(reader, value, "health_path must begin with /");
    }
    if (!policy_is_known(upstream->policy)) {
        return gateway_reader_fail(reader, value, "policy is none of those that there are");
    }
    return ERR_OK;
}

static err_t
read_upstream(
    const struct gateway_reader *reader,
    const struct json_value *value,
    struct gateway_upstream_config *upstream)
{
    static const char *const others[] = {"endpoints", NULL};
    if (!gateway_name_is_valid(value->name)) {
        return gateway_reader_fail(
            reader,
            value,
            "the name has other bytes than letters, digits, "
            "-, _ and ., or more than 63");
    }
    TRY(gateway_reader_scalars(reader, value, &gateway_table_upstream, upstream, others));
    memcpy(upstream->name, value->name.data, value->name.size);
    TRY(read_endpoints(reader, json_value_member(value, SPAN("endpoints")), upstream));
    upstream->fingerprint = fingerprint_of(value);
    return check_source(reader, value, upstream);
}

err_t
gateway_config_read_upstreams(
    const struct gateway_reader *reader,
    const struct json_value *object,
    struct gateway_config *config)
{
    TRY(gateway_reader_is_object(reader, object));
    if (object->child_count == 0 || object->child_count > GATEWAY_UPSTREAMS_MAX) {
        return gateway_reader_fail(
            reader, object, "there must be 1 to %d upstreams", GATEWAY_UPSTREAMS_MAX);
    }
    config->upstreams =
        ARENA_ARRAY(reader->arena, struct gateway_upstream_config, object->child_count);
    if (config->upstreams == NULL) {
        return ERR_MEMORY;
    }
    for (const struct json_value *item = object->first_child; item != NULL; item = item->next) {
        TRY(read_upstream(reader, item, &config->upstreams[config->upstream_count]));
        config->upstream_count++;
    }
    return ERR_OK;
}
