#include "endpoints.h"

#include "base/ip.h"

#include <string.h>

/* "10.0.0.1:7000", "[::1]:7000", "ledger.internal:7000". */
static err_t
endpoint_parse(struct span text, struct remote_endpoint *out)
{
    struct span host;
    uint16_t port;
    if (!ip_port_split(text, &host, &port) || port == 0 || host.size >= REMOTE_HOST_SIZE) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] <= ' ' || host.data[i] >= 0x7f || host.data[i] == '/' ||
            host.data[i] == '@' || host.data[i] == '[' || host.data[i] == ']') {
            return ERR_INVALID;
        }
    }
    memset(out, 0, sizeof(*out));
    memcpy(out->host, host.data, host.size);
    out->port = port;
    return ERR_OK;
}

static bool
is_there(const struct remote_endpoints *endpoints, const struct remote_endpoint *endpoint)
{
    for (uint32_t i = 0; i < endpoints->count; i++) {
        if (remote_endpoint_equal(&endpoints->at[i], endpoint)) {
            return true;
        }
    }
    return false;
}

static err_t
entry_add(struct remote_endpoints *endpoints, struct span entry)
{
    struct remote_endpoint endpoint;
    TRY(endpoint_parse(entry, &endpoint));
    if (is_there(endpoints, &endpoint)) {
        return ERR_OK;
    }
    if (endpoints->count == REMOTE_ENDPOINTS_MAX) {
        return ERR_FULL;
    }
    endpoints->at[endpoints->count++] = endpoint;
    return ERR_OK;
}

err_t
remote_endpoints_parse(
    struct span text, struct remote_endpoints *ret_endpoints, struct span *ret_problem)
{
    struct remote_endpoints endpoints = {.count = 0};
    *ret_problem = SPAN_EMPTY;
    while (text.size > 0) {
        struct span line = span_cut(&text, '\n');
        line = span_slice(line, 0, span_find(line, '#', 0));
        while (line.size > 0) {
            struct span entry = span_cut(&line, ',');
            if (span_ends_with(entry, SPAN("\r"))) {
                entry = span_slice(entry, 0, entry.size - 1);
            }
            entry = span_trim(entry);
            if (entry.size == 0) {
                continue;
            }
            *ret_problem = entry;
            TRY(entry_add(&endpoints, entry));
        }
    }
    *ret_problem = SPAN_EMPTY;
    if (endpoints.count == 0) {
        return ERR_NOT_FOUND;
    }
    *ret_endpoints = endpoints;
    return ERR_OK;
}

bool
remote_endpoint_equal(const struct remote_endpoint *a, const struct remote_endpoint *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}
