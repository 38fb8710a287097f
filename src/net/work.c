/* A request with its answer: made, kept for the next one, wiped. */
#include "base/assert.h"
#include "http/target.h"

#include "server_private.h"

#include <stdlib.h>
#include <string.h>

/* An arena that used more gives its memory back instead of keeping a block. */
#define ARENA_KEPT_MAX 8192

static void
buffers_init(struct net_work *work, const struct net_server *server)
{
    buf_init(&work->input, (size_t)server->settings.limits.head + 1);
    buf_init(&work->body, (size_t)server->settings.limits.body);
    buf_init(&work->wire, NET_ANSWER_HEAD_MAX + NET_INLINE_BODY_MAX);
    arena_init(&work->arena, (size_t)server->settings.arena_max);
}

struct net_work *
net_work_create(struct net_connection *connection)
{
    struct net_server *server = connection->server;
    struct net_work *work = server->kept;
    if (work != NULL) {
        server->kept = work->next;
        server->kept_count--;
        work->next = NULL;
    } else {
        work = calloc(1, sizeof(*work));
        if (work == NULL) {
            return NULL;
        }
        work->server = server;
        buffers_init(work, server);
    }
    work->connection = connection;
    work->state = NET_WORK_HEAD;
    work->exchange.peer = connection->peer;
    work->exchange.tls = connection->transport.ssl != NULL;
    work->exchange.arrived_ns = server->now_ns;
    work->exchange.arena = &work->arena;
    list_push_back(&server->in_hands, &work->hands_link);
    net_work_charge(work);
    return work;
}

void
net_work_received(struct net_work *work)
{
    if (list_is_linked(&work->hands_link)) {
        list_remove(&work->hands_link);
    }
}

/* Now the client has to take it. */
static void
answered(struct net_work *work)
{
    net_work_received(work);
    work->state = NET_WORK_ANSWERED;
    work->answered_ns = work->server->now_ns;
    list_push_back(&work->server->in_hands, &work->hands_link);
}

static void
buffer_forget(struct buf *buf)
{
    buf_wipe(buf);
    if (buf->capacity > NET_WORK_BUFFER_KEPT) {
        buf_release(buf);
    }
}

/* Its bytes only: most of a large body's room may never have been touched. */
void
net_work_answer_forget(struct net_work *work)
{
    struct buf *body = &work->exchange.answer.body;
    if (body->size > 0) {
        explicit_bzero(body->data, body->size);
    }
    buf_release(body);
}

void
net_work_destroy(struct net_work *work)
{
    struct net_server *server = work->server;
    ASSERT(work->next == NULL);
    net_work_received(work);
    net_server_charge(server, &work->charged, 0);
    /* NET-7: card numbers and keys do not outlive their request. */
    buffer_forget(&work->input);
    buffer_forget(&work->body);
    buffer_forget(&work->wire);
    net_work_answer_forget(work);
    bool large = work->arena.used > ARENA_KEPT_MAX;
    arena_wipe(&work->arena);
    if (large) {
        arena_release(&work->arena);
    }
    work->exchange = (struct net_exchange){0};
    work->connection = NULL;
    work->close = false;
    work->is_prepared = false;
    work->body_in_wire = false;
    work->sent = 0;
    work->stream = 0;
    work->answered_ns = 0;
    if (server->kept_count < NET_WORKS_KEPT) {
        work->next = server->kept;
        server->kept = work;
        server->kept_count++;
        return;
    }
    buf_release(&work->input);
    buf_release(&work->body);
    buf_release(&work->wire);
    arena_release(&work->arena);
    free(work);
}

void
net_work_left(struct net_work *work)
{
    const struct net_server_hooks *hooks = &work->server->hooks;
    ASSERT(work->state == NET_WORK_HANDED);
    if (work->exchange.gone) {
        return;
    }
    work->exchange.gone = true;
    if (hooks->on_gone != NULL) {
        hooks->on_gone(hooks->context, &work->exchange);
    }
}

void
net_works_release(struct net_server *server)
{
    while (server->kept != NULL) {
        struct net_work *work = server->kept;
        server->kept = work->next;
        buf_release(&work->input);
        buf_release(&work->body);
        buf_release(&work->wire);
        arena_release(&work->arena);
        free(work);
    }
    server->kept_count = 0;
}

void
net_work_charge(struct net_work *work)
{
    size_t now = sizeof(*work) + work->input.capacity + work->body.capacity + work->wire.capacity +
                 work->exchange.answer.body.capacity;
    net_server_charge(work->server, &work->charged, now);
}

void
net_work_open(struct net_work *work)
{
    struct http_head *head = &work->parser.head;
    head->base = work->input.data;
    work->exchange.method = head->method;
    work->exchange.path = http_head_text(head, head->path);
    work->exchange.query = http_head_text(head, head->query);
    work->exchange.head = head;
}

static void
refuse_as_json(struct net_answer *answer, const char *reason)
{
    answer->content_type = SPAN("application/json");
    buf_append_cstr(&answer->body, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"");
    buf_append_cstr(&answer->body, reason); /* ours: no byte in it needs an escape */
    buf_append_cstr(&answer->body, "\"}}\n");
}

void
net_work_refuse(struct net_work *work, unsigned status, const char *reason)
{
    const struct net_server_hooks *hooks = &work->server->hooks;
    buffer_forget(&work->body);
    work->exchange.body = SPAN_EMPTY;
    work->exchange.next = NULL;
    answered(work);
    bool close = work->exchange.answer.close;
    net_work_answer_forget(work);
    work->exchange.answer = (struct net_answer){.status = status, .close = close};
    buf_init(&work->exchange.answer.body, NET_REFUSAL_BODY_MAX);
    if (hooks->on_refused != NULL) {
        hooks->on_refused(hooks->context, &work->exchange, reason);
    } else {
        refuse_as_json(&work->exchange.answer, reason);
    }
    if (buf_failed(&work->exchange.answer.body)) {
        buf_clear(&work->exchange.answer.body);
    }
    net_work_charge(work);
}

/* ----------------------------------------------------------------------------------- answers */

/* A small request may have a large answer: who asks often and does not read would fill the memory
 * with them. Of a request that changes nothing the answer may be taken back. */
static bool
is_too_large_now(struct net_work *work)
{
    bool reads =
        work->exchange.method == HTTP_METHOD_GET || work->exchange.method == HTTP_METHOD_HEAD;
    return reads && work->exchange.answer.body.capacity > NET_INLINE_BODY_MAX &&
           !net_server_has_room(work->connection, work);
}

static void
on_answer(struct os_task *task)
{
    struct net_work *work = CONTAINER_OF(task, struct net_work, task);
    struct net_server *server = work->server;
    ASSERT(work->state == NET_WORK_HANDED);
    ASSERT(server->in_flight > 0);
    server->in_flight--;
    net_server_counter_set(server, NET_COUNTER(in_flight), server->in_flight);
    if (work->connection == NULL) {
        NET_COUNT(server, orphaned, 1);
        net_work_destroy(work);
        return;
    }
    answered(work);
    net_work_charge(work);
    if (is_too_large_now(work)) {
        NET_COUNT(server, shed_memory, 1);
        net_work_refuse(work, 503, "the server has no memory for this answer now");
    }
    net_connection_touch(work->connection);
}

static struct net_work *
work_of(struct net_exchange *exchange)
{
    return CONTAINER_OF(exchange, struct net_work, exchange);
}

void
net_answer(struct net_exchange *first)
{
    while (first != NULL) {
        struct net_work *work = work_of(first);
        struct net_loop *loop = work->server->loop;
        struct os_task *last = NULL;
        while (first != NULL && work_of(first)->server->loop == loop) {
            struct net_work *next = work_of(first);
            ASSERT(first->answer.status >= 200);
            ASSERT(first->answer.status <= 599);
            first = first->next;
            next->exchange.next = NULL;
            next->task = (struct os_task){.run = on_answer};
            if (last != NULL) {
                last->next = &next->task;
            }
            last = &next->task;
        }
        struct os_executor *executor = net_loop_executor(loop);
        executor->post(executor, &work->task, last);
    }
}
