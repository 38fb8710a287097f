#include "client_private.h"

#include "auth.h"

#include "base/assert.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest answer: a full batch of change events. */
#define ANSWER_MAX (8U << 20)
#define BODY_MAX   (4U << 20)
#define ARENA_MAX  (8U << 20)
#define FILE_MAX   65536
/* For a hello's answer: a machine that is busy is not dead. */
#define HELLO_TIMEOUT_NS (5 * OS_NS_PER_S)
/* After a good hello, and so many intervals without another, it is not reached any more. */
#define HELLO_MISSES 3
/* While nobody answers: somebody waits for it. */
#define HELLO_EAGER_NS (100 * OS_NS_PER_MS)

const struct remote_client_settings remote_client_settings_default = {
    .requests_max = 8192,
    .connections_max = 64,
    .timeout_ms = 10000,
    .connect_timeout_ms = 2000,
    .hello_interval_ms = 1000,
    .file_interval_ms = 5000,
};

/* -------------------------------------------------------------------------------------- jobs ---
 */

struct remote_job *
remote_job_take(
    struct remote_client *client,
    void *request,
    void (*finish)(struct remote_job *job, err_t error, struct span answer))
{
    struct remote_job *job = NULL;
    struct list_link *link = list_pop_front(&client->free);
    REMOTE_COUNT(client, requests, 1);
    if (link != NULL) {
        job = CONTAINER_OF(link, struct remote_job, link);
    } else if (client->job_count < client->parts.settings.requests_max) {
        job = calloc(1, sizeof(*job));
    }
    if (job == NULL) {
        REMOTE_COUNT(client, busy, 1);
        return NULL;
    }
    if (link == NULL) {
        client->job_count++;
        job->client = client;
        buf_init(&job->body, BODY_MAX);
    }
    job->request = request;
    job->finish = finish;
    REMOTE_COUNT(client, under_way, 1);
    return job;
}

static void
job_give_back(struct remote_job *job)
{
    struct remote_client *client = job->client;
    remote_call_release(&job->call);
    buf_wipe(&job->body);
    job->request = NULL;
    REMOTE_COUNT(client, under_way, -1);
    list_push_front(&client->free, &job->link);
}

void
remote_job_drop(struct remote_job *job)
{
    REMOTE_COUNT(job->client, busy, 1);
    job_give_back(job);
}

static void
header_add(struct remote_call *call, struct span name, struct span value)
{
    ASSERT(call->header_count < REMOTE_HEADERS_MAX);
    call->headers[call->header_count++] = (struct http_header){.name = name, .value = value};
}

/* An error that the other side tells. By its listener: nothing was done (REMOTE-2). */
static err_t
refusal_of(struct remote_job *job)
{
    struct remote_client *client = job->client;
    const struct remote_call *call = &job->call;
    struct remote_refusal refusal;
    const char *problem;
    err_t error = ERR_OUTCOME_UNKNOWN;
    arena_clear(&client->arena);
    if (!span_equal(call->content_type_answered, SPAN("application/json")) ||
        remote_fields_read(
            &remote_refusal_fields, call->answer, &client->arena, &refusal, &problem) != ERR_OK ||
        !remote_error_from_name(refusal.error, &error)) {
        REMOTE_COUNT(client, unknown, 1);
        return ERR_OUTCOME_UNKNOWN; /* not one of ours: some proxy, some other program */
    }
    if (refusal.by_listener && call->may_have_happened) {
        REMOTE_COUNT(client, unknown, 1);
        return ERR_OUTCOME_UNKNOWN; /* of this attempt nothing was done, of the first nobody knows
                                     */
    }
    if (refusal.by_listener) {
        REMOTE_COUNT(client, refused, 1);
        return ERR_BUSY;
    }
    REMOTE_COUNT(client, answered, 1);
    job->moved_epoch = refusal.epoch;
    return error;
}

/* What is left of the request's time, as its header says it. */
static struct span
left_write(struct remote_job *job)
{
    uint64_t now_ns = net_now_ns();
    uint64_t deadline_ns = job->call.deadline_ns;
    uint64_t left_ms = deadline_ns <= now_ns ? 0 : (deadline_ns - now_ns) / OS_NS_PER_MS;
    int size = snprintf(job->left_ms, sizeof(job->left_ms), "%llu", (unsigned long long)left_ms);
    return span_of(job->left_ms, (size_t)size);
}

/* One of a ledger's endpoints holds it, and the others stand by: who is busy may be one of those.
 */
static bool
job_again(struct remote_job *job)
{
    struct remote_client *client = job->client;
    if (client->parts.service != REMOTE_LEDGER) {
        return false;
    }
    job->call.headers[0].value = left_write(job);
    if (!remote_call_again(&job->call)) {
        return false;
    }
    REMOTE_COUNT(client, requests, 1);
    return true;
}

static void
job_done(struct remote_call *call)
{
    struct remote_job *job = CONTAINER_OF(call, struct remote_job, call);
    struct remote_client *client = job->client;
    err_t error = ERR_OK;
    struct span answer = SPAN_EMPTY;
    switch (call->outcome) {
    case REMOTE_ANSWERED:
        if (call->status == 200) {
            REMOTE_COUNT(client, answered, 1);
            answer = call->answer;
        } else {
            error = refusal_of(job);
        }
        if (error == ERR_BUSY && job_again(job)) {
            return;
        }
        break;
    case REMOTE_NOT_SENT:
        REMOTE_COUNT(client, not_sent, 1);
        error = ERR_BUSY;
        break;
    case REMOTE_UNKNOWN:
        REMOTE_COUNT(client, unknown, 1);
        error = ERR_OUTCOME_UNKNOWN;
        break;
    }
    arena_clear(&client->arena);
    job->finish(job, error, answer);
    arena_wipe(&client->arena);
    job_give_back(job);
}

void
remote_job_send(struct remote_job *job, const struct remote_request *request)
{
    struct remote_client *client = job->client;
    struct remote_call *call = &job->call;
    uint64_t deadline_ns =
        request->deadline_ns != 0
            ? request->deadline_ns
            : net_now_ns() + (uint64_t)client->parts.settings.timeout_ms * OS_NS_PER_MS;
    int size = snprintf(
        job->target,
        sizeof(job->target),
        "/internal/v%u/%s/%s",
        (unsigned)remote_service_version(client->parts.service),
        remote_service_name(client->parts.service),
        request->operation);
    ASSERT(size > 0 && (size_t)size < sizeof(job->target));
    call->method = HTTP_METHOD_POST;
    call->target = span_of(job->target, (size_t)size);
    call->content_type = request->content_type;
    call->body = request->body;
    call->deadline_ns = deadline_ns;
    call->repeatable = request->repeatable;
    call->done = job_done;
    call->header_count = 0;
    header_add(call, SPAN("Tael-Timeout-Ms"), left_write(job)); /* first: see job_again */
    if (request->epoch != 0) {
        size = snprintf(job->epoch, sizeof(job->epoch), "%llu", (unsigned long long)request->epoch);
        header_add(call, SPAN("Tael-Shard-Epoch"), span_of(job->epoch, (size_t)size));
    }
    if (trace_context_is_set(request->trace)) {
        tracecontext_format(request->trace, job->parent);
        header_add(call, SPAN("traceparent"), span_of(job->parent, TRACECONTEXT_PARENT_SIZE));
        struct span state = trace_context_state(request->trace, job->state);
        if (state.size != 0) {
            header_add(call, SPAN("tracestate"), state);
        }
    }
    struct span proof = remote_auth_header(client->parts.auth);
    if (proof.size != 0) {
        header_add(call, SPAN("Authorization"), proof);
    }
    remote_channel_send(client->channel, call);
}

/* ------------------------------------------------------------------------------------- hello ---
 */

static bool
serves(const struct remote_hello *hello, enum remote_service service)
{
    const bool all[REMOTE_SERVICE_COUNT] = {
        [REMOTE_LEDGER] = hello->ledger,
        [REMOTE_RAIL] = hello->rail,
        [REMOTE_NETWORK] = hello->network,
        [REMOTE_VAULT] = hello->vault,
        [REMOTE_WALLET] = hello->wallet,
        [REMOTE_MOBILE] = hello->mobile,
        [REMOTE_BANK] = hello->bank,
    };
    return all[service];
}

static const char not_ready[] = "it is not ready";

/* What keeps it from being used, or NULL. *refuses: waiting does not help. */
static const char *
hello_take(struct remote_client *client, const struct remote_call *call, bool *refuses)
{
    struct remote_hello hello;
    const char *problem;
    *refuses = call->outcome == REMOTE_ANSWERED || call->cause == ERR_CRYPTO;
    if (call->outcome != REMOTE_ANSWERED) {
        return call->cause == ERR_CRYPTO      ? "its certificate is not that of the service"
               : call->cause == ERR_TIMEOUT   ? "no answer in time"
               : call->cause == ERR_NOT_FOUND ? "there is no such host"
                                              : "nobody answers";
    }
    if (call->status == 401) {
        return "it does not know us: another key, or another certificate";
    }
    if (call->status == 404) {
        return "it is not one of ours, or of an older version, and has to be upgraded first";
    }
    arena_clear(&client->arena);
    if (call->status != 200 ||
        remote_fields_read(&remote_hello_fields, call->answer, &client->arena, &hello, &problem) !=
            ERR_OK) {
        return "it is not one of ours, or of another version";
    }
    if (hello.version != remote_service_version(client->parts.service)) {
        return "it speaks another version";
    }
    if (!serves(&hello, client->parts.service)) {
        return remote_auth_is_mutual(client->parts.auth)
                   ? "it does not serve this, or not to the role of our certificate"
                   : "it does not serve this";
    }
    *refuses = false;
    atomic_store(&client->told_simulated, hello.simulated);
    atomic_store(&client->reached_ns, net_now_ns());
    /* Before anybody is told of the port: see remote_client_rail. */
    return hello.ready ? NULL : not_ready;
}

static void
hello_arm(struct remote_client *client)
{
    uint64_t interval_ns = (uint64_t)client->parts.settings.hello_interval_ms * OS_NS_PER_MS;
    if (atomic_load(&client->why) != NULL && interval_ns > HELLO_EAGER_NS) {
        interval_ns = HELLO_EAGER_NS;
    }
    /* Without a timer it would look dead for ever, so that is told; it cannot happen with the few
     * timers that there are. */
    err_t result =
        net_timer_arm(client->parts.net, &client->hello_timer, net_now_ns() + interval_ns);
    if (result != ERR_OK) {
        atomic_store(&client->why, "no timer for it is left");
    }
}

static void
hello_done(struct remote_call *call)
{
    struct remote_client *client = CONTAINER_OF(call, struct remote_client, hello.call);
    bool refuses;
    const char *why = hello_take(client, call, &refuses);
    /* Another endpoint may be; if none is there, this is what is known. */
    if (why == not_ready && remote_call_again(call)) {
        client->stands_by = true;
        return;
    }
    if (client->stands_by && call->outcome != REMOTE_ANSWERED) {
        why = not_ready;
        refuses = false;
    }
    client->stands_by = false;
    atomic_store(&client->why, why);
    atomic_store(&client->refuses, refuses);
    atomic_store(&client->asked, true); /* behind what came of it */
    remote_call_release(call);
    if (!remote_channel_is_stopping(client->channel)) {
        hello_arm(client);
    }
}

static void
hello_send(struct remote_client *client)
{
    struct remote_call *call = &client->hello.call;
    call->method = HTTP_METHOD_GET;
    int size = snprintf(
        client->hello.target,
        sizeof(client->hello.target),
        "/internal/v%u/hello",
        (unsigned)remote_service_version(client->parts.service));
    ASSERT(size > 0 && (size_t)size < sizeof(client->hello.target));
    call->target = span_of(client->hello.target, (size_t)size);
    call->deadline_ns = net_now_ns() + HELLO_TIMEOUT_NS;
    call->repeatable = true;
    call->done = hello_done;
    call->header_count = 0;
    struct span proof = remote_auth_header(client->parts.auth);
    if (proof.size != 0) {
        header_add(call, SPAN("Authorization"), proof);
    }
    remote_channel_send(client->channel, call);
}

static void
hello_fire(struct net_timer *timer)
{
    struct remote_client *client = CONTAINER_OF(timer, struct remote_client, hello_timer);
    if (!remote_channel_is_stopping(client->channel)) {
        hello_send(client);
    }
}

void
remote_client_look(const struct remote_client *client, struct remote_client_state *ret_state)
{
    bool asked = atomic_load(&client->asked);
    uint64_t reached_ns = atomic_load(&client->reached_ns);
    uint64_t interval_ns = (uint64_t)client->parts.settings.hello_interval_ms * OS_NS_PER_MS;
    uint64_t valid_ns = HELLO_TIMEOUT_NS + HELLO_MISSES * interval_ns;
    const char *why = atomic_load(&client->why);
    memset(ret_state, 0, sizeof(*ret_state));
    ret_state->asked = asked;
    ret_state->reached = reached_ns != 0 && net_now_ns() - reached_ns < valid_ns;
    ret_state->ready = ret_state->reached && why == NULL;
    ret_state->refuses = atomic_load(&client->refuses);
    ret_state->simulated = atomic_load(&client->told_simulated);
    (void)snprintf(
        ret_state->why,
        sizeof(ret_state->why),
        "%s",
        ret_state->ready ? ""
        : why == NULL    ? "no answer in time"
                         : why);
}

/* --------------------------------------------------------------------------------- endpoints ---
 */

static err_t
endpoints_check(
    const struct remote_client *client,
    struct span text,
    struct remote_endpoints *ret_endpoints,
    char message[REMOTE_MESSAGE_SIZE])
{
    struct span problem;
    err_t result = remote_endpoints_parse(text, ret_endpoints, &problem);
    if (result != ERR_OK) {
        (void)snprintf(
            message,
            REMOTE_MESSAGE_SIZE,
            "%.*s: %s",
            (int)(problem.size < 300 ? problem.size : 300),
            problem.data == NULL ? "" : problem.data,
            result == ERR_INVALID ? "not a HOST:PORT"
            : result == ERR_FULL  ? "more endpoints than 16"
                                  : "there is no endpoint");
        return result;
    }
    for (uint32_t i = 0; i < ret_endpoints->count; i++) {
        const char *host = ret_endpoints->at[i].host;
        if (!remote_auth_allows_host(client->parts.auth, span_from_cstr(host))) {
            (void)snprintf(
                message,
                REMOTE_MESSAGE_SIZE,
                "%s: not this machine, and nothing would hide the requests on the way there",
                host);
            return ERR_DENIED;
        }
    }
    return ERR_OK;
}

static err_t
endpoints_load(struct remote_client *client, bool first, char message[REMOTE_MESSAGE_SIZE])
{
    char *content = NULL;
    size_t size = 0;
    struct remote_endpoints endpoints;
    struct span text = span_from_cstr(client->parts.endpoints);
    if (client->path[0] != '\0') {
        err_t result = os_file_load(os_disk_real(), client->path, FILE_MAX, &content, &size);
        if (result != ERR_OK) {
            (void)snprintf(message, REMOTE_MESSAGE_SIZE, "%s: %s", client->path, err_text(result));
            return result;
        }
        text = span_of(content, size);
    }
    err_t result = endpoints_check(client, text, &endpoints, message);
    bool changed = result == ERR_OK && (first || endpoints.count != client->endpoints.count);
    for (uint32_t i = 0; result == ERR_OK && !changed && i < endpoints.count; i++) {
        changed = !remote_endpoint_equal(&endpoints.at[i], &client->endpoints.at[i]);
    }
    if (changed) {
        client->endpoints = endpoints;
        result = remote_channel_set(client->channel, &endpoints);
    }
    free(content);
    return result;
}

/* A file that cannot be read, or has a mistake, changes nothing. */
static void
file_fire(struct os_timer *timer)
{
    struct remote_client *client = CONTAINER_OF(timer, struct remote_client, file_timer);
    char message[REMOTE_MESSAGE_SIZE];
    struct os_clock *clock = os_clock_real();
    (void)endpoints_load(client, false, message);
    os_timer_arm(
        client->parts.files,
        timer,
        os_monotonic_ns(clock) + (uint64_t)client->parts.settings.file_interval_ms * OS_NS_PER_MS);
}

static void
run_file(struct os_task *task)
{
    file_fire(&CONTAINER_OF(task, struct remote_client, file_task)->file_timer);
}

/* -------------------------------------------------------------------------------------- life ---
 */

static void
run_start(struct os_task *task)
{
    hello_send(CONTAINER_OF(task, struct remote_client, start_task));
}

void
remote_client_start(struct remote_client *client)
{
    client->start_task.run = run_start;
    os_post(net_loop_executor(client->parts.net), &client->start_task);
    if (client->path[0] != '\0' && client->parts.files != NULL) {
        client->file_task.run = run_file;
        os_post(os_loop_executor(client->parts.files), &client->file_task);
    }
}

static void
run_stop(struct os_task *task)
{
    struct remote_client *client = CONTAINER_OF(task, struct remote_client, stop_task);
    net_timer_cancel(client->parts.net, &client->hello_timer);
}

void
remote_client_stop(struct remote_client *client)
{
    remote_channel_stop(client->channel);
    /* The loop's stop runs it at the latest. */
    client->stop_task.run = run_stop;
    os_post(net_loop_executor(client->parts.net), &client->stop_task);
}

static err_t
client_open(struct remote_client *client, char message[REMOTE_MESSAGE_SIZE])
{
    const struct remote_client_parts *parts = &client->parts;
    char name[REMOTE_DOMAIN_SIZE + 32];
    remote_auth_name(parts->auth, remote_service_role(parts->service), name);
    const struct remote_channel_settings settings = {
        .name = remote_service_name(parts->service),
        .connections_max = parts->settings.connections_max,
        .waiting_max = parts->settings.requests_max + 1,
        .answer_max = ANSWER_MAX,
        .connect_timeout_ms = parts->settings.connect_timeout_ms,
        .tls = remote_auth_client_tls(parts->auth),
        .tls_name = name,
    };
    if (span_starts_with(span_from_cstr(parts->endpoints), SPAN("file:"))) {
        size_t size = strlen(parts->endpoints) - strlen("file:");
        if (size == 0 || size >= sizeof(client->path)) {
            (void)snprintf(message, REMOTE_MESSAGE_SIZE, "file: needs a path");
            return ERR_INVALID;
        }
        memcpy(client->path, parts->endpoints + strlen("file:"), size);
    }
    TRY(remote_channel_create(parts->net, &settings, &client->channel));
    return endpoints_load(client, true, message);
}

err_t
remote_client_create(
    const struct remote_client_parts *parts,
    struct remote_client **ret_client,
    char message[REMOTE_MESSAGE_SIZE])
{
    struct remote_client *client = calloc(1, sizeof(*client));
    message[0] = '\0';
    if (client == NULL) {
        return ERR_MEMORY;
    }
    client->parts = *parts;
    list_init(&client->free);
    arena_init(&client->arena, ARENA_MAX);
    client->hello.client = client;
    client->hello_timer.fire = hello_fire;
    client->file_timer.fire = file_fire;
    atomic_store(&client->why, "it was not asked yet");
    atomic_store(&client->told_simulated, true);
    remote_client_init_ledger(client);
    remote_client_init_ports(client);
    err_t result = client_open(client, message);
    client->parts.endpoints = NULL; /* the caller's */
    if (result != ERR_OK) {
        remote_client_destroy(&client);
        return result;
    }
    *ret_client = client;
    return ERR_OK;
}

void
remote_client_destroy(struct remote_client **client)
{
    struct remote_client *gone = *client;
    if (gone == NULL) {
        return;
    }
    *client = NULL;
    remote_channel_destroy(&gone->channel);
    LIST_FOREACH_SAFE (&gone->free, link) {
        struct remote_job *job = CONTAINER_OF(link, struct remote_job, link);
        buf_release(&job->body);
        free(job);
    }
    arena_release(&gone->arena);
    free(gone);
}

void
remote_client_count(const struct remote_client *client, struct remote_client_counters *ret_counters)
{
    uint64_t values[REMOTE_COUNTER_COUNT];
    for (size_t i = 0; i < REMOTE_COUNTER_COUNT; i++) {
        values[i] = atomic_load_explicit(&client->counters[i], memory_order_relaxed);
    }
    static_assert(sizeof(values) == sizeof(*ret_counters), "every counter is one uint64_t");
    memcpy(ret_counters, values, sizeof(values));
}
