/*
 * The documents of the service, as structs.
 *
 * A delivery is one event for one endpoint. Its id is made of both ("dlv_" and the event's digits,
 * "_" and the endpoint's number), so that there is one at most (EVENTS-2), the deliveries of an
 * event are neighbours, and their order is the events'.
 */
#ifndef EVENTS_DOCUMENTS_H
#define EVENTS_DOCUMENTS_H

#include "events/events.h"

#include "recipient/recipient.h"
#include "resource/object.h"

struct events_endpoint {
    struct resource_header header;
    struct recipient recipient;
    struct span enabled_events; /* JSON array of texts */
    struct span api_version;
    struct span description;
    struct span metadata; /* JSON object */
    bool disabled;
    bool disabled_by_us;
    int64_t number;        /* 1 to EVENTS_NUMBER_MAX, never used twice */
    int64_t failing_since; /* unix seconds; 0: the last attempt that ended was a success */
};

enum {
    EVENTS_ENDPOINT_NUMBER
};

/* What is left of a deleted endpoint, so that its number stays taken. */
struct events_deleted_endpoint {
    struct resource_header header;
    int64_t number;
};

struct events_delivery {
    struct resource_header header;
    struct span event;
    struct span type;     /* the event's */
    struct span endpoint; /* its id */
    struct span status;   /* pending succeeded failed canceled */
    /* events_queue_key of the endpoint's number and `due`; 0: nothing is to be done. */
    int64_t queue;
    int64_t due;              /* when the next attempt is to be made, unix milliseconds */
    int64_t expires;          /* a failure after that is the last one, unix milliseconds */
    int64_t undelivered;      /* 1 while it is pending or failed */
    int64_t attempt_count;    /* all that were made */
    int64_t tries;            /* those since it was created or sent again by hand */
    int64_t pending_webhooks; /* as the body says, which is the same in every attempt */
    struct span attempts;     /* JSON array, the latest EVENTS_ATTEMPTS_KEPT */
    int64_t ended;            /* unix seconds; 0: pending */
};

#define EVENTS_ATTEMPTS_KEPT 10

enum {
    EVENTS_DELIVERY_ENDPOINT,
    EVENTS_DELIVERY_QUEUE,
    EVENTS_DELIVERY_UNDELIVERED,
    EVENTS_DELIVERY_STATUS
};

/* One a scope: up to which event deliveries have been made. */
struct events_cursor {
    struct resource_header header;
    struct span event; /* every event with a greater id is still to be looked at */
    int64_t active;    /* 1 */
};

enum {
    EVENTS_CURSOR_EVENT,
    EVENTS_CURSOR_ACTIVE
};

#define EVENTS_CURSOR_ID SPAN("cursor")

extern const struct resource_type events_endpoint_type;
extern const struct resource_type events_deleted_endpoint_type;
extern const struct resource_type events_delivery_type;
extern const struct resource_type events_cursor_type;

/* Columns hold one integer: the endpoint's number above, the time when it is due below. So one
 * endpoint's deliveries are a range, in the order in which they are due. */
#define EVENTS_DUE_BITS   42 /* of milliseconds: until the year 2109 */
#define EVENTS_NUMBER_MAX ((INT64_C(1) << (63 - EVENTS_DUE_BITS)) - 1)
#define EVENTS_DUE_MAX    ((INT64_C(1) << EVENTS_DUE_BITS) - 1)
int64_t events_queue_key(int64_t number, int64_t due_ms);

/* Room for a delivery's id and a zero. */
#define EVENTS_DELIVERY_ID_SIZE 40
/* In the arena; empty if that is full, or if the event's id is none. */
struct span events_delivery_id(struct arena *arena, struct span event_id, int64_t number);
/* Exclusive bounds of the deliveries of events behind (or before) this one, or of its own. */
struct span events_delivery_above(struct arena *arena, struct span event_id, bool own);
struct span events_delivery_below(struct arena *arena, struct span event_id, bool own);
/* "evt_..." of a delivery's id, written into `out`. */
struct span events_delivery_event(struct span delivery_id, char out[ID_TEXT_SIZE]);

void events_endpoint_render(struct resource_render *render, const void *document);
void events_deleted_endpoint_render(struct resource_render *render, const void *document);
void events_delivery_render(struct resource_render *render, const void *document);

#endif
