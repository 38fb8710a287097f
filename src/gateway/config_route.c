/* The part "routes" of the configuration. */
#include "config_read.h"
#include "match.h"
#include "path.h"

#include "base/assert.h"
#include "http/writer.h"

#include <stdlib.h>
#include <string.h>

static err_t
upstream_find(
    const struct gateway_reader *reader,
    const struct json_value *value,
    const struct gateway_config *config,
    const char *name,
    uint32_t *ret_index)
{
    for (size_t i = 0; i < config->upstream_count; i++) {
        if (strcmp(config->upstreams[i].name, name) == 0) {
            *ret_index = (uint32_t)i;
            return ERR_OK;
        }
    }
    return gateway_reader_fail(reader, value, "there is no upstream '%s'", name);
}

static err_t
read_split(
    const struct gateway_reader *reader,
    const struct json_value *value,
    const struct gateway_config *config,
    struct gateway_route *route)
{
    const struct json_value *list = json_value_member(value, SPAN("split"));
    TRY(gateway_reader_is_list(reader, list, GATEWAY_SPLITS_MAX));
    size_t count = list == NULL ? 1 : list->child_count;
    if ((list != NULL) == (route->upstream_name[0] != '\0') || count == 0) {
        return gateway_reader_fail(reader, value, "must have upstream or split, not both");
    }
    route->splits = ARENA_ARRAY(reader->arena, struct gateway_split, count);
    if (route->splits == NULL) {
        return ERR_MEMORY;
    }
    route->split_count = count;
    if (list == NULL && route->sticky_name[0] != '\0') {
        return gateway_reader_fail(
            reader,
            json_value_member(value, SPAN("sticky")),
            "without split there is nothing to choose");
    }
    if (list == NULL) {
        route->splits[0].weight = 1;
        route->split_total = 1;
        return upstream_find(
            reader, value, config, route->upstream_name, &route->splits[0].upstream_index);
    }
    const struct json_value *item = list->first_child;
    for (size_t i = 0; i < count; i++, item = item->next) {
        struct gateway_split *split = &route->splits[i];
        TRY(gateway_reader_scalars(reader, item, &gateway_table_split, split, NULL));
        TRY(upstream_find(reader, item, config, split->upstream, &split->upstream_index));
        route->split_total += (uint32_t)split->weight;
    }
    if (route->split_total == 0) {
        return gateway_reader_fail(reader, list, "all weights are 0");
    }
    return ERR_OK;
}

/* A word of a small set, as its position. */
static err_t
choose(
    const struct gateway_reader *reader,
    const struct json_value *value,
    const char *word,
    const char *const *words,
    uint32_t *ret_position)
{
    for (uint32_t i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0) {
            *ret_position = i;
            return ERR_OK;
        }
    }
    return gateway_reader_fail(
        reader, value, "'%.40s' is none of the words that may stand here", word);
}

static err_t
read_methods(
    const struct gateway_reader *reader,
    const struct json_value *value,
    struct gateway_route *route)
{
    const struct json_value *list = json_value_member(value, SPAN("methods"));
    const struct span *texts;
    size_t count;
    TRY(gateway_reader_texts(reader, list, 8, &texts, &count));
    for (size_t i = 0; i < count; i++) {
        uint32_t method = HTTP_METHOD_GET;
        while (method < HTTP_METHOD_TRACE &&
               !span_equal(http_method_text((enum http_method)method), texts[i])) {
            method++;
        }
        if (method == HTTP_METHOD_TRACE) {
            return gateway_reader_fail(
                reader, list, "has none of GET, HEAD, POST, PUT, DELETE, PATCH and OPTIONS");
        }
        route->methods |= 1U << method;
    }
    return ERR_OK;
}

static err_t
read_kinds(
    const struct gateway_reader *reader,
    const struct json_value *value,
    struct gateway_route *route)
{
    const struct json_value *list = json_value_member(value, SPAN("keys"));
    const struct span *texts;
    size_t count;
    TRY(gateway_reader_texts(reader, list, 3, &texts, &count));
    for (size_t i = 0; i < count; i++) {
        uint32_t kind = GATEWAY_KEY_SECRET;
        while (kind <= GATEWAY_KEY_PUBLISHABLE &&
               !span_equal_cstr(texts[i], gateway_key_kind_name((enum gateway_key_kind)kind))) {
            kind++;
        }
        if (kind > GATEWAY_KEY_PUBLISHABLE) {
            return gateway_reader_fail(
                reader, list, "has none of secret, restricted and publishable");
        }
        route->kinds |= 1U << kind;
    }
    if (count == 0) {
        route->kinds = UINT32_MAX;
    }
    return ERR_OK;
}

static err_t
read_sticky(
    const struct gateway_reader *reader,
    const struct json_value *value,
    struct gateway_route *route)
{
    struct span text = span_from_cstr(route->sticky_name);
    if (text.size == 0) {
        route->sticky = GATEWAY_STICKY_NONE;
    } else if (span_equal(text, SPAN("key"))) {
        route->sticky = GATEWAY_STICKY_KEY;
    } else if (span_equal(text, SPAN("address"))) {
        route->sticky = GATEWAY_STICKY_ADDRESS;
    } else if (span_starts_with(text, SPAN("header:"))) {
        route->sticky = GATEWAY_STICKY_HEADER;
        route->sticky_header = span_slice(text, 7, text.size);
    }
    bool bad_header =
        route->sticky == GATEWAY_STICKY_HEADER && !http_name_is_valid(route->sticky_header);
    if (bad_header || (text.size > 0 && route->sticky == GATEWAY_STICKY_NONE)) {
        return gateway_reader_fail(reader, value, "sticky must be key, address or header:NAME");
    }
    return ERR_OK;
}

static err_t
read_header_matches(
    const struct gateway_reader *reader,
    const struct json_value *value,
    struct gateway_route *route)
{
    const struct http_header *headers;
    size_t count;
    TRY(gateway_reader_headers(
        reader, json_value_member(value, SPAN("headers")), &headers, &count));
    struct gateway_header_match *matches =
        ARENA_ARRAY(reader->arena, struct gateway_header_match, count + 1);
    if (matches == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        matches[i] = (struct gateway_header_match){
            .name = headers[i].name,
            .value = headers[i].value,
            .any_value = span_equal(headers[i].value, SPAN("*")),
        };
    }
    route->headers = matches;
    route->header_count = count;
    return ERR_OK;
}

/* What the gateway itself decides cannot be set. */
static bool
is_reserved(struct span name)
{
    static const char *const names[] = {
        "connection",
        "content-length",
        "content-type",
        "date",
        "host",
        "transfer-encoding",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "proxy-connection",
        "authorization",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "forwarded",
        "x-request-id",
        "expect",
        NULL};
    for (size_t i = 0; names[i] != NULL; i++) {
        if (span_equal_nocase(name, span_from_cstr(names[i]))) {
            return true;
        }
    }
    return false;
}

static err_t
read_edit(
    const struct gateway_reader *reader,
    const struct json_value *set,
    const struct json_value *remove,
    struct gateway_header_edit *edit)
{
    TRY(gateway_reader_headers(reader, set, &edit->set, &edit->set_count));
    for (size_t i = 0; i < edit->set_count; i++) {
        if (is_reserved(edit->set[i].name)) {
            return gateway_reader_fail(
                reader, set, "names a header that the gateway decides about itself");
        }
    }
    return gateway_reader_texts(
        reader, remove, GATEWAY_HEADERS_MAX, &edit->remove, &edit->remove_count);
}

static err_t
read_edits(
    const struct gateway_reader *reader,
    const struct json_value *value,
    struct gateway_route *route)
{
    TRY(read_edit(
        reader,
        json_value_member(value, SPAN("set_headers")),
        json_value_member(value, SPAN("remove_headers")),
        &route->request));
    return read_edit(
        reader,
        json_value_member(value, SPAN("response_set_headers")),
        json_value_member(value, SPAN("response_remove_headers")),
        &route->response);
}

static err_t
join(struct arena *arena, const struct span *texts, size_t count, struct span *ret_text)
{
    struct buf out;
    buf_init(&out, 4096);
    for (size_t i = 0; i < count; i++) {
        buf_append_cstr(&out, i == 0 ? "" : ", ");
        buf_append_span(&out, texts[i]);
    }
    struct span text = arena_copy(arena, buf_span(&out));
    bool failed = buf_failed(&out) || (out.size > 0 && text.data == NULL);
    buf_release(&out);
    *ret_text = text;
    return failed ? ERR_FULL : ERR_OK;
}

static err_t
read_cors(
    const struct gateway_reader *reader,
    const struct json_value *value,
    struct gateway_route *route)
{
    static const char *const others[] = {"origins", "headers", NULL};
    if (value == NULL) {
        return ERR_OK;
    }
    struct gateway_cors *cors = ARENA_NEW(reader->arena, struct gateway_cors);
    if (cors == NULL) {
        return ERR_MEMORY;
    }
    TRY(gateway_reader_scalars(reader, value, &gateway_table_cors, cors, others));
    const struct json_value *origins = json_value_member(value, SPAN("origins"));
    TRY(gateway_reader_texts(
        reader, origins, GATEWAY_ORIGINS_MAX, &cors->origins, &cors->origin_count));
    if (cors->origin_count == 0) {
        return gateway_reader_fail(reader, value, "has no origins: no browser may read anything");
    }
    for (size_t i = 0; i < cors->origin_count; i++) {
        cors->any_origin = cors->any_origin || span_equal(cors->origins[i], SPAN("*"));
    }
    const struct json_value *list = json_value_member(value, SPAN("headers"));
    const struct span *names;
    size_t count;
    TRY(gateway_reader_texts(reader, list, 32, &names, &count));
    for (size_t i = 0; i < count; i++) {
        if (!http_name_is_valid(names[i])) {
            return gateway_reader_fail(reader, list, "has what is not the name of a header");
        }
    }
    TRY(join(reader->arena, names, count, &cors->allow_headers));
    if (count == 0) {
        cors->allow_headers = SPAN("Authorization, Content-Type, Idempotency-Key, Stripe-Version");
    }
    route->cors = cors;
    return ERR_OK;
}

static err_t
check_paths(
    const struct gateway_reader *reader,
    const struct json_value *value,
    struct gateway_route *route)
{
    bool exact = route->path[0] != '\0';
    if (exact && route->path_prefix[0] != '\0') {
        return gateway_reader_fail(reader, value, "must have path or path_prefix, not both");
    }
    route->path_exact = exact;
    route->path_span = span_from_cstr(exact ? route->path : route->path_prefix);
    if (route->path_span.size == 0) {
        route->path_span = SPAN("/");
    }
    char memory[GATEWAY_PATH_SIZE];
    struct span normal;
    if (gateway_path_normalize(route->path_span, memory, &normal) != ERR_OK ||
        !span_equal(normal, route->path_span)) {
        return gateway_reader_fail(
            reader,
            value,
            "path is not as paths are compared: one reading, nothing encoded that "
            "need not be");
    }
    route->rewrites = route->rewrite_prefix[0] != '\0';
    if (route->rewrites &&
        gateway_path_normalize(span_from_cstr(route->rewrite_prefix), memory, &normal) != ERR_OK) {
        return gateway_reader_fail(reader, value, "rewrite_prefix is not a path");
    }
    return ERR_OK;
}

static bool
host_is_valid(struct span host)
{
    for (size_t i = 0; i < host.size; i++) {
        char byte = host.data[i];
        bool good = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                    (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' ||
                    byte == ':' || byte == '[' || byte == ']';
        if (!good) {
            return false;
        }
    }
    return host.size > 0;
}

static err_t
check_hosts(
    const struct gateway_reader *reader,
    const struct json_value *value,
    struct gateway_route *route)
{
    struct span host = span_from_cstr(route->host);
    route->host_wildcard = span_starts_with(host, SPAN("*."));
    route->host_span = route->host_wildcard ? span_slice(host, 1, host.size) : host;
    if (host.size > 0 && !host_is_valid(route->host_span)) {
        return gateway_reader_fail(reader, value, "host is not a host, without a port");
    }
    struct span rewrite = span_from_cstr(route->rewrite_host);
    if (rewrite.size > 0 && !host_is_valid(rewrite)) {
        return gateway_reader_fail(reader, value, "rewrite_host is not a host");
    }
    return ERR_OK;
}

static err_t
read_words(
    const struct gateway_reader *reader,
    const struct json_value *value,
    struct gateway_route *route)
{
    static const char *const modes[] = {"any", "test", "live", NULL};
    const char *classes[GATEWAY_CLASS_COUNT + 1] = {NULL};
    memcpy(classes, gateway_class_names, sizeof(gateway_class_names));
    uint32_t mode = 0;
    uint32_t class = 0;
    TRY(choose(reader, value, route->mode_name, modes, &mode));
    TRY(choose(reader, value, route->class_name, classes, &class));
    route->mode = (enum gateway_mode)mode;
    route->class = (enum gateway_class) class;
    if (route->public && route->mode != GATEWAY_MODE_ANY) {
        return gateway_reader_fail(reader, value, "a public route has no mode: it takes no key");
    }
    return read_sticky(reader, value, route);
}

static err_t
read_route(
    const struct gateway_reader *reader,
    const struct json_value *value,
    const struct gateway_config *config,
    struct gateway_route *route)
{
    static const char *const others[] = {
        "methods",
        "headers",
        "split",
        "set_headers",
        "remove_headers",
        "response_set_headers",
        "response_remove_headers",
        "allow",
        "deny",
        "cors",
        "keys",
        "limits",
        NULL};
    TRY(gateway_reader_scalars(reader, value, &gateway_table_route, route, others));
    if (!gateway_name_is_valid(span_from_cstr(route->name))) {
        return gateway_reader_fail(
            reader, value, "name must be 1 to 63 letters, digits, -, _ and .");
    }
    TRY(check_paths(reader, value, route));
    TRY(check_hosts(reader, value, route));
    TRY(read_words(reader, value, route));
    TRY(read_split(reader, value, config, route));
    TRY(read_methods(reader, value, route));
    TRY(read_kinds(reader, value, route));
    TRY(read_header_matches(reader, value, route));
    TRY(read_edits(reader, value, route));
    TRY(gateway_reader_networks(reader, value, &route->networks));
    TRY(read_cors(reader, json_value_member(value, SPAN("cors")), route));
    return gateway_reader_limits(
        reader, json_value_member(value, SPAN("limits")), &route->limits_config, &route->limits);
}

/* CONFIG-3. */
static err_t
check_reachable(
    const struct gateway_reader *reader,
    const struct json_value *list,
    const struct gateway_config *config)
{
    for (size_t later = 1; later < config->route_count; later++) {
        for (size_t earlier = 0; earlier < later; earlier++) {
            if (!gateway_route_covers(&config->routes[earlier], &config->routes[later])) {
                continue;
            }
            const struct json_value *item = list->first_child;
            for (uint32_t i = 0; i < config->routes[later].order; i++) {
                item = item->next;
            }
            return gateway_reader_fail(
                reader,
                item,
                "can never match: '%s' takes all its requests",
                config->routes[earlier].name);
        }
    }
    return ERR_OK;
}

static int
compare(const void *a, const void *b)
{
    return gateway_route_compare(a, b);
}

err_t
gateway_config_read_routes(
    const struct gateway_reader *reader,
    const struct json_value *list,
    struct gateway_config *config)
{
    TRY(gateway_reader_is_list(reader, list, GATEWAY_ROUTES_MAX));
    if (list->child_count == 0) {
        return gateway_reader_fail(reader, list, "there must be at least one");
    }
    config->routes = ARENA_ARRAY(reader->arena, struct gateway_route, list->child_count);
    if (config->routes == NULL) {
        return ERR_MEMORY;
    }
    for (const struct json_value *item = list->first_child; item != NULL; item = item->next) {
        struct gateway_route *route = &config->routes[config->route_count];
        route->order = (uint32_t)config->route_count;
        TRY(read_route(reader, item, config, route));
        for (size_t i = 0; i < config->route_count; i++) {
            if (strcmp(config->routes[i].name, route->name) == 0) {
                return gateway_reader_fail(reader, item, "name is another route's too");
            }
        }
        config->route_count++;
    }
    /* CONFIG-2. Spans of a route point into it: they are made again where it comes to lie. */
    qsort(config->routes, config->route_count, sizeof(config->routes[0]), compare);
    for (size_t i = 0; i < config->route_count; i++) {
        struct gateway_route *route = &config->routes[i];
        route->index = (uint32_t)i;
        TRY(check_paths(reader, list, route));
        TRY(check_hosts(reader, list, route));
        TRY(read_sticky(reader, list, route));
    }
    return check_reachable(reader, list, config);
}
