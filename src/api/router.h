/*
 * Which route a request means. Routes are compared segment by segment; where a word and a capture
 * both fit, the word wins.
 */
#ifndef API_ROUTER_H
#define API_ROUTER_H

#include "api/api.h"

#define API_SEGMENTS_MAX 8
#define API_CAPTURES_MAX 2

struct api_pattern {
    const struct resource_route *route;
    struct span segments[API_SEGMENTS_MAX];
    uint32_t segment_count;
    uint32_t captures; /* a bit per segment, the first segment highest: sorts words first */
};

struct api_router {
    struct api_pattern patterns[API_ROUTES_MAX]; /* by segment count, words before captures */
    uint32_t count;
    uint32_t first[API_SEGMENTS_MAX + 2]; /* position of the first pattern with so many segments */
};

struct api_match {
    const struct resource_route *route;
    uint32_t index; /* of the pattern, for metrics */
    struct span captures[API_CAPTURES_MAX];
};

enum api_match_outcome {
    API_MATCHED,
    API_NO_PATH,   /* no route has such a path */
    API_NO_METHOD, /* some route has, with another method */
    API_BAD_PATH,  /* the path has no single reading (http_path_check) */
};

/* ERR_FULL for too many routes. */
MUST_USE err_t
api_router_init(struct api_router *router, const struct api_routes *tables, uint32_t table_count);

/* Captures are percent-decoded; they live in the arena, or in the path if nothing was encoded. */
enum api_match_outcome api_router_find(
    const struct api_router *router,
    struct span method,
    struct span path,
    struct arena *arena,
    struct api_match *ret_match);

#endif
