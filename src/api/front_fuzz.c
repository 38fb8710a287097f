/* What the front reads of a request's head: its path and its credentials. */
#include "router.h"

#include "base/assert.h"
#include "http/credentials.h"

static const struct resource_route routes[] = {
    {.method = "GET", .pattern = "/v1/charges"},
    {.method = "GET", .pattern = "/v1/charges/:id"},
    {.method = "GET", .pattern = "/v1/charges/search"},
    {.method = "GET", .pattern = "/v1/customers/:customer/methods/:method"},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_path(struct span path)
{
    static struct api_router router;
    const struct api_routes table = {routes, sizeof(routes) / sizeof(routes[0])};
    struct arena arena;
    struct api_match match;
    if (router.count == 0) {
        err_t result = api_router_init(&router, &table, 1);
        ASSERT(result == ERR_OK);
    }
    arena_init(&arena, 4096);
    if (api_router_find(&router, SPAN("GET"), path, &arena, &match) == API_MATCHED) {
        ASSERT(match.index < router.count);
        for (size_t i = 0; i < API_CAPTURES_MAX; i++) {
            /* A capture names one object: nothing in it separates. */
            struct span capture = match.captures[i];
            ASSERT(span_find(capture, '/', 0) == capture.size);
            ASSERT(span_find(capture, '\0', 0) == capture.size);
        }
    }
    arena_release(&arena);
}

static void
try_credentials(struct span value)
{
    static char memory[4096];
    struct span key;
    if (http_credentials_read(value, memory, sizeof(memory), &key) == ERR_OK) {
        ASSERT(key.size <= value.size);
        ASSERT(
            span_find(key, ' ', 0) == key.size || key.data < value.data ||
            key.data >= value.data + value.size);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    try_path(text);
    try_credentials(text);
    return 0;
}
