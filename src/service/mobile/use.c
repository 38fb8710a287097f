/*
 * Using a code up.
 *
 *     mobile_use_code   any thread
 *     begin             the runtime's loop: an internal operation
 *     look              documents: found, alive, not used: now it is, by this payment
 *     is_durable        the answer is settled
 *     answer            however the operation ended: nobody waits for ever
 */
#include "mobile_internal.h"

#include "base/assert.h"
#include "base/list.h"
#include "trace/span.h"

#include <string.h>

static void
answered(struct os_task *task)
{
    struct port_mobile_request *request = CONTAINER_OF(task, struct port_mobile_request, task);
    request->done(request);
}

static void
answer(void *context)
{
    struct port_mobile_request *request = context;
    request->task.run = answered;
    os_post(request->reply_to, &request->task);
}

static void
is_durable(struct resource_op *op)
{
    struct port_mobile_request *request = resource_op_state(op);
    request->error = ERR_OK;
    resource_finish(op);
}

static err_t
find(struct resource_op *op, struct span digits, struct mobile_code **ret_code)
{
    struct span hash = mobile_code_hash(op, digits);
    if (hash.size == 0) {
        return ERR_FULL;
    }
    void *code;
    TRY(resource_find_first(op, &mobile_code_type, MOBILE_CODE_HASH, hash, &code));
    *ret_code = code;
    return ERR_OK;
}

static enum port_mobile_outcome
judge(
    struct resource_op *op,
    const struct mobile_code *code,
    const struct port_mobile_request *request)
{
    bool alive = (int64_t)resource_now_s(op) < code->expires;
    if (code->payment.size == 0) {
        return alive ? PORT_MOBILE_OK : PORT_MOBILE_EXPIRED;
    }
    /* Keys are forgotten, and may name another request then: long after the code has ended. */
    bool same_request = alive && code->key.size != 0 && span_equal_cstr(code->key, request->key);
    bool same = same_request || span_equal_cstr(code->payment, request->payment);
    return same ? PORT_MOBILE_OK : PORT_MOBILE_USED;
}

/* MOBILE-2: it becomes this payment's in the same step in which it was seen to be nobody's. */
static err_t
use(struct resource_op *op, struct mobile_code *code, struct port_mobile_request *request)
{
    request->outcome = judge(op, code, request);
    if (request->outcome != PORT_MOBILE_OK) {
        return ERR_OK;
    }
    ASSERT(code->wallet.size < sizeof(request->wallet));
    memcpy(request->wallet, code->wallet.data, code->wallet.size);
    request->wallet[code->wallet.size] = '\0';
    code->payment = span_from_cstr(request->payment);
    code->key = span_from_cstr(request->key);
    return resource_save(op, &mobile_code_type, code);
}

static void
look(struct resource_op *op)
{
    struct mobile *mobile = resource_op_service(op);
    struct port_mobile_request *request = resource_op_state(op);
    struct span digits = span_from_cstr(request->code);
    struct mobile_code *code = NULL;
    uint64_t now_ns = resource_monotonic_ns(op);
    err_t error = ERR_OK;
    /* Who lost the code against another process' payment looks again, and finds it used. */
    resource_op_repeatable(op, look, request);
    resource_op_on_end(op, answer, request);
    resource_trace_join(op, "code use", &request->trace, request->trace_began_ns);
    if (!mobile_limit_allows(&mobile->limit, request->scope, now_ns)) {
        request->outcome = PORT_MOBILE_LIMITED;
    } else {
        if (mobile_code_is_plausible(digits)) {
            error = find(op, digits, &code);
        }
        if (error == ERR_OK && code != NULL) {
            error = use(op, code, request);
        } else if (error == ERR_OK) {
            request->outcome = PORT_MOBILE_INVALID;
            mobile_limit_count(
                &mobile->limit, request->scope, now_ns, mobile->parts.settings.wrong_per_minute);
        }
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "payer code");
        return;
    }
    resource_after_commit(op, is_durable);
}

static void
begin(struct os_task *task)
{
    struct port_mobile_request *request = CONTAINER_OF(task, struct port_mobile_request, task);
    struct mobile *mobile = request->mobile;
    request->error = ERR_DATABASE; /* until it is durable */
    err_t error =
        resource_start_internal(mobile->parts.runtime, request->scope, mobile, look, request);
    if (error != ERR_OK) {
        request->error = error;
        answer(request);
    }
}

void
mobile_use_code(struct port_mobile *port, struct port_mobile_request *request)
{
    struct mobile *mobile = CONTAINER_OF(port, struct mobile, port);
    request->mobile = mobile;
    request->trace_began_ns = trace_now_ns(&request->trace);
    request->task.run = begin;
    os_post(os_loop_executor(mobile->parts.loop), &request->task);
}
