/* GET /v1/tael/payment_intents/:id/trace: which trace to look at. */
#include "flow.h"
#include "handlers.h"

#include "json/json.h"

#define BODY_MAX 1024

void
payments_intent_trace(struct resource_op *op)
{
    struct trace_context trace = {.trace_id = 0};
    char text[TRACECONTEXT_TRACE_ID_SIZE + 1] = "";
    struct payments_flow *flow = payments_flow_create(op);
    if (flow == NULL || !payments_intent_load(flow, resource_op_capture(op, 0))) {
        return;
    }
    /* One that nobody has moved yet has none. */
    if (tracecontext_parse(flow->intent->trace, &trace)) {
        tracecontext_trace_id_format(trace.trace_id, text);
    }
    struct buf body;
    struct json_writer json;
    buf_init(&body, BODY_MAX);
    json_begin(&json, &body);
    json_object_begin(&json);
    json_member_cstr(&json, "object", "tael.trace_reference");
    json_member_bool(&json, "livemode", resource_op_caller(op)->live);
    json_member_text(&json, "payment_intent", flow->intent->header.id);
    json_member_text_or_null(&json, "trace_id", span_from_cstr(text));
    json_object_end(&json);
    resource_answer(op, 200, &body);
}
