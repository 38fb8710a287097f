#include "exporter.h"

#include "encode.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/entropy.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define TARGET_SIZE        1024
#define CALL_TIMEOUT_MS    10000
#define CONNECT_TIMEOUT_MS 5000
#define ANSWER_BYTES_MAX   16384
#define BACKOFF_FIRST_MS   1000
#define BACKOFF_MAX_MS     30000
/* The largest part, and what stands around the spans, behind a batch that is nearly full. */
#define BATCH_LIMIT (TRACES_BATCH_BYTES + (256U << 10))

struct batch {
    struct buf body;
    uint32_t span_count;
};

struct traces_exporter {
    struct traces_exporter_parts parts;
    struct net_client *client;
    char target[TARGET_SIZE];
    struct batch open;
    struct batch queue[TRACES_BATCHES_MAX]; /* a ring; the first is under way, if one is */
    uint32_t first, count;
    struct net_call call;
    struct net_timer close_timer; /* of the open batch */
    struct net_timer retry_timer;
    bool sending; /* a call is under way, or waits for retry_timer */
    uint32_t tries;
    bool failing; /* the last call did; told once */
    bool finishing;
    bool sealed;    /* nothing is sent any more */
    bool has_timer; /* close_timer is armed for the open batch */

    atomic_uint_least64_t sent, rejected, dropped, failures, retries, queued;
};

static void
add(atomic_uint_least64_t *counter, uint64_t amount)
{
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static uint64_t
get(const atomic_uint_least64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ------------------------------------------------------------------------------------ the queue */

static void send_first(struct traces_exporter *exporter);

static void
queue_pop(struct traces_exporter *exporter)
{
    ASSERT(exporter->count > 0);
    struct batch *batch = &exporter->queue[exporter->first];
    atomic_fetch_sub_explicit(&exporter->queued, batch->span_count, memory_order_relaxed);
    buf_release(&batch->body);
    exporter->first = (exporter->first + 1) % TRACES_BATCHES_MAX;
    exporter->count--;
}

/* What was accepted, or given up, is the first of the queue. */
static void
batch_over(struct traces_exporter *exporter)
{
    queue_pop(exporter);
    exporter->sending = false;
    exporter->tries = 0;
    send_first(exporter);
}

static void
drop_first(struct traces_exporter *exporter)
{
    add(&exporter->dropped, exporter->queue[exporter->first].span_count);
    batch_over(exporter);
}

/* TRACES-2: a queue that is full takes no more. */
static void
batch_close(struct traces_exporter *exporter)
{
    struct batch *open = &exporter->open;
    net_timer_cancel(exporter->parts.loop, &exporter->close_timer);
    if (open->span_count == 0) {
        return;
    }
    if (exporter->parts.format == TRACES_OTLP) {
        traces_otlp_end(&open->body);
    } else {
        buf_append_byte(&open->body, ']');
    }
    if (buf_failed(&open->body) || exporter->count == TRACES_BATCHES_MAX) {
        add(&exporter->dropped, open->span_count);
        atomic_fetch_sub_explicit(&exporter->queued, open->span_count, memory_order_relaxed);
        buf_release(&open->body);
    } else {
        exporter->queue[(exporter->first + exporter->count) % TRACES_BATCHES_MAX] = *open;
        exporter->count++;
    }
    exporter->open = (struct batch){.span_count = 0};
    send_first(exporter);
}

static void
close_fired(struct net_timer *timer)
{
    batch_close(CONTAINER_OF(timer, struct traces_exporter, close_timer));
}

static void
batch_open(struct traces_exporter *exporter)
{
    struct buf *body = &exporter->open.body;
    buf_init(body, BATCH_LIMIT);
    if (exporter->parts.format == TRACES_OTLP) {
        traces_otlp_begin(
            body, exporter->parts.service, exporter->parts.version, exporter->parts.instance);
    } else {
        buf_append_byte(body, '[');
    }
    uint64_t at_ns = net_now_ns() + exporter->parts.interval_ms * UINT64_C(1000000);
    exporter->has_timer =
        net_timer_arm(exporter->parts.loop, &exporter->close_timer, at_ns) == ERR_OK;
}

void
traces_exporter_add(struct traces_exporter *exporter, const struct trace_part *part)
{
    struct batch *open = &exporter->open;
    uint32_t count = trace_part_record_count(part);
    if (exporter->sealed) {
        add(&exporter->dropped, count);
        return;
    }
    if (open->span_count == 0) {
        batch_open(exporter);
    } else {
        buf_append_byte(&open->body, ',');
    }
    if (exporter->parts.format == TRACES_OTLP) {
        traces_otlp_append(&open->body, part);
    } else {
        traces_zipkin_append(&open->body, part, exporter->parts.service);
    }
    open->span_count += count;
    add(&exporter->queued, count);
    if (open->span_count >= TRACES_BATCH_SPANS || open->body.size >= TRACES_BATCH_BYTES ||
        exporter->finishing || !exporter->has_timer) {
        batch_close(exporter);
    }
}

/* ---------------------------------------------------------------------------------- the request */

static void
tell(struct traces_exporter *exporter, bool failing, const char *what)
{
    if (exporter->failing == failing) {
        return;
    }
    exporter->failing = failing;
    const char *where = exporter->parts.format == TRACES_OTLP ? "otlp" : "zipkin";
    if (failing) {
        TRACE_LOG(
            exporter->parts.log,
            TRACE_WARNING,
            "traces",
            SPAN_EMPTY,
            "traces cannot be sent",
            trace_cstr("exporter", where),
            trace_cstr("why", what),
            trace_u64("status", exporter->call.result == ERR_OK ? exporter->call.status : 0));
    } else {
        TRACE_LOG(
            exporter->parts.log,
            TRACE_INFO,
            "traces",
            SPAN_EMPTY,
            "traces are sent again",
            trace_cstr("exporter", where));
    }
}

/* TRACES-3. OTLP: 429, 502, 503 and 504, and where the connection broke ("Failures", "Connecting"
 * and "All Other Responses" of its specification). Zipkin's API says nothing of repeating: only
 * what never left this machine. */
static bool
may_repeat(const struct traces_exporter *exporter)
{
    const struct net_call *call = &exporter->call;
    if (exporter->finishing || exporter->tries >= TRACES_TRIES_MAX) {
        return false;
    }
    if (call->result != ERR_OK) {
        return call->result != ERR_OUTCOME_UNKNOWN || exporter->parts.format == TRACES_OTLP;
    }
    return exporter->parts.format == TRACES_OTLP && (call->status == 429 || call->status == 502 ||
                                                     call->status == 503 || call->status == 504);
}

/* Retry-After in seconds counts, up to a maximum; else twice as long each time, half of it at
 * random, so that many do not come at once. */
static uint64_t
backoff_ms(const struct traces_exporter *exporter)
{
    enum {
        MS_PER_S = 1000
    };

    struct span text;
    uint64_t seconds;
    if (exporter->call.result == ERR_OK &&
        net_call_header_find(&exporter->call, SPAN("retry-after"), &text) &&
        span_parse_u64(text, &seconds)) {
        return seconds < BACKOFF_MAX_MS / MS_PER_S ? seconds * MS_PER_S : BACKOFF_MAX_MS;
    }
    uint64_t wait_ms = (uint64_t)BACKOFF_FIRST_MS << (exporter->tries - 1);
    wait_ms = wait_ms < BACKOFF_MAX_MS ? wait_ms : BACKOFF_MAX_MS;
    return wait_ms / 2 + (uint64_t)os_random_u128(exporter->parts.entropy) % (wait_ms / 2 + 1);
}

static void
accepted(struct traces_exporter *exporter)
{
    uint64_t count = exporter->queue[exporter->first].span_count;
    uint64_t rejected = 0;
    if (exporter->parts.format == TRACES_OTLP) {
        rejected = traces_otlp_rejected(buf_span(&exporter->call.answer));
        rejected = rejected < count ? rejected : count;
    }
    add(&exporter->rejected, rejected);
    add(&exporter->sent, count - rejected);
    tell(exporter, false, "");
    batch_over(exporter);
}

static void
call_done(struct net_call *call)
{
    enum {
        SUCCESS = 200,
        REDIRECT = 300
    };

    struct traces_exporter *exporter = call->user;
    if (call->result == ERR_OK && call->status >= SUCCESS && call->status < REDIRECT) {
        accepted(exporter);
        return;
    }
    add(&exporter->failures, 1);
    tell(exporter, true, call->result == ERR_OK ? "refused" : err_name(call->result));
    uint64_t at_ns = net_now_ns() + backoff_ms(exporter) * UINT64_C(1000000);
    if (!may_repeat(exporter) ||
        net_timer_arm(exporter->parts.loop, &exporter->retry_timer, at_ns) != ERR_OK) {
        drop_first(exporter);
    }
}

static void
call_start(struct traces_exporter *exporter)
{
    struct batch *batch = &exporter->queue[exporter->first];
    const struct traces_headers *headers = exporter->parts.headers;
    net_call_release(&exporter->call);
    exporter->call = (struct net_call){
        .method = HTTP_METHOD_POST,
        .target = span_from_cstr(exporter->target),
        .content_type = SPAN("application/json"),
        .headers = headers == NULL ? NULL : headers->list,
        .header_count = headers == NULL ? 0 : headers->count,
        .body = buf_span(&batch->body),
        .timeout_ms = CALL_TIMEOUT_MS,
        .reply_to = net_loop_executor(exporter->parts.loop),
        .done = call_done,
        .user = exporter,
    };
    exporter->tries++;
    net_client_start(exporter->client, &exporter->call);
}

static void
retry_fired(struct net_timer *timer)
{
    struct traces_exporter *exporter = CONTAINER_OF(timer, struct traces_exporter, retry_timer);
    add(&exporter->retries, 1);
    call_start(exporter);
}

static void
send_first(struct traces_exporter *exporter)
{
    if (exporter->sealed) {
        while (exporter->count > 0) {
            add(&exporter->dropped, exporter->queue[exporter->first].span_count);
            queue_pop(exporter);
        }
    } else if (!exporter->sending && exporter->count > 0) {
        exporter->sending = true;
        call_start(exporter);
    }
}

/* ----------------------------------------------------------------------------------------- life */

static bool
target_make(struct traces_exporter *exporter)
{
    const struct traces_exporter_parts *parts = &exporter->parts;
    struct buf target;
    buf_init_fixed(&target, exporter->target, sizeof(exporter->target));
    buf_append_span(&target, parts->url.path);
    if (parts->format == TRACES_OTLP) {
        buf_append_cstr(&target, "/v1/traces");
    } else if (parts->url.path.size == 0) {
        buf_append_cstr(&target, "/api/v2/spans");
    }
    buf_append_byte(&target, '\0');
    return !buf_failed(&target);
}

static err_t
client_create(struct traces_exporter *exporter)
{
    const struct traces_url *url = &exporter->parts.url;
    char host[TRACES_HOST_MAX + 1] = "";
    struct net_client_settings settings = net_client_settings_default;
    settings.connections_max = 1;
    settings.waiting_max = 1;
    settings.connect_timeout_ms = CONNECT_TIMEOUT_MS;
    settings.limits.body = UINT64_MAX >> 1; /* however much it says it will send: it is cut */
    settings.answer_cut_bytes = ANSWER_BYTES_MAX;
    memcpy(host, url->host.data, url->host.size);
    const struct net_origin origin = {
        .host = host,
        .port = url->port,
        .tls = url->tls ? exporter->parts.tls : NULL,
    };
    return net_client_create(exporter->parts.loop, &origin, &settings, &exporter->client);
}

err_t
traces_exporter_create(
    const struct traces_exporter_parts *parts, struct traces_exporter **ret_exporter)
{
    struct traces_exporter *exporter = calloc(1, sizeof(*exporter));
    if (exporter == NULL) {
        return ERR_MEMORY;
    }
    exporter->parts = *parts;
    exporter->close_timer.fire = close_fired;
    exporter->retry_timer.fire = retry_fired;
    err_t result = target_make(exporter) ? client_create(exporter) : ERR_INVALID;
    if (result != ERR_OK) {
        free(exporter);
        return result;
    }
    *ret_exporter = exporter;
    return ERR_OK;
}

void
traces_exporter_finish(struct traces_exporter *exporter)
{
    exporter->finishing = true;
    batch_close(exporter);
    if (exporter->retry_timer.position != 0) { /* it waits: once more, and then no more */
        net_timer_cancel(exporter->parts.loop, &exporter->retry_timer);
        retry_fired(&exporter->retry_timer);
    }
}

void
traces_exporter_seal(struct traces_exporter *exporter)
{
    ASSERT(exporter->finishing);
    exporter->sealed = true;
}

bool
traces_exporter_is_idle(const struct traces_exporter *exporter)
{
    return get(&exporter->queued) == 0;
}

void
traces_exporter_stop(struct traces_exporter *exporter)
{
    net_client_stop(exporter->client);
}

void
traces_exporter_destroy(struct traces_exporter **exporter_at)
{
    struct traces_exporter *exporter = *exporter_at;
    if (exporter == NULL) {
        return;
    }
    *exporter_at = NULL;
    net_client_destroy(&exporter->client);
    net_call_release(&exporter->call);
    buf_release(&exporter->open.body);
    for (uint32_t i = 0; i < TRACES_BATCHES_MAX; i++) {
        buf_release(&exporter->queue[i].body);
    }
    free(exporter);
}

void
traces_exporter_count(const struct traces_exporter *exporter, struct traces_counters *ret_counters)
{
    *ret_counters = (struct traces_counters){
        .sent = get(&exporter->sent),
        .rejected = get(&exporter->rejected),
        .dropped = get(&exporter->dropped),
        .failures = get(&exporter->failures),
        .retries = get(&exporter->retries),
        .queued = get(&exporter->queued),
    };
}
