/*
 * What the files of the relay share. Everything runs on the runtime's loop, but what is atomic.
 *
 *     an event is emitted ---> its scope is dirty (relay.c)
 *                                |
 *          +---------------------v
 *          |   a round (relay.c): an operation for each of some dirty scopes (read.c)
 *          |     saves the cursor that the last round confirmed; waits until that is durable, and
 *          |     with it every event before; reads the next ones into the batch
 *          |                     |
 *          |                     v
 *          |   the batch goes to the broker, what is not confirmed of it again and again
 *          +---------------------+
 */
#ifndef RELAY_INTERNAL_H
#define RELAY_INTERNAL_H

#include "relay/relay.h"

#include "base/list.h"
#include "base/map.h"
#include "resource/event.h"

#include <stdatomic.h>

#define RELAY_SCOPES_AT_ONCE 64
/* Databases that the documents may be in, one after the other, while a process runs. */
#define RELAY_ORDERS_MAX      128
#define RELAY_ORDER_NAME_SIZE 32

/* One merchant in one mode. */
struct relay_scope {
    struct map_link link;
    struct list_link waiting; /* relay->dirty, or relay->round */
    struct relay *relay;
    uint64_t number;
    bool dirty;                   /* there may be events behind `confirmed` */
    bool unsaved;                 /* `confirmed` is not in the documents yet */
    char confirmed[ID_TEXT_SIZE]; /* everything up to this event; empty: nothing */
    char in_batch[ID_TEXT_SIZE];  /* the last of its events that was read; empty: none was */
};

/* Where a message's parts are in the batch's text. */
struct relay_place {
    size_t id, type, key, account, body, end;
    bool livemode;
};

struct relay_batch {
    struct buf text;
    struct relay_place places[PORT_BROKER_MESSAGES_MAX];
    struct port_broker_message messages[PORT_BROKER_MESSAGES_MAX];
    uint32_t count;
    uint32_t confirmed; /* of them, from the first on */
    int64_t oldest_s;   /* unix seconds, when the oldest event was made */
};

/* How far the relay is in an order of shared documents: document_place with its own text. */
struct relay_position {
    int64_t number;
    char event[ID_TEXT_SIZE]; /* empty: before everything */
};

/* The events of one database. */
struct relay_order {
    struct relay_scope all; /* of its rounds; first */
    char name[RELAY_ORDER_NAME_SIZE];
    struct relay_position known;     /* what the cursor said when it was last loaded or saved */
    struct relay_position confirmed; /* by the broker */
    struct relay_position in_batch;
    int64_t waiting_s; /* unix, when the oldest event that is not final was made; 0: none is */
};

/* Of shared.c. */
struct relay_shared {
    bool is_used;
    bool leads;           /* it did when it last looked */
    struct os_timer look; /* for what others emit, and for what was not final */
    struct relay_order *orders[RELAY_ORDERS_MAX]; /* that were ever met */
    uint32_t order_count;
};

struct relay {
    struct relay_parts parts;
    struct relay_shared shared;
    struct resource_event_listener listener;
    struct map scopes;
    struct list dirty; /* scopes that wait for a round */
    struct list round; /* scopes of the round under way */
    uint32_t reading;  /* operations of the round under way */
    bool round_failed; /* one of them did */
    struct relay_batch batch;
    struct port_broker_request request;
    bool publishing;
    uint32_t failures; /* in a row */
    struct os_timer retry;
    uint64_t jitter;

    struct os_task drain_task;
    bool draining;
    _Atomic bool drain_heard;
    _Atomic bool busy;
    _Atomic uint64_t published;
    _Atomic uint64_t retries;
    _Atomic int64_t oldest_s; /* 0: nothing waits for the broker */
};

struct relay_cursor {
    struct resource_header header;
    struct span event;
    int64_t active; /* 1: finds every cursor, across scopes */
    int64_t number; /* of shared documents: the place that `event` has */
};

enum {
    RELAY_CURSOR_EVENT,
    RELAY_CURSOR_ACTIVE,
    RELAY_CURSOR_NUMBER,
};

extern const struct resource_type relay_cursor_type;

/* --- relay.c --- */
void relay_scope_becomes_dirty(struct relay_scope *scope);
/* Begins a round if there is something to do and nothing under way. */
void relay_go_on(struct relay *relay);
void relay_read_ended(struct relay_scope *scope, bool good);

/* --- read.c --- */

/* One operation for a scope of the round. Its end is relay_read_ended. */
MUST_USE err_t relay_read_start(struct relay_scope *scope);

enum relay_added {
    RELAY_ADDED,
    RELAY_NO_ROOM,   /* the batch is full */
    RELAY_NO_MEMORY, /* the operation's, or the batch's own */
};

enum relay_added relay_batch_add(
    struct relay *relay,
    struct resource_op *op,
    const struct resource_event *event,
    const char *account);

/* --- shared.c: documents that several processes have --- */
void relay_shared_init(struct relay *relay);
void relay_shared_start(struct relay *relay);
void relay_shared_emitted(struct relay *relay);
/* Whether this process is the one that publishes; asks the database now and then. */
bool relay_shared_leads(struct relay *relay);
MUST_USE err_t relay_shared_read_start(struct relay_scope *scope);
/* The batch is confirmed, with what the round of this scope has in it. */
void relay_shared_confirmed(struct relay_scope *scope);
/* When the oldest event was made that waits for other transactions; 0: none does. */
int64_t relay_shared_waiting_s(const struct relay *relay);
/* What was read is another process's: it is read again. */
void relay_shared_give_up(struct relay *relay);
void relay_shared_release(struct relay *relay);

#endif
