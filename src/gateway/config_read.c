#include "config_read.h"

#include "base/assert.h"
#include "base/ip.h"
#include "http/writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static size_t
line_of(struct span text, size_t position)
{
    size_t line = 1;
    for (size_t i = 0; i < position && i < text.size; i++) {
        line += text.data[i] == '\n' ? 1 : 0;
    }
    return line;
}

err_t
gateway_reader_fail(
    const struct gateway_reader *reader, const struct json_value *value, const char *format, ...)
{
    char reason[SETTING_MESSAGE_SIZE + 64];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    struct span path = json_value_path(value, reader->arena);
    (void)snprintf(
        reader->message,
        GATEWAY_MESSAGE_SIZE,
        "line %zu: %.*s%s%.300s",
        line_of(reader->text, value->position),
        (int)(path.size > 120 ? 120 : path.size),
        path.size == 0 ? "" : path.data,
        path.size == 0 ? "" : ": ",
        reason);
    return ERR_INVALID;
}

static bool
is_in(struct span name, const char *const *names)
{
    for (; names != NULL && *names != NULL; names++) {
        if (span_equal_cstr(name, *names)) {
            return true;
        }
    }
    return false;
}

/* A scalar as settings_set wants it. */
static err_t
scalar_text(const struct gateway_reader *reader, const struct json_value *value, struct span *ret)
{
    switch (value->kind) {
    case JSON_KIND_BOOL:
        *ret = value->boolean ? SPAN("true") : SPAN("false");
        return ERR_OK;
    case JSON_KIND_INTEGER:
    case JSON_KIND_TEXT:
        *ret = value->text;
        return ERR_OK;
    case JSON_KIND_NULL:
    case JSON_KIND_DECIMAL:
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
        break;
    }
    return gateway_reader_fail(reader, value, "must be a text, a whole number, true or false");
}

static err_t
set_member(
    const struct gateway_reader *reader,
    const struct json_value *member,
    const struct gateway_table *table,
    void *values)
{
    struct span text = SPAN_EMPTY;
    char message[SETTING_MESSAGE_SIZE];
    TRY(scalar_text(reader, member, &text));
    if (settings_set(table->settings, table->count, values, member->name, text, message) !=
        ERR_OK) {
        return gateway_reader_fail(reader, member, "%s", message);
    }
    return ERR_OK;
}

err_t
gateway_reader_is_object(const struct gateway_reader *reader, const struct json_value *value)
{
    if (value->kind != JSON_KIND_OBJECT) {
        return gateway_reader_fail(reader, value, "must be an object");
    }
    return ERR_OK;
}

err_t
gateway_reader_scalars(
    const struct gateway_reader *reader,
    const struct json_value *object,
    const struct gateway_table *table,
    void *values,
    const char *const *others)
{
    TRY(gateway_reader_is_object(reader, object));
    settings_defaults(table->settings, table->count, values);
    for (const struct json_value *member = object->first_child; member != NULL;
         member = member->next) {
        if (is_in(member->name, others)) {
            continue;
        }
        TRY(set_member(reader, member, table, values));
    }
    return ERR_OK;
}

err_t
gateway_reader_is_list(
    const struct gateway_reader *reader, const struct json_value *list, size_t count_max)
{
    if (list == NULL) {
        return ERR_OK;
    }
    if (list->kind != JSON_KIND_ARRAY) {
        return gateway_reader_fail(reader, list, "must be a list");
    }
    if (list->child_count > count_max) {
        return gateway_reader_fail(reader, list, "has more than %zu items", count_max);
    }
    return ERR_OK;
}

err_t
gateway_reader_texts(
    const struct gateway_reader *reader,
    const struct json_value *list,
    size_t count_max,
    const struct span **ret_texts,
    size_t *ret_count)
{
    *ret_texts = NULL;
    *ret_count = 0;
    TRY(gateway_reader_is_list(reader, list, count_max));
    if (list == NULL || list->child_count == 0) {
        return ERR_OK;
    }
    struct span *texts = ARENA_ARRAY(reader->arena, struct span, list->child_count);
    if (texts == NULL) {
        return ERR_MEMORY;
    }
    size_t count = 0;
    for (const struct json_value *item = list->first_child; item != NULL; item = item->next) {
        if (json_value_text(item, &texts[count]) != ERR_OK) {
            return gateway_reader_fail(reader, item, "must be a text");
        }
        count++;
    }
    *ret_texts = texts;
    *ret_count = count;
    return ERR_OK;
}

err_t
gateway_reader_cidrs(
    const struct gateway_reader *reader,
    const struct json_value *list,
    const struct gateway_cidr **ret_cidrs,
    size_t *ret_count)
{
    const struct span *texts;
    size_t count;
    TRY(gateway_reader_texts(reader, list, GATEWAY_CIDRS_MAX, &texts, &count));
    struct gateway_cidr *cidrs = ARENA_ARRAY(reader->arena, struct gateway_cidr, count + 1);
    if (cidrs == NULL) {
        return ERR_MEMORY;
    }
    const struct json_value *item = list == NULL ? NULL : list->first_child;
    for (size_t i = 0; i < count; i++, item = item->next) {
        ASSERT(item != NULL);
        if (gateway_cidr_parse(texts[i], &cidrs[i]) != ERR_OK) {
            return gateway_reader_fail(
                reader,
                item,
                "must be an address or a network such as 10.0.0.0/8 or 2001:db8::/32");
        }
    }
    *ret_cidrs = cidrs;
    *ret_count = count;
    return ERR_OK;
}

err_t
gateway_reader_networks(
    const struct gateway_reader *reader,
    const struct json_value *object,
    struct gateway_networks *ret_networks)
{
    struct gateway_networks networks = {.allow = NULL};
    TRY(gateway_reader_cidrs(
        reader, json_value_member(object, SPAN("allow")), &networks.allow, &networks.allow_count));
    TRY(gateway_reader_cidrs(
        reader, json_value_member(object, SPAN("deny")), &networks.deny, &networks.deny_count));
    *ret_networks = networks;
    return ERR_OK;
}

err_t
gateway_reader_headers(
    const struct gateway_reader *reader,
    const struct json_value *object,
    const struct http_header **ret_headers,
    size_t *ret_count)
{
    *ret_headers = NULL;
    *ret_count = 0;
    if (object == NULL) {
        return ERR_OK;
    }
    TRY(gateway_reader_is_object(reader, object));
    if (object->child_count > GATEWAY_HEADERS_MAX) {
        return gateway_reader_fail(reader, object, "has more than %d headers", GATEWAY_HEADERS_MAX);
    }
    struct http_header *headers =
        ARENA_ARRAY(reader->arena, struct http_header, object->child_count + 1);
    if (headers == NULL) {
        return ERR_MEMORY;
    }
    size_t count = 0;
    for (const struct json_value *item = object->first_child; item != NULL; item = item->next) {
        struct span value;
        if (!http_name_is_valid(item->name)) {
            return gateway_reader_fail(reader, item, "is not the name of a header");
        }
        if (json_value_text(item, &value) != ERR_OK || !http_value_is_valid(value)) {
            return gateway_reader_fail(reader, item, "is not the value of a header");
        }
        headers[count++] = (struct http_header){.name = item->name, .value = value};
    }
    *ret_headers = headers;
    *ret_count = count;
    return ERR_OK;
}

static struct gateway_limit_rule
rule_of(int64_t rate, int64_t burst, int64_t concurrent)
{
    return gateway_limit_rule_make((uint64_t)rate, (uint64_t)burst, (uint64_t)concurrent);
}

err_t
gateway_reader_burst(
    const struct gateway_reader *reader,
    const struct json_value *object,
    const char *prefix,
    int64_t rate,
    int64_t burst)
{
    if (rate > 0 || burst == 0) {
        return ERR_OK;
    }
    return gateway_reader_fail(
        reader, object, "%sburst without %srate limits nothing", prefix, prefix);
}

err_t
gateway_reader_limits(
    const struct gateway_reader *reader,
    const struct json_value *object,
    struct gateway_limits_config *config,
    struct gateway_limits *ret_limits)
{
    const struct gateway_table *table = &gateway_table_route_limits;
    if (object == NULL) {
        settings_defaults(table->settings, table->count, config);
    } else {
        TRY(gateway_reader_scalars(reader, object, table, config, NULL));
        TRY(gateway_reader_burst(reader, object, "", config->rate, config->burst));
        TRY(gateway_reader_burst(reader, object, "key_", config->key_rate, config->key_burst));
        TRY(gateway_reader_burst(
            reader, object, "address_", config->address_rate, config->address_burst));
    }
    ret_limits->all = rule_of(config->rate, config->burst, config->concurrent);
    ret_limits->key = rule_of(config->key_rate, config->key_burst, config->key_concurrent);
    ret_limits->address =
        rule_of(config->address_rate, config->address_burst, config->address_concurrent);
    return ERR_OK;
}

bool
gateway_name_is_valid(struct span name)
{
    if (name.size == 0 || name.size >= GATEWAY_NAME_SIZE) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        char byte = name.data[i];
        bool good = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                    (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.';
        if (!good) {
            return false;
        }
    }
    return true;
}

bool
gateway_address_is_valid(struct span address, bool any_port)
{
    struct span host;
    uint16_t port;
    return ip_port_split(address, &host, &port) && host.size < GATEWAY_HOST_SIZE &&
           (port != 0 || any_port);
}
