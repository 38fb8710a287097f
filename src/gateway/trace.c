/*
 * The one place where a trace begins or goes on, and where it ends.
 *
 * The gateway stands at a trust border: what a client says about traces is not taken over, as W3C
 * Trace Context section 3.2 ("privacy") and 7 ("restart") allow, unless a trusted proxy is the
 * peer.
 */
#include "gateway_private.h"

void
gateway_trace_begin(struct gateway_request *request)
{
    const struct gateway_config *config = request->generation->config;
    request->trace_passes =
        gateway_cidr_any(config->trusted, config->trusted_count, request->exchange->peer.ip);
}

void
gateway_trace_end(struct gateway_request *request)
{
    request->trace_passes = false;
}
