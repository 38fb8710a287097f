/* What the files of the front share. include/api/api.h says what it is for. */
#ifndef API_FRONT_H
#define API_FRONT_H

#include "api/api.h"
#include "router.h"
#include "trace/span.h"

#include <stdatomic.h>

#define API_HEADERS_MAX     16
#define API_ERROR_MAX       8192 /* bytes of an error that the front itself writes */
#define API_DESCRIPTION_MAX (4U << 20)
#define API_RANDOM_SIZE     1024

/* The version that answers are in; echoed to who sends none. Any other is accepted. */
#define API_VERSION "2026-08-26.dahlia"

struct api_metrics;
struct api_ledger;

struct api {
    struct api_parts parts;
    struct api_router router;
    struct api_metrics *metrics;
    struct api_ledger *ledger;
    struct buf description; /* what GET /v1/openapi.json answers */
    struct id_generator request_ids;
    char random[API_RANDOM_SIZE]; /* for request ids, from random_used on */
    size_t random_used;
    bool addresses_doubted; /* once is told */
};

/* One request under way; lives in its exchange's arena. */
struct api_request {
    struct resource_request resource;
    struct api *api;
    struct net_exchange *exchange;
    uint32_t route_index; /* of the router's pattern */
    struct trace_span span;
    char trace_id[TRACECONTEXT_TRACE_ID_SIZE + 1]; /* empty: none */
    struct http_header headers[API_HEADERS_MAX];
    size_t header_count;
};

/* --- front.c --- */

/* Who is at the other end of the connection, without the port; in `text`. */
struct span api_peer_address(const struct net_exchange *exchange, char text[NET_HOST_TEXT_SIZE]);

/* A new "req_..." into `out`. On the net loop. */
void api_request_id(struct api *api, char out[RESOURCE_REQUEST_ID_SIZE]);

/* 16 random bytes. On the net loop. */
u128 api_random(struct api *api);

/* --- trace.c: the span of a request --- */

void api_trace_begin(struct api_request *request);
/* Its route is known. */
void api_trace_route(struct api_request *request);
/* Its answer is there. */
void api_trace_end(struct api_request *request);

/* --- read.c: from the exchange to the resource request --- */

/* Fills key, params and headers of `request`, whose route is known. False: `error` says why, its
 * spans live in the exchange's arena. */
bool api_request_read(struct api_request *request, struct resource_error *error);

/* --- answer.c: from the outcome to the exchange --- */

/* Makes the exchange's answer from what the runtime left in the request. */
void api_answer_outcome(struct api_request *request);
/* The description of the API. */
void api_answer_description(struct api_request *request);
/* An error that the front itself found. The request's headers are those known so far. */
void api_answer_error(struct api_request *request, const struct resource_error *error);
/* For net's own refusals: `exchange->answer.status` is set, the request may be incomplete. */
void api_answer_refusal(struct api *api, struct net_exchange *exchange, const char *reason);

/* --- ledger.c: POST /v1/ledger/... --- */

MUST_USE err_t api_ledger_create(struct api *api, struct api_ledger **ret_ledger);
void api_ledger_destroy(struct api_ledger **ledger);
/* NULL: the routes bound to nothing, for their description. */
const struct resource_route *api_ledger_routes(
    const struct api_ledger *ledger, uint32_t *ret_count);

/* --- keys.c: /v1/tael/api_keys --- */

const struct resource_route *api_key_routes(uint32_t *ret_count);

/* --- counters.c --- */

MUST_USE err_t
api_metrics_create(const struct api_router *router, struct api_metrics **ret_metrics);
void api_metrics_destroy(struct api_metrics **metrics);
/* UINT32_MAX: no route. */
void api_metrics_count(
    struct api_metrics *metrics, uint32_t route_index, int status, uint64_t duration_ns);
void api_metrics_render(const struct api_metrics *metrics, struct buf *out);

#endif
