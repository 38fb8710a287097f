/* The set of types that were ever emitted, and what lists of events share. */
#ifndef RESOURCE_EVENT_PRIVATE_H
#define RESOURCE_EVENT_PRIVATE_H

#include "resource/event.h"

#include "list.h"
#include "runtime.h"

/* A type that was emitted at some time. Kept, so that "charge.*" can be looked up type by type. */
struct resource_event_type_entry {
    struct map_link link;
    uint64_t transaction; /* that stores it; 0: it is stored */
    size_t size;
    char name[];
};

/* The types asked for: exact names, with every wildcard resolved. */
struct resource_event_wanted {
    struct resource_op *op;
    struct span prefix; /* of the wildcard being resolved */
    struct span types[RESOURCE_EVENT_TYPES_MAX];
    uint32_t count;
    bool any; /* no restriction */
};

/* event_delivery.c: fills the list with those that were delivered to everybody, or with the
 * others. */
MUST_USE err_t resource_event_find_by_delivery(
    struct resource_op *op,
    const struct resource_event_wanted *wanted,
    bool delivered,
    struct resource_list *list);

#endif
