#include "match.h"

#include "path.h"

#include "base/assert.h"
#include "base/hash.h"

static int
order_of(size_t a, size_t b)
{
    /* The larger first. */
    return a == b ? 0 : a > b ? -1 : 1;
}

static size_t
host_rank(const struct gateway_route *route)
{
    if (route->host_span.size == 0) {
        return 0;
    }
    return route->host_wildcard ? route->host_span.size : GATEWAY_HOST_SIZE + 1;
}

static size_t
path_rank(const struct gateway_route *route)
{
    return route->path_exact ? GATEWAY_PATH_SIZE + 1 : route->path_span.size;
}

int
gateway_route_compare(const struct gateway_route *a, const struct gateway_route *b)
{
    const int orders[] = {
        order_of(host_rank(a), host_rank(b)),
        order_of(path_rank(a), path_rank(b)),
        order_of(a->mode != GATEWAY_MODE_ANY, b->mode != GATEWAY_MODE_ANY),
        order_of(a->methods != 0, b->methods != 0),
        order_of(a->header_count, b->header_count),
        order_of(b->order, a->order),
    };
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        if (orders[i] != 0) {
            return orders[i];
        }
    }
    return 0;
}

static bool
host_matches(const struct gateway_route *route, struct span host)
{
    if (route->host_span.size == 0) {
        return true;
    }
    if (!route->host_wildcard) {
        return span_equal_nocase(route->host_span, host);
    }
    /* ".example.com" at the end, with one label or more before it. */
    if (host.size <= route->host_span.size) {
        return false;
    }
    struct span end = span_slice(host, host.size - route->host_span.size, host.size);
    return span_equal_nocase(end, route->host_span);
}

static bool
path_matches(const struct gateway_route *route, struct span path)
{
    return route->path_exact ? span_equal(route->path_span, path)
                             : gateway_path_is_below(path, route->path_span);
}

static bool
mode_matches(const struct gateway_route *route, const struct gateway_match_request *request)
{
    if (route->mode == GATEWAY_MODE_ANY) {
        return true;
    }
    return request->kind != GATEWAY_KEY_NONE && request->live == (route->mode == GATEWAY_MODE_LIVE);
}

static bool
headers_match(const struct gateway_route *route, const struct http_head *head)
{
    for (size_t i = 0; i < route->header_count; i++) {
        struct span value;
        if (!http_head_find(head, route->headers[i].name, &value)) {
            return false;
        }
        if (!route->headers[i].any_value && !span_equal(value, route->headers[i].value)) {
            return false;
        }
    }
    return true;
}

const struct gateway_route *
gateway_match(
    const struct gateway_config *config,
    const struct gateway_match_request *request,
    bool *ret_other_method)
{
    *ret_other_method = false;
    for (size_t i = 0; i < config->route_count; i++) {
        const struct gateway_route *route = &config->routes[i];
        if (!path_matches(route, request->path) || !host_matches(route, request->host) ||
            !mode_matches(route, request) || !headers_match(route, request->head)) {
            continue;
        }
        if (route->methods != 0 && (route->methods >> request->method & 1) == 0) {
            *ret_other_method = true;
            continue;
        }
        return route;
    }
    return NULL;
}

static bool
host_covers(const struct gateway_route *a, const struct gateway_route *b)
{
    if (a->host_span.size == 0) {
        return true;
    }
    if (!b->host_wildcard) {
        return b->host_span.size > 0 && host_matches(a, b->host_span);
    }
    return a->host_wildcard && a->host_span.size <= b->host_span.size &&
           span_equal_nocase(
               a->host_span,
               span_slice(b->host_span, b->host_span.size - a->host_span.size, b->host_span.size));
}

static bool
path_covers(const struct gateway_route *a, const struct gateway_route *b)
{
    return a->path_exact ? b->path_exact && span_equal(a->path_span, b->path_span)
                         : gateway_path_is_below(b->path_span, a->path_span);
}

static bool
header_is_wanted(const struct gateway_route *route, const struct gateway_header_match *header)
{
    for (size_t i = 0; i < route->header_count; i++) {
        if (span_equal_nocase(route->headers[i].name, header->name) &&
            (header->any_value || (!route->headers[i].any_value &&
                                   span_equal(route->headers[i].value, header->value)))) {
            return true;
        }
    }
    return false;
}

static bool
headers_cover(const struct gateway_route *a, const struct gateway_route *b)
{
    for (size_t i = 0; i < a->header_count; i++) {
        if (!header_is_wanted(b, &a->headers[i])) {
            return false;
        }
    }
    return true;
}

bool
gateway_route_covers(const struct gateway_route *a, const struct gateway_route *b)
{
    bool modes = a->mode == GATEWAY_MODE_ANY || a->mode == b->mode;
    bool methods = a->methods == 0 || (b->methods != 0 && (b->methods & ~a->methods) == 0);
    return modes && methods && host_covers(a, b) && path_covers(a, b) && headers_cover(a, b);
}

/* Turns spread evenly: a stride that shares no factor with the total visits each value once. */
static uint32_t
spread(uint64_t turn, uint32_t total)
{
    uint32_t stride = (uint32_t)((uint64_t)total * 618 / 1000) | 1;
    for (;; stride++) {
        uint32_t a = stride;
        uint32_t b = total;
        while (b != 0) {
            uint32_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1) {
            return (uint32_t)(turn % total * stride % total);
        }
    }
}

uint32_t
gateway_split_choose(const struct gateway_route *route, uint64_t sticky_hash, uint64_t turn)
{
    ASSERT(route->split_count > 0);
    if (route->split_count == 1) {
        return route->splits[0].upstream_index;
    }
    ASSERT(route->split_total > 0);
    uint32_t at = route->sticky != GATEWAY_STICKY_NONE
                      ? (uint32_t)(hash_u64(sticky_hash) % route->split_total)
                      : spread(turn, route->split_total);
    for (size_t i = 0; i + 1 < route->split_count; i++) {
        if (at < (uint32_t)route->splits[i].weight) {
            return route->splits[i].upstream_index;
        }
        at -= (uint32_t)route->splits[i].weight;
    }
    return route->splits[route->split_count - 1].upstream_index;
}

void
gateway_rewrite_path(const struct gateway_route *route, struct span path, struct buf *out)
{
    if (!route->rewrites) {
        buf_append_span(out, path);
        return;
    }
    struct span prefix = span_from_cstr(route->rewrite_prefix);
    ASSERT(path.size >= route->path_span.size);
    struct span rest = span_slice(path, route->path_span.size, path.size);
    bool slash_before = prefix.data[prefix.size - 1] == '/';
    bool slash_behind = rest.size > 0 && rest.data[0] == '/';
    if (slash_before && slash_behind) {
        rest = span_slice(rest, 1, rest.size);
    }
    buf_append_span(out, prefix);
    if (!slash_before && !slash_behind && rest.size > 0) {
        buf_append_byte(out, '/');
    }
    buf_append_span(out, rest);
}
