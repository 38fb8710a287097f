/* The life of an operation: from the request to its answer. */
#include "runtime.h"

#include "base/assert.h"
#include "base/share.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------- create, free */

static struct resource_op *
op_create(struct resource_runtime *runtime)
{
    if (runtime->op_count >= runtime->parts.settings.operations_max) {
        return NULL;
    }
    struct resource_op *op;
    struct list_link *link = list_pop_front(&runtime->free_ops);
    if (link != NULL) {
        op = CONTAINER_OF(link, struct resource_op, all);
        struct arena arena = op->arena;
        memset(op, 0, sizeof(*op));
        op->arena = arena;
    } else {
        op = calloc(1, sizeof(*op));
        if (op == NULL) {
            return NULL;
        }
        arena_init(&op->arena, RESOURCE_ARENA_LIMIT);
    }
    op->runtime = runtime;
    runtime->op_count++;
    list_push_back(&runtime->ops, &op->all);
    return op;
}

void
resource_op_free(struct resource_op *op)
{
    struct resource_runtime *runtime = op->runtime;
    ASSERT(op->lock == NULL);
    ASSERT(op->idempotency.state == RESOURCE_IDEMPOTENCY_NONE);
    ASSERT(!list_is_linked(&op->pending));
    ASSERT(!list_is_linked(&op->touched));
    buf_release(&op->body);
    for (struct resource_done *done = op->done; done != NULL && !op->undone; done = done->next) {
        done->run(done->context);
    }
    if (op->ended != NULL) {
        op->ended(op->ended_context);
    }
    list_remove(&op->all);
    runtime->op_count--;
    runtime->answers_size -= op->answer_size;
    if (op->share != NULL) {
        ASSERT(*op->share > 0);
        (*op->share)--;
    }
    arena_clear(&op->arena);
    op->request = NULL; /* the requester's again */
    op->route = NULL;
    /* Last in, first out: the warmest memory. */
    list_push_front(&runtime->free_ops, &op->all);
}

void
resource_op_destroy(struct resource_op *op)
{
    resource_card_wipe(op);
    buf_release(&op->body);
    arena_release(&op->arena);
    free(op);
}

/* ------------------------------------------------------------------------------- submission */

static const char busy_text[] = "Too many requests are under way. Try again in a little bit.";
static const struct resource_error busy = {
    .status = 503,
    .type = "api_error",
    .message = {.data = busy_text, .size = sizeof(busy_text) - 1},
};

static void
refuse_busy(struct resource_request *request)
{
    request->status = busy.status;
    buf_init(&request->body, RESOURCE_BODY_LIMIT);
    resource_error_write(&request->body, &busy);
    request->done(request);
}

/* A merchant's mode has its share of the operations. And a group's answers, which wait for its
 * commit, are bounded in bytes. */
static bool
share_take(struct resource_op *op)
{
    struct resource_runtime *runtime = op->runtime;
    uint32_t *share = &runtime->shares[op->caller.scope % RESOURCE_SHARES];
    uint64_t left = runtime->parts.settings.operations_max - (runtime->op_count - 1);
    if (share_room(*share, left) == 0 || runtime->answers_size > RESOURCE_ANSWERS_MAX) {
        resource_fail(op, &busy);
        return false;
    }
    (*share)++;
    op->share = share;
    return true;
}

static void
refused(struct os_task *task)
{
    refuse_busy(CONTAINER_OF(task, struct resource_request, task));
}

static void
request_arrived(struct os_task *task)
{
    struct resource_request *request = CONTAINER_OF(task, struct resource_request, task);
    struct resource_runtime *runtime = request->runtime;
    struct resource_op *op = op_create(runtime);
    if (op == NULL) {
        request->task.run = refused;
        os_post(request->reply_to, &request->task);
        return;
    }
    op->request = request;
    op->route = request->route;
    op->service_context = request->route->service_context;
    resource_trace_arrived(op);
    if (runtime->shared == NULL) {
        resource_op_begin(op);
        return;
    }
    /* With the others that arrive in this turn: what they need is asked for together. */
    op->step = resource_op_begin;
    op->phase = RESOURCE_OP_READY;
    list_push_back(&runtime->ready, &op->waiting);
}

void
resource_op_begin(struct resource_op *op)
{
    if (resource_auth_check(op) && share_take(op) && !resource_card_begin(op)) {
        resource_op_checked(op);
    }
}

void
resource_submit(struct resource_runtime *runtime, struct resource_request *request)
{
    ASSERT(request->route != NULL);
    ASSERT(request->params != NULL);
    ASSERT(request->done != NULL);
    request->runtime = runtime;
    request->submitted_ns = trace_now_ns(&request->trace);
    request->task.run = request_arrived;
    os_post(runtime->executor, &request->task);
}

void
resource_op_checked(struct resource_op *op)
{
    if (resource_idempotency_begin(op) && resource_params_check(op) && resource_expand_check(op) &&
        resource_card_check(op)) {
        op->route->handler(op);
    }
}

err_t
resource_start_internal(
    struct resource_runtime *runtime,
    uint64_t scope,
    void *service_context,
    resource_step step,
    void *state)
{
    struct resource_op *op = op_create(runtime);
    if (op == NULL) {
        return ERR_FULL;
    }
    op->service_context = service_context;
    op->state = state;
    op->caller.scope = scope;
    op->caller.live = (scope & 1) != 0;
    op->caller.key_kind = RESOURCE_KEY_INTERNAL;
    err_t result = resource_merchant_of(runtime, &op->arena, scope / 2, op->caller.merchant_id);
    if (result != ERR_OK && result != ERR_NOT_FOUND) {
        resource_op_free(op);
        return result;
    }
    op->step = step;
    op->phase = RESOURCE_OP_READY;
    list_push_back(&runtime->ready, &op->waiting);
    resource_wake(runtime);
    return ERR_OK;
}

/* ------------------------------------------------------------------------------- once again */

void
resource_op_repeatable(struct resource_op *op, resource_step step, void *state)
{
    ASSERT(op->request == NULL);
    op->first_step = step;
    op->first_state = state;
}

bool
resource_op_may_run_again(const struct resource_op *op)
{
    return (op->request != NULL || op->first_step != NULL) && !op->reached &&
           op->ran_again < RESOURCE_RUNS_AGAIN_MAX;
}

void
resource_op_run_again(struct resource_op *op)
{
    ASSERT(op->phase == RESOURCE_OP_RUNNING);
    struct resource_runtime *runtime = op->runtime;
    resource_idempotency_release(op);
    resource_lock_release(op);
    if (op->ended != NULL && op->first_step == NULL) {
        op->ended(op->ended_context);
    }
    op->ended = NULL;
    op->done = NULL;
    op->hold_ns = 0;
    memset(&op->idempotency, 0, sizeof(op->idempotency));
    buf_release(&op->body);
    op->doom = ERR_OK;
    op->writes = NULL;
    op->emitted_document = NULL;
    op->state = op->first_state;
    op->expand = NULL;
    op->content_type = NULL;
    op->location = SPAN_EMPTY;
    op->ran_again++;
    if (op->request != NULL) {
        op->request->replayed = false;
    } else {
        trace_span_end(&op->span); /* it begins another one */
    }
    /* The card is in the vault already, and not in the request any more. */
    op->step = op->request != NULL ? resource_op_checked : op->first_step;
    op->phase = RESOURCE_OP_READY;
    list_push_back(&runtime->ready, &op->waiting);
    resource_wake(runtime);
}

/* ---------------------------------------------------------------------------------- the end */

void
resource_op_end(struct resource_op *op, int status, struct buf *body)
{
    ASSERT(op->phase == RESOURCE_OP_RUNNING);
    ASSERT(op->idempotency.state == RESOURCE_IDEMPOTENCY_NONE);
    op->status = status;
    op->body = *body;
    *body = (struct buf){.data = NULL};
    op->runtime->answers_size += op->body.capacity - op->answer_size;
    op->answer_size = op->body.capacity;
    op->phase = RESOURCE_OP_ENDED;
    resource_card_wipe(op);
    resource_lock_release(op);
    resource_trace_waits(op);
    list_push_back(&op->runtime->pending, &op->pending);
}

/* Once it has reached outside, whoever takes the attempt up may find that it went well: only "not
 * known" is true of it. */
static struct resource_error
doomed_error(const struct resource_op *op)
{
    struct resource_error error = {.status = 500, .type = "api_error"};
    if (op->reached || err_category(op->doom) == ERR_CATEGORY_UNKNOWN) {
        error.message = SPAN("The outcome of this request is not known. Ask again with the same "
                             "idempotency key, or look the object up.");
    } else if (op->doom == ERR_STALE) {
        error.status = 409;
        error.type = "invalid_request_error";
        error.message = SPAN(RESOURCE_CONFLICT_MESSAGE);
    } else if (op->doom == ERR_DISK_FULL) {
        error.status = 503;
        error.message = SPAN("There is no room on the disk of the server, and nothing was changed. "
                             "Try again with the same idempotency key.");
    } else {
        error.message = SPAN("Your request could not be stored, and nothing was changed. Try again "
                             "with the same idempotency key.");
    }
    return error;
}

void
resource_op_end_doomed(struct resource_op *op)
{
    ASSERT(op->doom != ERR_OK);
    if (op->doom == ERR_STALE && resource_op_may_run_again(op)) {
        resource_op_run_again(op);
        return;
    }
    op->undone = true;
    struct resource_error error = doomed_error(op);
    op->doom = ERR_OK;
    op->writes = NULL;
    op->content_type = NULL;
    op->location = SPAN_EMPTY;
    struct buf body;
    buf_init(&body, RESOURCE_BODY_LIMIT);
    resource_error_write(&body, &error);
    resource_idempotency_release(op);
    resource_op_end(op, error.status, &body);
}

void
resource_answer(struct resource_op *op, int status, struct buf *body)
{
    ASSERT(op->phase == RESOURCE_OP_RUNNING);
    err_t result = op->doom;
    if (result == ERR_OK) {
        result = buf_failed(body) ? ERR_FULL : ERR_OK;
        if (result == ERR_OK) {
            result = resource_idempotency_finish(op, status, buf_span(body));
        }
        if (result == ERR_OK) {
            resource_op_end(op, status, body);
            return;
        }
        buf_release(body);
        resource_internal(op, result, "answer");
        return;
    }
    buf_release(body);
    resource_op_end_doomed(op);
}

void
resource_answer_typed(
    struct resource_op *op, int status, const char *content_type, struct buf *body)
{
    ASSERT(op->idempotency.state == RESOURCE_IDEMPOTENCY_NONE);
    if (op->doom == ERR_OK && !buf_failed(body)) {
        op->content_type = content_type;
    }
    resource_answer(op, status, body);
}

void
resource_answer_redirect(struct resource_op *op, struct span location)
{
    enum {
        SEE_OTHER = 303
    };

    struct buf nothing;
    buf_init(&nothing, 1);
    op->location = op->doom == ERR_OK ? location : SPAN_EMPTY;
    resource_answer_typed(op, SEE_OTHER, "text/plain; charset=utf-8", &nothing);
}

void
resource_finish(struct resource_op *op)
{
    ASSERT(op->request == NULL);
    if (op->doom != ERR_OK) {
        resource_op_end_doomed(op);
        return;
    }
    struct buf body = {.data = NULL};
    resource_idempotency_release(op);
    resource_op_end(op, 0, &body);
}

void
resource_after_commit(struct resource_op *op, resource_step step)
{
    ASSERT(op->phase == RESOURCE_OP_RUNNING);
    err_t result = op->doom;
    if (result != ERR_OK) {
        resource_op_end_doomed(op);
        return;
    }
    result = resource_idempotency_announce(op);
    if (result != ERR_OK) {
        resource_internal(op, result, "idempotency key");
        return;
    }
    op->step = step;
    op->phase = RESOURCE_OP_WAITS_COMMIT;
    resource_trace_waits(op);
    list_push_back(&op->runtime->pending, &op->pending);
}

/* ---------------------------------------------------------------------------------- getters */

struct resource_runtime *
resource_op_runtime(struct resource_op *op)
{
    return op->runtime;
}

void *
resource_op_service(struct resource_op *op)
{
    return op->service_context;
}

const struct resource_caller *
resource_op_caller(const struct resource_op *op)
{
    return &op->caller;
}

const struct resource_request *
resource_op_request(const struct resource_op *op)
{
    return op->request;
}

struct arena *
resource_op_arena(struct resource_op *op)
{
    return &op->arena;
}

struct span
resource_op_capture(const struct resource_op *op, uint32_t index)
{
    ASSERT(index < 2);
    return op->request == NULL ? SPAN_EMPTY : op->request->captures[index];
}

void
resource_op_set_state(struct resource_op *op, void *state)
{
    op->state = state;
}

void *
resource_op_state(struct resource_op *op)
{
    return op->state;
}

void
resource_op_on_end(struct resource_op *op, void (*ended)(void *context), void *context)
{
    op->ended = ended;
    op->ended_context = context;
}

void
resource_op_hold_answer(struct resource_op *op, uint64_t duration_ns)
{
    op->hold_ns = duration_ns;
}

err_t
resource_op_when_done(struct resource_op *op, void (*run)(void *context), void *context)
{
    struct resource_done *done = ARENA_NEW(&op->arena, struct resource_done);
    if (done == NULL) {
        return ERR_FULL;
    }
    *done = (struct resource_done){.run = run, .context = context, .next = op->done};
    op->done = done;
    return ERR_OK;
}

struct os_executor *
resource_op_executor(struct resource_op *op)
{
    return op->runtime->executor;
}

uint64_t
resource_now_s(struct resource_op *op)
{
    return os_wall_ns(op->runtime->parts.clock) / OS_NS_PER_S;
}

uint64_t
resource_monotonic_ns(struct resource_op *op)
{
    return os_monotonic_ns(op->runtime->parts.clock);
}

struct span
resource_new_id(struct resource_op *op, const char *prefix, u128 *ret_id)
{
    char text[ID_TEXT_SIZE];
    *ret_id = resource_id_next(op->runtime);
    size_t size = id_format(prefix, *ret_id, text);
    return arena_copy(&op->arena, span_of(text, size));
}

void
resource_random_text(struct os_entropy *entropy, char *out, uint32_t length)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    enum {
        FAIR_MAX = 248
    }; /* the largest multiple of 62 in a byte: no digit is likelier */

    uint8_t random[64];
    size_t used = sizeof(random);
    for (uint32_t i = 0; i < length;) {
        if (used == sizeof(random)) {
            entropy->fill(entropy, random, sizeof(random));
            used = 0;
        }
        uint8_t byte = random[used++];
        if (byte < FAIR_MAX) {
            out[i++] = digits[byte % 62];
        }
    }
    explicit_bzero(random, sizeof(random));
}

struct span
resource_new_secret(struct resource_op *op, uint32_t length)
{
    char *text = arena_alloc(&op->arena, length);
    if (text == NULL) {
        return SPAN_EMPTY;
    }
    resource_random_text(op->runtime->parts.entropy, text, length);
    return span_of(text, length);
}
