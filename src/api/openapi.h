/* The description of the API as an OpenAPI document: the parts that write it. */
#ifndef API_OPENAPI_H
#define API_OPENAPI_H

#include "described.h"

#include "api/api.h"

struct json_writer;

/* Every route, in the order of the tables. */
struct api_openapi_routes {
    const struct resource_route *routes[API_ROUTES_MAX];
    uint32_t count;
};

/* --- openapi.c --- */

/* The whole document. Check the buffer with buf_failed. */
void api_openapi_write(const struct api_openapi_routes *all, struct buf *out);

/* --- openapi_params.c: a route's parameters, from its table --- */

/* Elements of `parameters`: those of the query. The array is open. */
void api_openapi_query(
    struct json_writer *json,
    const struct resource_route *route,
    const struct api_described_operation *described);
/* The value of `requestBody` for a form. */
void api_openapi_form(
    struct json_writer *json,
    const struct resource_route *route,
    const struct api_described_operation *described);

#endif
