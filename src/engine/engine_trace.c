#include "engine_trace.h"

#include "trace/span.h"

bool
engine_trace_creates(const struct port_ledger_request *request)
{
    return request->operation == PORT_LEDGER_CREATE_ACCOUNTS ||
           request->operation == PORT_LEDGER_CREATE_TRANSFERS;
}

static const char *
operation_name(enum port_ledger_operation operation)
{
    static const char *const names[] = {
        [PORT_LEDGER_CREATE_ACCOUNTS] = "ledger create_accounts",
        [PORT_LEDGER_CREATE_TRANSFERS] = "ledger create_transfers",
        [PORT_LEDGER_LOOKUP_ACCOUNTS] = "ledger lookup_accounts",
        [PORT_LEDGER_LOOKUP_TRANSFERS] = "ledger lookup_transfers",
        [PORT_LEDGER_GET_ACCOUNT_TRANSFERS] = "ledger get_account_transfers",
        [PORT_LEDGER_GET_ACCOUNT_BALANCES] = "ledger get_account_balances",
        [PORT_LEDGER_QUERY_ACCOUNTS] = "ledger query_accounts",
        [PORT_LEDGER_QUERY_TRANSFERS] = "ledger query_transfers",
        [PORT_LEDGER_GET_CHANGE_EVENTS] = "ledger get_change_events",
        [PORT_LEDGER_LOOKUP_CONSISTENT] = "ledger lookup_consistent",
        [PORT_LEDGER_QUERY_IN_TRANSIT] = "ledger query_in_transit",
    };
    return names[operation];
}

void
engine_trace_request(
    const struct port_ledger_request *request, uint64_t sent_ns, uint32_t group_count)
{
    if (request->trace_began_ns == 0) {
        return;
    }
    struct trace_span span;
    struct trace_span flush;
    trace_span_start_at(
        &request->trace,
        TRACE_CLIENT,
        operation_name(request->operation),
        request->trace_began_ns,
        &span);
    trace_span_number(&span, "tael.ledger.batch.size", request->count);
    if (request->error != ERR_OK) {
        trace_span_fail(&span, err_name(request->error));
    }
    if (request->trace_applied_ns != 0) {
        trace_span_add(
            &span.context, "ledger queue", request->trace_began_ns, request->trace_executing_ns);
        trace_span_add(
            &span.context, "ledger apply", request->trace_executing_ns, request->trace_applied_ns);
    }
    if (sent_ns != 0 && engine_trace_creates(request)) {
        trace_span_start_at(&span.context, TRACE_INTERNAL, "journal flush", sent_ns, &flush);
        trace_span_number(&flush, "tael.group.requests", group_count);
        trace_span_end(&flush);
    }
    trace_span_end(&span);
}
