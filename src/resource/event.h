/* Events as rows, and the set of types that were ever emitted. */
#ifndef RESOURCE_EVENT_H
#define RESOURCE_EVENT_H

#include "runtime.h"

/* The version that an event's object is shown in when the request named none. */
#define RESOURCE_API_VERSION "2026-08-26.dahlia"

struct resource_event {
    struct resource_header header;
    struct span type;
    struct span api_version;
    struct span request_id;
    struct span idempotency_key;
    struct span object;   /* JSON */
    struct span previous; /* JSON */
};

enum {
    RESOURCE_EVENT_TYPE_COLUMN
};

/* One row per type of event. */
extern const struct resource_type resource_event_type_type;

/* A type that was emitted at some time. Kept, so that "charge.*" can be looked up type by type. */
struct resource_event_type_entry {
    struct map_link link;
    uint64_t transaction; /* that stores it; 0: it is stored */
    size_t size;
    char name[];
};

#endif
