#include "requests_internal.h"

#include "resource/fields.h"

#include <stdlib.h>
#include <string.h>

#define SCRATCH_MAX (8U << 20)

static const struct resource_field page_fields[] = {
    RESOURCE_JSON(requests_page, entries),
    RESOURCE_INTEGER(requests_page, count),
    RESOURCE_INTEGER(requests_page, total),
};

static const struct document_kind page_kind = {.name = "request_page"};

const struct resource_type requests_page_type = {
    .object = "request_page",
    .prefix = "rqp_",
    .kind = &page_kind,
    RESOURCE_FIELDS(page_fields),
    .struct_size = sizeof(struct requests_page),
};

const struct document_kind *const requests_kinds[] = {&page_kind};
const uint32_t requests_kind_count = 1;

struct requests_settings
requests_settings_default(void)
{
    return (struct requests_settings){
        .on = true,
        .keep_s = INT64_C(7) * 86400,
        .keep_max = 100000,
        .write_ms = 500,
        .purge_interval_ms = 2000,
    };
}

err_t
requests_create(const struct requests_parts *parts, struct requests **ret_requests)
{
    struct requests *requests = calloc(1, sizeof(*requests));
    if (requests == NULL) {
        return ERR_MEMORY;
    }
    requests->parts = *parts;
    requests->watch =
        (struct resource_request_watch){.context = requests, .answered = requests_note};
    buf_init(&requests->entry, REQUESTS_ENTRY_BYTES_MAX);
    arena_init(&requests->scratch, SCRATCH_MAX);
    requests_pages_open(requests);
    requests_purge_open(requests);
    requests->routes = calloc(requests_route_count, sizeof(*requests->routes));
    if (requests->routes == NULL) {
        requests_destroy(&requests);
        return ERR_MEMORY;
    }
    memcpy(
        requests->routes, requests_route_table, requests_route_count * sizeof(*requests->routes));
    for (uint32_t i = 0; i < requests_route_count; i++) {
        requests->routes[i].service_context = requests;
    }
    if (parts->settings.on) {
        resource_watch_requests(parts->runtime, &requests->watch);
    }
    *ret_requests = requests;
    return ERR_OK;
}

void
requests_destroy(struct requests **requests_at)
{
    struct requests *requests = *requests_at;
    if (requests == NULL) {
        return;
    }
    *requests_at = NULL;
    requests_pages_close(requests);
    requests_purge_close(requests);
    buf_release(&requests->entry);
    arena_release(&requests->scratch);
    free(requests->routes);
    free(requests);
}

const struct resource_route *
requests_routes(const struct requests *requests, uint32_t *ret_count)
{
    *ret_count = requests_route_count;
    return requests == NULL ? requests_route_table : requests->routes;
}

struct requests_health
requests_health(const struct requests *requests)
{
    return (struct requests_health){
        .noted = atomic_load(&requests->noted),
        .dropped = atomic_load(&requests->dropped),
        .lost = atomic_load(&requests->lost),
        .pages = atomic_load(&requests->pages),
        .waiting = atomic_load(&requests->waiting),
    };
}
