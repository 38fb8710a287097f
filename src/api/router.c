#include "router.h"

#include "base/assert.h"
#include "http/target.h"

#include <stdlib.h>

static uint32_t
split(struct span path, struct span segments[API_SEGMENTS_MAX])
{
    uint32_t count = 0;
    struct span rest = span_slice(path, 1, path.size);
    while (rest.size > 0) {
        if (count == API_SEGMENTS_MAX) {
            return API_SEGMENTS_MAX + 1;
        }
        segments[count++] = span_cut(&rest, '/');
    }
    return count;
}

static bool
is_capture(struct span segment)
{
    return segment.size > 1 && segment.data[0] == ':';
}

static void
pattern_init(struct api_pattern *pattern, const struct resource_route *route)
{
    *pattern = (struct api_pattern){.route = route};
    pattern->segment_count = split(span_from_cstr(route->pattern), pattern->segments);
    ASSERT(pattern->segment_count <= API_SEGMENTS_MAX);
    uint32_t captures = 0;
    for (uint32_t i = 0; i < pattern->segment_count; i++) {
        if (is_capture(pattern->segments[i])) {
            pattern->captures |= UINT32_C(1) << (API_SEGMENTS_MAX - i);
            captures++;
        }
    }
    ASSERT(captures <= API_CAPTURES_MAX);
}

static int
pattern_compare(const void *left, const void *right)
{
    const struct api_pattern *a = left;
    const struct api_pattern *b = right;
    if (a->segment_count != b->segment_count) {
        return a->segment_count < b->segment_count ? -1 : 1;
    }
    if (a->captures != b->captures) {
        return a->captures < b->captures ? -1 : 1;
    }
    return 0;
}

/* The same method, and the same words at the same places. */
static bool
is_same(const struct api_pattern *a, const struct api_pattern *b)
{
    if (a->segment_count != b->segment_count || a->captures != b->captures ||
        !span_equal_cstr(span_from_cstr(a->route->method), b->route->method)) {
        return false;
    }
    for (uint32_t i = 0; i < a->segment_count; i++) {
        if (!is_capture(a->segments[i]) && !span_equal(a->segments[i], b->segments[i])) {
            return false;
        }
    }
    return true;
}

err_t
api_router_init(struct api_router *router, const struct api_routes *tables, uint32_t table_count)
{
    router->count = 0;
    for (uint32_t table = 0; table < table_count; table++) {
        for (uint32_t i = 0; i < tables[table].count; i++) {
            if (router->count == API_ROUTES_MAX) {
                return ERR_FULL;
            }
            pattern_init(&router->patterns[router->count++], &tables[table].routes[i]);
        }
    }
    qsort(router->patterns, router->count, sizeof(router->patterns[0]), pattern_compare);
    uint32_t at = 0;
    for (uint32_t segments = 0; segments <= API_SEGMENTS_MAX + 1; segments++) {
        while (at < router->count && router->patterns[at].segment_count < segments) {
            at++;
        }
        router->first[segments] = at;
    }
    for (uint32_t i = 0; i < router->count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            ASSERT(!is_same(&router->patterns[i], &router->patterns[j]));
        }
    }
    return ERR_OK;
}

static bool
pattern_fits(const struct api_pattern *pattern, const struct span *segments)
{
    for (uint32_t i = 0; i < pattern->segment_count; i++) {
        if (!is_capture(pattern->segments[i]) && !span_equal(pattern->segments[i], segments[i])) {
            return false;
        }
    }
    return true;
}

static struct span
decoded(struct span segment, struct arena *arena)
{
    if (span_find(segment, '%', 0) == segment.size) {
        return segment;
    }
    char *out = arena_alloc(arena, segment.size);
    size_t size = 0;
    if (out == NULL || http_percent_decode(segment, out, &size) != ERR_OK) {
        return SPAN_EMPTY; /* names no object */
    }
    return span_of(out, size);
}

static void
match_fill(
    const struct api_router *router,
    uint32_t index,
    const struct span *segments,
    struct arena *arena,
    struct api_match *match)
{
    const struct api_pattern *pattern = &router->patterns[index];
    *match = (struct api_match){.route = pattern->route, .index = index};
    uint32_t captures = 0;
    for (uint32_t i = 0; i < pattern->segment_count; i++) {
        if (is_capture(pattern->segments[i])) {
            match->captures[captures++] = decoded(segments[i], arena);
        }
    }
}

enum api_match_outcome
api_router_find(
    const struct api_router *router,
    struct span method,
    struct span path,
    struct arena *arena,
    struct api_match *ret_match)
{
    struct span segments[API_SEGMENTS_MAX] = {{.data = NULL}};
    if (http_path_check(path) != ERR_OK) {
        return API_BAD_PATH;
    }
    uint32_t count = split(path, segments);
    if (count > API_SEGMENTS_MAX) {
        return API_NO_PATH;
    }
    enum api_match_outcome outcome = API_NO_PATH;
    for (uint32_t i = router->first[count]; i < router->first[count + 1]; i++) {
        const struct api_pattern *pattern = &router->patterns[i];
        if (!pattern_fits(pattern, segments)) {
            continue;
        }
        if (span_equal_cstr(method, pattern->route->method)) {
            match_fill(router, i, segments, arena, ret_match);
            return API_MATCHED;
        }
        outcome = API_NO_METHOD;
    }
    return outcome;
}
