/*
 * Answers become bytes, in the order of the requests. All that are ready go out in one write; what
 * the socket does not take stays where it is, in the works.
 */
#include "base/assert.h"
#include "http/writer.h"

#include "server_private.h"

#define PIECES_MAX 64

struct span
net_work_body(const struct net_work *work)
{
    const struct net_answer *answer = &work->exchange.answer;
    return answer->body.size > 0 ? buf_span(&answer->body) : answer->lent;
}

size_t
net_work_body_size(const struct net_work *work)
{
    unsigned status = work->exchange.answer.status;
    bool bodiless = work->exchange.method == HTTP_METHOD_HEAD || status == 204 || status == 304;
    return bodiless ? 0 : net_work_body(work).size;
}

/* What is written from the body's own memory. */
static size_t
body_left_out(const struct net_work *work)
{
    return work->body_in_wire ? 0 : net_work_body_size(work);
}

/* Whether the connection closes behind this answer. */
static bool
decide_close(const struct net_connection *connection, const struct net_work *work)
{
    const struct http_head *head = work->exchange.head;
    return work->exchange.answer.close || head == NULL || !head->keep_alive ||
           head->version_minor == 0 || connection->server->state == NET_SERVER_DRAINING ||
           (connection->ended && work == connection->newest);
}

uint64_t
net_work_content_length(const struct net_work *work)
{
    const struct net_answer *answer = &work->exchange.answer;
    size_t size = net_work_body(work).size;
    bool told = work->exchange.method == HTTP_METHOD_HEAD && size == 0;
    return told ? answer->head_length : size;
}

static bool
head_write(struct net_work *work)
{
    const struct net_answer *answer = &work->exchange.answer;
    buf_clear(&work->wire);
    struct http_response response = {
        .status = answer->status,
        .close = work->close,
        .date = net_server_date(work->server),
        .content_type = answer->content_type,
        .content_length = net_work_content_length(work),
        .headers = answer->headers,
        .header_count = answer->header_count,
    };
    return http_response_write_head(&work->wire, &response) == ERR_OK && !buf_failed(&work->wire) &&
           !buf_failed(&answer->body);
}

/* An answer that cannot be written is the handler's mistake; the client learns that much. */
static void
answer_repair(struct net_work *work)
{
    net_work_refuse(work, 500, "the answer could not be written");
    if (head_write(work)) {
        return;
    }
    net_work_answer_forget(work);
    work->exchange.answer = (struct net_answer){.status = 500, .close = true};
    bool written = head_write(work);
    ASSERT(written || buf_failed(&work->wire));
}

static bool
prepare(struct net_connection *connection, struct net_work *work)
{
    ASSERT(work->state == NET_WORK_ANSWERED);
    work->close = decide_close(connection, work);
    if (!head_write(work)) {
        work->close = true;
        answer_repair(work);
    }
    if (buf_failed(&work->wire)) {
        return false;
    }
    size_t body_size = net_work_body_size(work);
    if (body_size <= NET_INLINE_BODY_MAX) {
        buf_append(&work->wire, net_work_body(work).data, body_size);
        work->body_in_wire = true;
    }
    work->is_prepared = true;
    net_work_charge(work);
    return !buf_failed(&work->wire);
}

static void
piece_add(struct iovec *pieces, int *count, const char *from, size_t size, size_t skip)
{
    if (skip < size) {
        pieces[*count] =
            (struct iovec){.iov_base = (void *)(uintptr_t)(from + skip), .iov_len = size - skip};
        (*count)++;
    }
}

/* The bytes that can leave now; -1: no memory. */
static int
gather(struct net_connection *connection, struct iovec pieces[PIECES_MAX])
{
    int count = 0;
    struct net_work *work = connection->oldest;
    while (work != NULL && work->state == NET_WORK_ANSWERED && count <= PIECES_MAX - 2) {
        if (!work->is_prepared && !prepare(connection, work)) {
            return -1;
        }
        size_t head_size = work->wire.size;
        piece_add(pieces, &count, work->wire.data, head_size, work->sent);
        size_t body_skip = work->sent > head_size ? work->sent - head_size : 0;
        piece_add(pieces, &count, net_work_body(work).data, body_left_out(work), body_skip);
        if (work->close) {
            break;
        }
        work = work->next;
    }
    return count;
}

static void
pop(struct net_connection *connection)
{
    struct net_work *work = connection->oldest;
    connection->oldest = work->next;
    if (connection->oldest == NULL) {
        connection->newest = NULL;
    }
    work->next = NULL;
    work->connection = NULL;
    ASSERT(connection->queued > 0);
    connection->queued--;
    if (work->close) {
        connection->state = NET_CONNECTION_CLOSING;
    }
    NET_COUNT(connection->server, answers, 1);
    net_work_destroy(work);
}

/* So many bytes have left. True if the connection closes behind them. */
static bool
advance(struct net_connection *connection, size_t size)
{
    while (size > 0) {
        struct net_work *work = connection->oldest;
        ASSERT(work != NULL);
        size_t left = work->wire.size + body_left_out(work) - work->sent;
        if (size < left) {
            work->sent += size;
            return false;
        }
        size -= left;
        bool close = work->close;
        pop(connection);
        if (connection->deadline == NET_DEADLINE_WRITE) {
            connection->restart = true;
        }
        if (close) {
            ASSERT(size == 0);
            return true;
        }
    }
    return false;
}

/* False if the connection was ended. */
static bool
answers_write(struct net_connection *connection)
{
    struct iovec pieces[PIECES_MAX];
    char *scratch = net_loop_scratch(connection->server->loop);
    for (;;) {
        int count = gather(connection, pieces);
        if (count == 0) {
            return true;
        }
        ssize_t written = count < 0
                              ? NET_IO_FAILED
                              : net_transport_write(&connection->transport, pieces, count, scratch);
        if (written == NET_IO_WAIT_WRITE) {
            connection->blocked = true;
            return true;
        }
        if (written <= 0) {
            net_connection_destroy(connection, true);
            return false;
        }
        NET_COUNT(connection->server, bytes_out, written);
        if (advance(connection, (size_t)written)) {
            net_connection_drop_queue(connection);
            net_connection_finish(connection);
            return false;
        }
    }
}

/* "100 Continue" leaves when every earlier answer has, and only if the client still waits. */
static bool
continue_write(struct net_connection *connection)
{
    const struct net_work *work = connection->reading;
    if (!connection->wants_continue || connection->oldest != NULL || connection->blocked) {
        return true;
    }
    ASSERT(work != NULL);
    ASSERT(work->state == NET_WORK_BODY);
    connection->wants_continue = false;
    if (work->reader.size > 0) {
        return true;
    }
    char text[64];
    struct buf out;
    buf_init_fixed(&out, text, sizeof(text));
    http_continue_write(&out);
    struct iovec piece = {.iov_base = out.data, .iov_len = out.size};
    ssize_t written = net_transport_write(
        &connection->transport, &piece, 1, net_loop_scratch(connection->server->loop));
    if (written == NET_IO_WAIT_WRITE) {
        connection->wants_continue = true;
        connection->blocked = true;
        return true;
    }
    if (written != (ssize_t)out.size) {
        net_connection_destroy(connection, true);
        return false;
    }
    NET_COUNT(connection->server, bytes_out, written);
    return true;
}

bool
net_connection_flush(struct net_connection *connection)
{
    if (connection->state == NET_CONNECTION_HANDSHAKE ||
        connection->state == NET_CONNECTION_LINGER) {
        net_connection_arm(connection);
        return true;
    }
    if (connection->http2 != NULL) {
        return net_http2_flush(connection);
    }
    if (!connection->blocked && !answers_write(connection)) {
        return false;
    }
    if (connection->state == NET_CONNECTION_OPEN) {
        net_connection_resume(connection);
        if (connection->state == NET_CONNECTION_DEAD) {
            return false;
        }
    }
    if (!continue_write(connection)) {
        return false;
    }
    bool over = connection->ended || connection->state == NET_CONNECTION_CLOSING;
    bool drained =
        connection->server->state == NET_SERVER_DRAINING && !connection->server->keeps_idle;
    if (connection->oldest == NULL && !connection->blocked && over) {
        net_connection_finish(connection);
        return false;
    }
    if (drained && net_connection_is_idle(connection)) {
        net_connection_destroy(connection, false);
        return false;
    }
    net_connection_arm(connection);
    return true;
}
