/*
 * The host: connections, and requests on their way to the network behind it.
 *
 * A session may end while requests of it are with the network: they are done all the same, and
 * their answers are dropped. A host that stops waits for them.
 */
#include "network/host.h"

#include "base/assert.h"
#include "base/list.h"
#include "evidence.h"
#include "frame.h"
#include "message.h"
#include "net/job.h"
#include "os/clock.h"

#include <stdlib.h>
#include <string.h>

#define ACCEPT_MS 10000u
/* The network behind has this long; the simulator answers at once. */
#define NETWORK_NS (60 * OS_NS_PER_S)

struct session {
    struct list_link link;
    struct network_host *host;
    struct net_stream *stream;
    struct net_timer idle;
    bool signed_on;
    bool deaf;         /* it does not read what it is answered, which was told */
    struct list asked; /* with the network, or late */
};

/* A request between its arrival and its answer. */
struct asked {
    struct list_link link; /* in its session's, or in the host's orphans */
    struct network_host *host;
    struct session *session; /* NULL: it has ended */
    struct port_network_request request;
    struct network_asked content;
    char *evidence; /* all of it; NULL: there is none */
    struct network_echo echo;
    struct net_timer late;
    uint32_t times; /* that it is still to be handled */
    bool lost;
};

struct network_host {
    struct network_host_parts parts;
    struct net_stream_listener *listener;
    struct list sessions, orphans;
    uint32_t session_count, asked_count;
    struct network_evidences evidences;
    struct iso8583_message message; /* one at a time; wiped */
    bool stopping;
    struct os_task stop_task;
    struct net_latch *stopped;
};

struct network_host_settings
network_host_settings_default(void)
{
    return (struct network_host_settings){
        .dialect = &iso8583_ascii,
        .connections_max = 64,
        .in_flight_max = 16384,
        .idle_ms = 300000,
        .late_ms = 15000,
    };
}

/* ------------------------------------------------------------------------------- requests --- */

static void
asked_free(struct asked *asked)
{
    struct network_host *host = asked->host;
    net_timer_cancel(host->parts.loop, &asked->late);
    list_remove(&asked->link);
    explicit_bzero(&asked->content, sizeof(asked->content));
    free(asked->evidence);
    free(asked);
    ASSERT(host->asked_count > 0);
    host->asked_count--;
    if (host->stopping && host->asked_count == 0) {
        net_latch_open(host->stopped);
    }
}

/* What cannot be sent is as good as lost: whoever asked asks again. */
static void
send_message(struct session *session)
{
    struct network_host *host = session->host;
    err_t result =
        network_frame_send(session->stream, host->parts.settings.dialect, &host->message);
    if (result != ERR_OK && !session->deaf) {
        session->deaf = true;
        TRACE_LOG(
            host->parts.log,
            TRACE_WARNING,
            "host",
            SPAN_EMPTY,
            "answers could not be sent: the other side does not read them",
            trace_cstr("error", err_text(result)));
    }
    iso8583_wipe(&host->message);
}

static void
refuse(struct session *session, const struct network_echo *echo, const char *code)
{
    if (network_refusal_build(echo, code, &session->host->message) == ERR_OK) {
        send_message(session);
    }
}

static void
ask_network(struct asked *asked)
{
    struct network_host *host = asked->host;
    asked->times--;
    asked->request.card = asked->content.card; /* the network wipes its own */
    asked->content.rail.deadline_ns = net_now_ns() + NETWORK_NS;
    host->parts.network->submit(host->parts.network, &asked->request);
}

static void
on_answer(struct port_network_request *request)
{
    struct asked *asked = CONTAINER_OF(request, struct asked, request);
    struct network_host *host = asked->host;
    bool known = request->error == ERR_OK && request->answer.outcome != PORT_RAIL_UNKNOWN;
    if (known && !asked->lost && asked->session != NULL &&
        network_answer_build(
            &asked->echo, asked->content.rail.operation, &request->answer, &host->message) ==
            ERR_OK) {
        send_message(asked->session);
    }
    if (asked->times > 0) {
        ask_network(asked);
    } else {
        asked_free(asked);
    }
}

static void
on_late(struct net_timer *timer)
{
    ask_network(CONTAINER_OF(timer, struct asked, late));
}

static bool
chance(struct network_host *host, uint32_t per_mille)
{
    return per_mille > 0 && os_random_u128(host->parts.entropy) % 1000 < per_mille;
}

static void
begin(struct session *session, struct asked *asked)
{
    struct network_host *host = session->host;
    const struct network_host_settings *settings = &host->parts.settings;
    asked->host = host;
    asked->session = session;
    list_push_back(&session->asked, &asked->link);
    host->asked_count++;
    asked->request.reply_to = net_loop_executor(host->parts.loop);
    asked->request.done = on_answer;
    asked->request.rail = &asked->content.rail;
    asked->late.fire = on_late;
    asked->lost = chance(host, settings->lost_per_mille);
    asked->times = chance(host, settings->twice_per_mille) ? 2 : 1;
    if (chance(host, settings->late_per_mille)) {
        uint64_t at_ns = net_now_ns() + settings->late_ms * OS_NS_PER_MS;
        if (net_timer_arm(host->parts.loop, &asked->late, at_ns) == ERR_OK) {
            return;
        }
    }
    ask_network(asked);
}

/* A part of evidence that is not the last is the host's own to answer. */
static void
answer_part(struct session *session, const struct network_echo *echo, const char *code)
{
    struct network_host *host = session->host;
    if (chance(host, host->parts.settings.lost_per_mille)) {
        return;
    }
    refuse(session, echo, code);
    if (chance(host, host->parts.settings.twice_per_mille)) {
        refuse(session, echo, code);
    }
}

/* True when all of the evidence is here; else it was answered. */
static bool
take_evidence(struct session *session, struct asked *asked, const struct network_echo *echo)
{
    struct network_host *host = session->host;
    char memory[NETWORK_PART];
    struct span part;
    size_t size;
    if (!network_part_get(&host->message, memory, &part)) {
        refuse(session, echo, "30");
        return false;
    }
    err_t result =
        network_evidence_add(&host->evidences, &asked->content, part, &asked->evidence, &size);
    if (result != ERR_OK) {
        answer_part(session, echo, result == ERR_INCOMPLETE ? "00" : "91");
        return false;
    }
    asked->content.rail.evidence = span_of(asked->evidence, size);
    return true;
}

/* What is asked, as far as it goes on to the network; else it was answered. */
static bool
read_request(struct session *session, struct asked *asked, const struct network_echo *echo)
{
    const char *refused = network_request_read(&session->host->message, &asked->content);
    if (refused != NULL) {
        refuse(session, echo, refused);
        return false;
    }
    return asked->content.rail.operation != PORT_RAIL_EVIDENCE ||
           take_evidence(session, asked, echo);
}

static void
on_request(struct session *session)
{
    struct network_host *host = session->host;
    struct network_echo echo;
    network_echo_take(&host->message, &echo);
    if (!session->signed_on || host->asked_count >= host->parts.settings.in_flight_max) {
        refuse(session, &echo, "91");
        return;
    }
    if (chance(host, host->parts.settings.dropped_per_mille)) {
        return;
    }
    struct asked *asked = calloc(1, sizeof(*asked));
    if (asked == NULL) {
        refuse(session, &echo, "91");
        return;
    }
    if (!read_request(session, asked, &echo)) {
        explicit_bzero(&asked->content, sizeof(asked->content));
        free(asked);
        return;
    }
    asked->echo = echo;
    begin(session, asked);
}

/* ------------------------------------------------------------------------------- sessions --- */

static void
session_free(struct session *session)
{
    struct network_host *host = session->host;
    struct list_link *link;
    while ((link = list_pop_front(&session->asked)) != NULL) {
        struct asked *asked = CONTAINER_OF(link, struct asked, link);
        asked->session = NULL;
        list_push_back(&host->orphans, link);
    }
    net_timer_cancel(host->parts.loop, &session->idle);
    net_stream_close(&session->stream);
    list_remove(&session->link);
    host->session_count--;
    free(session);
}

static void
on_idle(struct net_timer *timer)
{
    session_free(CONTAINER_OF(timer, struct session, idle));
}

/* False: the loop has no timer for it. */
static bool
idle_later(struct session *session)
{
    struct network_host *host = session->host;
    uint64_t at_ns = net_now_ns() + host->parts.settings.idle_ms * OS_NS_PER_MS;
    return net_timer_arm(host->parts.loop, &session->idle, at_ns) == ERR_OK;
}

static void
on_management(struct session *session)
{
    struct network_echo echo;
    uint64_t code = 0;
    (void)iso8583_get_number(&session->host->message, 70, &code);
    network_echo_take(&session->host->message, &echo);
    if (code == NETWORK_SIGN_ON || code == NETWORK_SIGN_OFF) {
        session->signed_on = code == NETWORK_SIGN_ON;
    }
    bool known = code == NETWORK_SIGN_ON || code == NETWORK_SIGN_OFF || code == NETWORK_ECHO;
    refuse(session, &echo, known ? "00" : "12");
}

static void
log_refused(struct network_host *host, const char *problem, unsigned field)
{
    TRACE_LOG(
        host->parts.log,
        TRACE_WARNING,
        "host",
        SPAN_EMPTY,
        "a connection sent what is no message, and is closed",
        trace_cstr("problem", problem),
        trace_u64("field", field));
}

static bool
take(void *context, struct span text)
{
    struct session *session = context;
    struct network_host *host = session->host;
    struct iso8583_refusal refusal;
    if (iso8583_decode(host->parts.settings.dialect, text, &host->message, &refusal) != ERR_OK) {
        log_refused(host, iso8583_problem_text(refusal.problem), refusal.field);
        session_free(session);
        return false;
    }
    uint16_t type = host->message.type;
    if (type == 800) {
        on_management(session);
    } else if (type / 10 % 2 == 0) {
        on_request(session);
    } /* else it answers something that was never asked */
    return true;
}

static size_t
on_data(void *context, struct span input)
{
    struct session *session = context;
    struct network_host *host = session->host;
    const struct network_frame_reader reader = {session, take, &host->message};
    size_t used = 0;
    err_t result = network_frames_read(&reader, input, &used);
    if (result == ERR_RANGE) {
        log_refused(host, "a frame that is too long", 0);
        session_free(session);
    }
    if (result != ERR_OK) {
        return 0;
    }
    if (used > 0 && !idle_later(session)) {
        session_free(session);
        return 0;
    }
    return used;
}

static void
on_closed(void *context, err_t cause)
{
    struct session *session = context;
    (void)cause;
    session->stream = NULL;
    session_free(session);
}

static bool
on_accept(void *context, struct net_stream *stream, void **ret_context)
{
    struct network_host *host = context;
    if (host->session_count >= host->parts.settings.connections_max) {
        return false;
    }
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        return false;
    }
    session->host = host;
    session->stream = stream;
    session->idle.fire = on_idle;
    list_init(&session->asked);
    if (!idle_later(session)) {
        free(session);
        return false;
    }
    list_push_back(&host->sessions, &session->link);
    host->session_count++;
    *ret_context = session;
    return true;
}

static const struct net_stream_hooks hooks = {.on_data = on_data, .on_closed = on_closed};

/* ------------------------------------------------------------------------------- its life --- */

static void
run_stop(struct os_task *task)
{
    struct network_host *host = CONTAINER_OF(task, struct network_host, stop_task);
    net_stream_listener_destroy(&host->listener);
    LIST_FOREACH_SAFE (&host->sessions, link) {
        session_free(CONTAINER_OF(link, struct session, link));
    }
    LIST_FOREACH_SAFE (&host->orphans, orphan) {
        struct asked *asked = CONTAINER_OF(orphan, struct asked, link);
        if (asked->late.position != 0) {
            asked_free(asked); /* it never arrived */
        }
    }
    host->stopping = true;
    if (host->asked_count == 0) {
        net_latch_open(host->stopped);
    }
}

void
network_host_stop(struct network_host *host)
{
    os_post(net_loop_executor(host->parts.loop), &host->stop_task);
    net_latch_wait(host->stopped);
}

err_t
network_host_create(
    const struct network_host_parts *parts,
    const char *address,
    uint16_t port,
    struct network_host **ret_host,
    uint16_t *ret_port)
{
    struct network_host *host = calloc(1, sizeof(*host));
    if (host == NULL) {
        return ERR_MEMORY;
    }
    host->parts = *parts;
    host->stop_task.run = run_stop;
    list_init(&host->sessions);
    list_init(&host->orphans);
    network_evidences_init(&host->evidences);
    err_t result = net_latch_create(&host->stopped);
    if (result == ERR_OK) {
        const struct net_stream_listen listen = {
            .address = address,
            .port = port,
            .tls = parts->tls,
            .limits = {NETWORK_INPUT_MAX, NETWORK_OUTPUT_MAX, ACCEPT_MS},
            .on_accept = on_accept,
            .hooks = &hooks,
            .context = host,
        };
        result = net_stream_listener_create(parts->loop, &listen, &host->listener, ret_port);
    }
    if (result != ERR_OK) {
        network_host_destroy(&host);
        return result;
    }
    *ret_host = host;
    return ERR_OK;
}

void
network_host_destroy(struct network_host **host)
{
    if (*host != NULL) {
        net_latch_destroy(&(*host)->stopped);
        network_evidences_release(&(*host)->evidences);
        free(*host);
        *host = NULL;
    }
}
