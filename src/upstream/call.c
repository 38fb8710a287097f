/*
 * Calls. Invariants: README.md.
 *
 *     POSTED ---> ATTEMPT ---------------------------------> ENDED
 *        |         |   ^                                       ^
 *        |         v   | timer                                 |
 *        |        BACKOFF -------------------------------------+
 *        `-----------------------------------------------------'
 *
 * An attempt is a call of the endpoint's client. Its end is judged once: for the endpoint
 * (attempt_count), for the breaker, and for whether there is another one (attempt_elsewhere,
 * attempt_next).
 */
#include "base/assert.h"

#include "upstream_private.h"

#include <string.h>

enum call_state {
    CALL_ENDED, /* also: never sent */
    CALL_POSTED,
    CALL_ATTEMPT,
    CALL_BACKOFF,
};

const char *
upstream_outcome_name(enum upstream_outcome outcome)
{
    switch (outcome) {
    case UPSTREAM_ANSWERED:
        return "answered";
    case UPSTREAM_NOT_SENT:
        return "not_sent";
    case UPSTREAM_UNKNOWN:
        return "unknown";
    case UPSTREAM_TIMEOUT:
        return "timeout";
    case UPSTREAM_NO_ENDPOINT:
        return "no_endpoint";
    case UPSTREAM_OVERLOADED:
        return "overloaded";
    case UPSTREAM_CANCELLED:
        return "cancelled";
    }
    UNREACHABLE();
}

/* -------------------------------------------------------------------------------------- ends */

/* Runs or posts the `done` of what has ended; one post for each run of equal executors. */
static void
on_flush(struct os_task *task)
{
    struct upstream *upstream = CONTAINER_OF(task, struct upstream, flush_task);
    struct os_task *first = upstream->ended;
    upstream->ended = NULL;
    upstream->ended_last = NULL;
    upstream->flushing = false;
    while (first != NULL) {
        struct os_executor *executor = CONTAINER_OF(first, struct upstream_call, task)->reply_to;
        struct os_task *last = first;
        while (executor != NULL && last->next != NULL &&
               CONTAINER_OF(last->next, struct upstream_call, task)->reply_to == executor) {
            last = last->next;
        }
        struct os_task *next = last->next;
        last->next = NULL;
        if (executor != NULL) {
            executor->post(executor, first, last);
        } else {
            first->run(first);
        }
        first = next;
    }
    upstream_stop_step(upstream);
}

static void
on_done(struct os_task *task)
{
    struct upstream_call *call = CONTAINER_OF(task, struct upstream_call, task);
    call->done(call);
}

static _Atomic uint64_t *
outcome_counter(struct upstream *upstream, enum upstream_outcome outcome)
{
    switch (outcome) {
    case UPSTREAM_ANSWERED:
        return UPSTREAM_COUNTER(upstream, answered);
    case UPSTREAM_NOT_SENT:
        return UPSTREAM_COUNTER(upstream, not_sent);
    case UPSTREAM_UNKNOWN:
        return UPSTREAM_COUNTER(upstream, unknown);
    case UPSTREAM_TIMEOUT:
        return UPSTREAM_COUNTER(upstream, timeouts);
    case UPSTREAM_NO_ENDPOINT:
        return UPSTREAM_COUNTER(upstream, no_endpoint);
    case UPSTREAM_OVERLOADED:
        return UPSTREAM_COUNTER(upstream, overloaded);
    case UPSTREAM_CANCELLED:
        return UPSTREAM_COUNTER(upstream, cancelled);
    }
    UNREACHABLE();
}

/* The last step: `done` comes later, never from inside what the caller does now. An answer that is
 * there is given, whatever kept a better one from coming. */
static void
call_end(struct upstream_call *call, enum upstream_outcome outcome, err_t cause)
{
    struct upstream *upstream = call->upstream;
    ASSERT(call->state != CALL_ENDED);
    call->continues = false;
    if (call->has_answer) {
        outcome = UPSTREAM_ANSWERED;
        cause = ERR_OK;
        call->status = call->attempt.status;
        call->answer = buf_span(&call->attempt.answer);
    }
    ASSERT(outcome != UPSTREAM_NOT_SENT || !call->may_have_happened); /* UPSTREAM-1 */
    call->outcome = outcome;
    call->cause = cause;
    call->ended_ns = net_now_ns();
    upstream_counter_add(outcome_counter(upstream, outcome), 1);
    if (call->retrying) {
        call->retrying = false;
        upstream->retrying--;
    }
    call->state = CALL_ENDED;
    list_remove(&call->link);
    upstream->active--;
    upstream_counter_set(UPSTREAM_COUNTER(upstream, active), upstream->active);
    call->task = (struct os_task){.run = on_done};
    if (upstream->ended == NULL) {
        upstream->ended = &call->task;
    } else {
        upstream->ended_last->next = &call->task;
    }
    upstream->ended_last = &call->task;
    if (!upstream->flushing) {
        upstream->flushing = true;
        os_post(net_loop_executor(upstream->loop), &upstream->flush_task);
    }
}

/* No further attempt is begun, for `cause`. */
static void
call_give_up(struct upstream_call *call, enum upstream_outcome outcome, err_t cause)
{
    call_end(call, call->may_have_happened ? UPSTREAM_UNKNOWN : outcome, cause);
}

/* ---------------------------------------------------------------------------------- attempts */

static void attempt_done(struct net_call *attempt);

/* Milliseconds, rounded up: an attempt does not end before its deadline. */
static uint32_t
attempt_timeout_ms(const struct upstream_call *call, uint64_t now_ns)
{
    const struct upstream_settings *settings = &call->upstream->settings;
    ASSERT(call->deadline_ns > now_ns);
    uint64_t left_ms = (call->deadline_ns - now_ns + UPSTREAM_NS_PER_MS - 1) / UPSTREAM_NS_PER_MS;
    uint64_t try_ms = call->try_timeout_ms != 0 ? call->try_timeout_ms : settings->try_timeout_ms;
    uint64_t timeout_ms = try_ms != 0 && try_ms < left_ms ? try_ms : left_ms;
    return (uint32_t)timeout_ms;
}

static void
attempt_start(struct upstream_call *call, struct upstream_slot *slot, uint64_t now_ns)
{
    struct net_call *attempt = &call->attempt;
    call->state = CALL_ATTEMPT;
    call->slot = slot->index;
    call->has_answer = false;
    call->attempts++;
    memcpy(call->endpoint, slot->name, slot->name_size);
    upstream_counter_add(UPSTREAM_COUNTER(slot->upstream, attempts), 1);
    upstream_slot_begin(slot);
    attempt->next = NULL;
    attempt->method = call->method;
    attempt->target = call->target;
    attempt->content_type = call->content_type;
    attempt->host = call->host;
    attempt->headers = call->headers;
    attempt->header_count = call->header_count;
    attempt->body = call->body;
    attempt->repeat = NET_REPEAT_UNSENT; /* UPSTREAM-3: what is sent again is counted here */
    attempt->timeout_ms = attempt_timeout_ms(call, now_ns);
    attempt->reply_to = net_loop_executor(slot->upstream->loop);
    attempt->done = attempt_done;
    if (call->hooks != NULL) {
        call->hooks->begins(call);
    }
    net_client_start(slot->client, attempt);
}

static void
breaker_counted(struct upstream *upstream)
{
    _Atomic uint64_t *gauge = UPSTREAM_COUNTER(upstream, breaker_state);
    uint64_t before = atomic_load_explicit(gauge, memory_order_relaxed);
    enum balance_breaker_state state = upstream->breaker.state;
    if (before == (uint64_t)state) {
        return;
    }
    upstream_counter_set(gauge, state);
    if (state == BALANCE_BREAKER_OPEN) {
        upstream_counter_add(UPSTREAM_COUNTER(upstream, breaker_opened), 1);
    }
    if (upstream->settings.log != NULL) {
        static const char *const names[] = {"closed", "open", "half_open"};
        TRACE_LOG(
            upstream->settings.log,
            TRACE_WARNING,
            "upstream",
            SPAN_EMPTY,
            "the circuit breaker changed its state",
            trace_cstr("upstream", upstream->name),
            trace_cstr("to", names[state]));
    }
}

static bool
is_unreached(const struct upstream_call *call, uint32_t index)
{
    return (call->unreached[index / 64] >> (index % 64) & 1) != 0;
}

/* The endpoint of the last attempt. */
static void
unreached_add(struct upstream_call *call)
{
    call->unreached[call->slot / 64] |= UINT64_C(1) << (call->slot % 64);
}

/* An endpoint that the call has not failed to reach, also one that was ejected if there is no
 * better; or BALANCE_NOBODY. */
static uint32_t
reachable_find(const struct upstream_call *call)
{
    const struct upstream *upstream = call->upstream;
    uint32_t found = BALANCE_NOBODY;
    for (uint32_t i = 0; i < UPSTREAM_ENDPOINTS_MAX; i++) {
        enum balance_state state = upstream->endpoints[i].state;
        bool may = state == BALANCE_ACTIVE || state == BALANCE_EJECTED;
        if (!may || is_unreached(call, i)) {
            continue;
        }
        if (state == BALANCE_ACTIVE) {
            return i;
        }
        found = found == BALANCE_NOBODY ? i : found;
    }
    return found;
}

static void
attempt_begin(struct upstream_call *call, uint64_t now_ns)
{
    struct upstream *upstream = call->upstream;
    if (now_ns >= call->deadline_ns) {
        call_end(call, UPSTREAM_TIMEOUT, ERR_TIMEOUT);
        return;
    }
    enum balance_admission admission = balance_breaker_admit(
        &upstream->breaker, &upstream->settings.breaker, now_ns, &call->ticket);
    breaker_counted(upstream);
    if (admission == BALANCE_REFUSED) {
        upstream_counter_add(UPSTREAM_COUNTER(upstream, breaker_refused), 1);
        call_give_up(call, UPSTREAM_OVERLOADED, ERR_BUSY);
        return;
    }
    const struct balance_request request = {
        .now_ns = now_ns,
        .random = os_prng_next(&upstream->prng),
        .key = call->key,
        .avoid = call->attempts == 0 && !call->continues ? BALANCE_NOBODY : call->slot,
    };
    uint32_t index = 0;
    switch (balance_pick(&upstream->balance, &request, &index)) {
    case BALANCE_NONE:
        balance_breaker_result(
            &upstream->breaker,
            &upstream->settings.breaker,
            now_ns,
            call->ticket,
            BALANCE_NO_RESULT);
        call_give_up(call, UPSTREAM_NO_ENDPOINT, ERR_NOT_FOUND);
        return;
    case BALANCE_PANIC:
        upstream_counter_add(UPSTREAM_COUNTER(upstream, panics), 1);
        break;
    case BALANCE_PICKED:
        break;
    }
    if (is_unreached(call, index)) {
        uint32_t other = reachable_find(call);
        index = other == BALANCE_NOBODY ? index : other;
    }
    attempt_start(call, &upstream->slots[index], now_ns);
}

/* It failed by our own limits or the caller's mistake: that says nothing about the endpoint, and
 * doing it again would not help. */
static bool
is_our_own(const struct net_call *attempt)
{
    err_t cause = attempt->result == ERR_OUTCOME_UNKNOWN ? attempt->cause : attempt->result;
    bool writable = attempt->sent || attempt->result != ERR_INVALID;
    return err_category(cause) == ERR_CATEGORY_EXHAUSTED || !writable;
}

/* What an attempt says about those who were asked. */
static enum balance_result
attempt_result(const struct upstream_call *call)
{
    const struct net_call *attempt = &call->attempt;
    if (attempt->result == ERR_OK) {
        return attempt->status >= 500 ? BALANCE_FAILED : BALANCE_SUCCEEDED;
    }
    bool silent = call->cancelled || attempt->stale || is_our_own(attempt);
    return silent ? BALANCE_NO_RESULT : BALANCE_FAILED;
}

static void
attempt_count(struct upstream_call *call, struct upstream_slot *slot)
{
    struct upstream *upstream = slot->upstream;
    const struct net_call *attempt = &call->attempt;
    enum balance_result result = attempt_result(call);
    balance_breaker_result(
        &upstream->breaker, &upstream->settings.breaker, attempt->ended_ns, call->ticket, result);
    breaker_counted(upstream);
    if (attempt->result == ERR_OK) {
        uint64_t taken_ns = attempt->ended_ns - attempt->started_ns;
        _Atomic uint64_t *smoothed = UPSTREAM_SLOT_COUNTER(slot, latency_ns);
        uint64_t before_ns = atomic_load_explicit(smoothed, memory_order_relaxed);
        uint64_t after_ns = before_ns == 0 ? taken_ns : before_ns - before_ns / 8 + taken_ns / 8;
        upstream_counter_set(smoothed, after_ns);
        upstream_counter_add(UPSTREAM_SLOT_COUNTER(slot, latency_total_ns), taken_ns);
        upstream_counter_add(UPSTREAM_SLOT_COUNTER(slot, answers), 1);
    }
    if (result != BALANCE_NO_RESULT) {
        upstream_slot_result(slot, result == BALANCE_FAILED, attempt->ended_ns);
    }
}

/* ----------------------------------------------------------------------------------- retries */

static bool
status_is_retried(unsigned status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

/* UPSTREAM-2 */
static bool
may_retry(const struct upstream_call *call)
{
    const struct net_call *attempt = &call->attempt;
    if (call->cancelled || call->upstream->stopping ||
        call->attempts - call->elsewhere >= call->upstream->settings.attempts_max) {
        return false;
    }
    if (attempt->result == ERR_OK) {
        return call->repeatable && status_is_retried(attempt->status);
    }
    if (call->continues && !attempt->sent) {
        return false; /* all others were asked, and were not the one */
    }
    /* Where one has too many calls waiting, another may not. */
    bool full = !attempt->sent && attempt->result == ERR_FULL;
    return (!is_our_own(attempt) || full) && (!attempt->sent || call->repeatable);
}

/* What Retry-After says, in nanoseconds; 0 without one. A date, and what nobody understands, is
 * longer than anybody waits: it asked for time. */
static uint64_t
retry_after_ns(const struct upstream_call *call)
{
    if (call->attempt.result != ERR_OK) {
        return 0;
    }
    struct span value = net_call_header(&call->attempt, HTTP_FIELD_RETRY_AFTER);
    uint64_t seconds = 0;
    if (value.size == 0) {
        return 0;
    }
    if (!span_parse_u64(value, &seconds) || seconds > UINT32_MAX) {
        return UINT64_MAX;
    }
    return seconds * 1000 * UPSTREAM_NS_PER_MS;
}

static void
on_backoff(struct net_timer *timer)
{
    struct upstream_call *call = CONTAINER_OF(timer, struct upstream_call, timer);
    ASSERT(call->state == CALL_BACKOFF);
    struct upstream *upstream = call->upstream;
    upstream_counter_add(UPSTREAM_COUNTER(upstream, backing_off), UINT64_MAX); /* one less */
    upstream_counter_add(UPSTREAM_COUNTER(upstream, retries), 1);
    attempt_begin(call, net_now_ns());
}

static bool
attempt_wait(struct upstream_call *call, uint64_t until_ns)
{
    struct upstream *upstream = call->upstream;
    call->timer = (struct net_timer){.fire = on_backoff};
    if (net_timer_arm(upstream->loop, &call->timer, until_ns) != ERR_OK) {
        return false;
    }
    call->state = CALL_BACKOFF;
    upstream_counter_add(UPSTREAM_COUNTER(upstream, backing_off), 1);
    return true;
}

/* Tries at once whom the call has not failed to reach; false if there is nobody, or if that was not
 * what kept it from being sent. No server sees more of it, so it is no matter of the budget.
 * UPSTREAM-3 */
static bool
attempt_elsewhere(struct upstream_call *call, uint64_t now_ns)
{
    const struct net_call *attempt = &call->attempt;
    const struct upstream *upstream = call->upstream;
    bool unreached = attempt->result != ERR_OK && !attempt->sent && !attempt->stale;
    if (!upstream->settings.unsent_elsewhere || !unreached || is_our_own(attempt) ||
        call->cancelled || upstream->stopping || now_ns >= call->deadline_ns) {
        return false;
    }
    unreached_add(call);
    if (reachable_find(call) == BALANCE_NOBODY || !attempt_wait(call, now_ns)) {
        return false;
    }
    call->elsewhere++;
    return true;
}

/* Waits and tries again; false if it may not. UPSTREAM-3 */
static bool
attempt_next(struct upstream_call *call, uint64_t now_ns)
{
    struct upstream *upstream = call->upstream;
    const struct upstream_settings *settings = &upstream->settings;
    if (!may_retry(call)) {
        return false;
    }
    uint64_t asked_ns = retry_after_ns(call);
    if (asked_ns > settings->retry_after_max_ms * UPSTREAM_NS_PER_MS) {
        return false;
    }
    /* A connection that had died while it was idle says nothing about the back end's load. */
    uint64_t wait_ns = call->attempt.stale ? 0
                                           : balance_backoff_ns(
                                                 settings->backoff_base_ms,
                                                 settings->backoff_max_ms,
                                                 call->attempts,
                                                 os_prng_next(&upstream->prng));
    wait_ns = wait_ns > asked_ns ? wait_ns : asked_ns;
    if (now_ns + wait_ns >= call->deadline_ns) {
        return false;
    }
    uint32_t retrying = call->attempt.stale ? 0 : upstream->retrying - (call->retrying ? 1 : 0);
    if (!balance_budget_take(
            &upstream->budget, &upstream->budget_settings, upstream->active, retrying)) {
        upstream_counter_add(UPSTREAM_COUNTER(upstream, budget_exhausted), 1);
        return false;
    }
    if (!attempt_wait(call, now_ns + wait_ns)) {
        return false;
    }
    upstream->retrying += call->retrying ? 0 : 1;
    call->retrying = true;
    return true;
}

static void
attempt_done(struct net_call *attempt)
{
    struct upstream_call *call = CONTAINER_OF(attempt, struct upstream_call, attempt);
    struct upstream *upstream = call->upstream;
    struct upstream_slot *slot = &upstream->slots[call->slot];
    ASSERT(call->state == CALL_ATTEMPT);
    uint64_t now_ns = attempt->ended_ns;
    call->may_have_happened = call->may_have_happened || attempt->sent;
    call->sent += attempt->sent ? 1 : 0;
    call->has_answer = attempt->result == ERR_OK;
    attempt_count(call, slot);
    if (call->hooks != NULL) {
        const struct upstream_attempt ended = {
            .result = attempt->result,
            .status = attempt->result == ERR_OK ? attempt->status : 0,
            .ended_ns = now_ns,
        };
        call->hooks->ended(call, &ended);
    }
    upstream_slot_end(slot);
    if (attempt_elsewhere(call, now_ns) || attempt_next(call, now_ns)) {
        return;
    }
    err_t cause = attempt->result == ERR_OUTCOME_UNKNOWN ? attempt->cause : attempt->result;
    if (call->cancelled) {
        call_end(call, UPSTREAM_CANCELLED, cause);
    } else if (now_ns >= call->deadline_ns) {
        call_end(call, UPSTREAM_TIMEOUT, ERR_TIMEOUT);
    } else {
        call_give_up(call, cause == ERR_FULL ? UPSTREAM_OVERLOADED : UPSTREAM_NOT_SENT, cause);
    }
}

/* ------------------------------------------------------------------------------------ the way in
 */

static void
call_begin(struct upstream_call *call)
{
    struct upstream *upstream = call->upstream;
    const struct upstream_settings *settings = &upstream->settings;
    uint32_t timeout_ms = call->timeout_ms == 0 ? settings->timeout_ms : call->timeout_ms;
    uint64_t now_ns = net_now_ns();
    call->started_ns = now_ns;
    call->deadline_ns = now_ns + timeout_ms * UPSTREAM_NS_PER_MS;
    list_push_back(&upstream->calls, &call->link);
    upstream->active++;
    upstream_counter_add(UPSTREAM_COUNTER(upstream, requests), 1);
    upstream_counter_set(UPSTREAM_COUNTER(upstream, active), upstream->active);
    if (call->cancelled) {
        call_end(call, UPSTREAM_CANCELLED, ERR_CLOSED);
    } else if (upstream->stopping) {
        call_end(call, UPSTREAM_NO_ENDPOINT, ERR_CLOSED);
    } else if (upstream->active > settings->requests_max) {
        call_end(call, UPSTREAM_OVERLOADED, ERR_FULL);
    } else {
        balance_budget_request(&upstream->budget, &upstream->budget_settings);
        attempt_begin(call, now_ns);
    }
}

static void
on_send(struct os_task *task)
{
    call_begin(CONTAINER_OF(task, struct upstream_call, task));
}

static void
call_reset(struct upstream *upstream, struct upstream_call *call)
{
    ASSERT(call->state == CALL_ENDED);
    ASSERT(call->done != NULL);
    ASSERT(call->method != HTTP_METHOD_OTHER);
    call->upstream = upstream;
    call->state = CALL_POSTED;
    call->outcome = UPSTREAM_NOT_SENT;
    call->may_have_happened = false;
    call->cause = ERR_OK;
    call->status = 0;
    call->answer = SPAN_EMPTY;
    call->attempts = 0;
    call->sent = 0;
    call->elsewhere = 0;
    if (!call->continues) {
        memset(call->unreached, 0, sizeof(call->unreached));
    }
    call->endpoint[0] = '\0';
    call->has_answer = false;
    call->retrying = false;
    call->cancelled = false;
}

void
upstream_send(struct upstream *upstream, struct upstream_call *first)
{
    bool here = net_loop_is_current(upstream->loop);
    struct os_task *chain = NULL;
    struct os_task *last = NULL;
    while (first != NULL) {
        struct upstream_call *call = first;
        first = call->next;
        call->next = NULL;
        call_reset(upstream, call);
        if (here) {
            call_begin(call);
            continue;
        }
        call->task = (struct os_task){.run = on_send};
        if (last != NULL) {
            last->next = &call->task;
        } else {
            chain = &call->task;
        }
        last = &call->task;
    }
    if (last != NULL) {
        struct os_executor *executor = net_loop_executor(upstream->loop);
        executor->post(executor, chain, last);
    }
}

void
upstream_cancel(struct upstream_call *call)
{
    ASSERT(net_loop_is_current(call->upstream->loop));
    switch ((enum call_state)call->state) {
    case CALL_ENDED:
        return;
    case CALL_POSTED:
        call->cancelled = true;
        return;
    case CALL_ATTEMPT:
        call->cancelled = true;
        net_client_cancel(&call->attempt);
        return;
    case CALL_BACKOFF:
        call->cancelled = true;
        net_timer_cancel(call->upstream->loop, &call->timer);
        upstream_counter_add(UPSTREAM_COUNTER(call->upstream, backing_off), UINT64_MAX);
        call_end(call, UPSTREAM_CANCELLED, ERR_CLOSED);
        return;
    }
    UNREACHABLE();
}

bool
upstream_call_is_unsent(const struct upstream_call *call)
{
    ASSERT(net_loop_is_current(call->upstream->loop));
    return !call->may_have_happened && !(call->state == CALL_ATTEMPT && call->attempt.sent);
}

void
upstream_calls_end(struct upstream *upstream, bool all)
{
    LIST_FOREACH_SAFE (&upstream->calls, link) {
        struct upstream_call *call = CONTAINER_OF(link, struct upstream_call, link);
        if (call->state == CALL_BACKOFF) {
            net_timer_cancel(upstream->loop, &call->timer);
            upstream_counter_add(UPSTREAM_COUNTER(upstream, backing_off), UINT64_MAX);
            call_give_up(call, UPSTREAM_NOT_SENT, ERR_CLOSED);
        } else if (all) {
            net_client_cancel(&call->attempt); /* ends as its state demands */
        }
    }
}

void
upstream_calls_init(struct upstream *upstream)
{
    list_init(&upstream->calls);
    upstream->flush_task.run = on_flush;
}

/* --------------------------------------------------------------------------------- the answer */

const struct http_head *
upstream_call_head(const struct upstream_call *call)
{
    return &call->attempt.parser.head;
}

struct span
upstream_call_header(const struct upstream_call *call, enum http_field field)
{
    return call->status == 0 ? SPAN_EMPTY : net_call_header(&call->attempt, field);
}

bool
upstream_call_elsewhere(struct upstream_call *call)
{
    ASSERT(net_loop_is_current(call->upstream->loop));
    ASSERT(call->state == CALL_ENDED);
    ASSERT(call->attempts > 0);
    unreached_add(call);
    call->continues = reachable_find(call) != BALANCE_NOBODY && !call->upstream->stopping;
    return call->continues;
}

struct buf
upstream_call_take_answer(struct upstream_call *call)
{
    struct buf taken = call->attempt.answer;
    call->attempt.answer = (struct buf){0};
    call->answer = SPAN_EMPTY;
    return taken;
}

void
upstream_call_release(struct upstream_call *call)
{
    ASSERT(call->state == CALL_ENDED);
    call->status = 0;
    call->answer = SPAN_EMPTY;
    net_call_release(&call->attempt);
}
