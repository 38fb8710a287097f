/*
 * Which route a request takes. Pure.
 *
 * Precedence, the first difference decides: a host given exactly, before "*.example.com" (the
 * longer first), before none; an exact path, before a prefix (the longer first); a mode, before
 * none; methods, before none; more headers, before fewer; the order in the file. Routes are sorted
 * so when the configuration is read, and the first that matches is taken.
 */
#ifndef GATEWAY_MATCH_H
#define GATEWAY_MATCH_H

#include "config.h"

#include "http/parser.h"

struct gateway_match_request {
    struct span host; /* without its port, any case */
    struct span path; /* normalised */
    enum http_method method;
    enum gateway_key_kind kind;
    bool live;
    const struct http_head *head;
};

/* NULL: none. With *ret_other_method set if only the method kept one from matching. */
const struct gateway_route *gateway_match(
    const struct gateway_config *config,
    const struct gateway_match_request *request,
    bool *ret_other_method);

/* Less than 0: `a` is tried before `b`. */
int gateway_route_compare(const struct gateway_route *a, const struct gateway_route *b);

/* Whether `a` matches every request that `b` matches. */
bool gateway_route_covers(const struct gateway_route *a, const struct gateway_route *b);

/* The upstream of the split that gets this request: by `sticky` if the route wants it, in turn
 * otherwise, evenly spread (`turn` is the route's counter, from 0). */
uint32_t gateway_split_choose(
    const struct gateway_route *route, uint64_t sticky_hash, uint64_t turn);

/* The path that is passed on: the prefix that matched replaced. Appends to `out`. */
void gateway_rewrite_path(const struct gateway_route *route, struct span path, struct buf *out);

#endif
