/*
 * Which events were told, so that each is told once, although some come late: where several servers
 * write to one database, an event may be there before one that has a smaller id and is committed
 * after it. So whoever looks begins behind `settled`, some way before the newest that was told, and
 * skips what it knows.
 */
#ifndef LISTEN_TOLD_H
#define LISTEN_TOLD_H

#include "base/id.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LISTEN_TOLD_MAX     1000
#define LISTEN_TOLD_LATE_NS UINT64_C(10000000000) /* so late an event may come */

struct listen_told {
    /* Every event up to it was told, or comes too late. Empty: there was none. Every other one that
     * was told is in the ring. */
    char settled[ID_TEXT_SIZE];

    struct {
        char id[ID_TEXT_SIZE];
        uint64_t at_ns;
    } ring[LISTEN_TOLD_MAX];

    size_t first, count;
};

bool listen_told_has(const struct listen_told *told, struct span id);
/* The id is shorter than ID_TEXT_SIZE. */
void listen_told_add(struct listen_told *told, struct span id, uint64_t now_ns);
/* Moves `settled` to what was told longer ago than events may come late. */
void listen_told_settle(struct listen_told *told, uint64_t now_ns);

#endif
