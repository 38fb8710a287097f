/*
 * Spans of an operation: how long it waited in the queue of the loop, for a lock, for its group and
 * for the group's commit; and the operation itself, which all of them and the calls of ports are
 * below.
 *
 *     queue | handle ------------------------------------------------------|
 *                 lock wait |      group wait | COMMIT |  rail ... | ...
 */
#include "runtime.h"

#include "base/assert.h"
#include "os/entropy.h"

void
resource_trace_arrived(struct resource_op *op)
{
    const struct resource_request *request = op->request;
    trace_span_add(&request->trace, "queue", request->submitted_ns, trace_now_ns(&request->trace));
    trace_span_start(&request->trace, TRACE_INTERNAL, request->route->pattern, &op->span);
    trace_span_set_name(&op->span, "handle", request->route->pattern);
}

void
resource_trace_begin(struct resource_op *op, const char *name, struct span linked)
{
    struct resource_runtime *runtime = op->runtime;
    ASSERT(op->request == NULL);
    ASSERT(!trace_span_is_recorded(&op->span));
    struct trace_root root = {
        .kind = TRACE_INTERNAL,
        .name = name,
        .random = os_random_u128(runtime->parts.entropy),
    };
    (void)tracecontext_parse(linked, &root.link); /* what cannot be read links to nothing */
    trace_root_start(runtime->parts.recorder, &root, &op->span);
}

void
resource_trace_join(
    struct resource_op *op, const char *name, const struct trace_context *of, uint64_t began_ns)
{
    ASSERT(op->request == NULL);
    ASSERT(!trace_span_is_recorded(&op->span));
    trace_span_start_at(of, TRACE_INTERNAL, name, began_ns, &op->span);
}

void
resource_trace_leave(struct resource_op *op)
{
    trace_span_end(&op->span);
}

void
resource_trace_waits(struct resource_op *op)
{
    op->waits_ns = trace_now_ns(&op->span.context);
}

void
resource_trace_waited(struct resource_op *op, const char *name)
{
    if (op->waits_ns != 0) {
        trace_span_add(&op->span.context, name, op->waits_ns, trace_now_ns(&op->span.context));
        op->waits_ns = 0;
    }
}

void
resource_trace_committed(struct resource_op *op, uint64_t began_ns, uint32_t count)
{
    uint64_t waits_ns = op->waits_ns;
    op->waits_ns = 0;
    if (waits_ns == 0 || began_ns == 0) {
        return;
    }
    const char *system = op->runtime->parts.documents_system;
    struct trace_span span;
    if (waits_ns < began_ns) {
        trace_span_add(&op->span.context, "group wait", waits_ns, began_ns);
        waits_ns = began_ns;
    }
    trace_span_start_at(&op->span.context, TRACE_CLIENT, "documents", waits_ns, &span);
    trace_span_set_name(&span, "COMMIT", "documents");
    trace_span_label(&span, "db.system.name", system == NULL ? "sqlite" : system);
    trace_span_label(&span, "db.namespace", "documents");
    trace_span_label(&span, "db.operation.name", "COMMIT");
    trace_span_number(&span, "tael.group.operations", count);
    if (op->doom != ERR_OK) {
        trace_span_fail(&span, err_name(op->doom));
    }
    trace_span_end(&span);
}

void
resource_trace_ended(struct resource_op *op)
{
    enum {
        SERVER_ERROR = 500
    };

    if (op->status >= SERVER_ERROR) {
        trace_span_fail(&op->span, "server_error");
    }
    trace_span_end(&op->span);
}

/* ---------------------------------------------------------------------------------- getters */

struct trace_context
resource_op_trace(const struct resource_op *op)
{
    return op->span.context;
}

struct span
resource_trace_parent(struct resource_op *op)
{
    char text[TRACECONTEXT_PARENT_SIZE + 1];
    if (!trace_context_is_set(&op->span.context)) {
        return SPAN_EMPTY;
    }
    tracecontext_format(&op->span.context, text);
    return arena_copy(&op->arena, span_of(text, TRACECONTEXT_PARENT_SIZE));
}

void
resource_trace_about(struct resource_op *op, const char *key, struct span id)
{
    trace_span_text(&op->span, key, id);
}
