/*
 * What the files of the service share. Everything runs on the runtime's loop, but what is atomic.
 *
 *     an answer leaves ---> requests_note (pages.c): the entry's text (entry.c) joins its scope's
 *                             | page is full, or write_ms are over, or somebody reads the log
 *                             v
 *     an internal operation writes the page as one row
 *                             | every so many entries, and by a timer
 *                             v
 *     purge.c removes pages from the oldest end
 */
#ifndef REQUESTS_INTERNAL_H
#define REQUESTS_INTERNAL_H

#include "requests/requests.h"

#include "base/list.h"
#include "base/map.h"
#include "resource/pages.h"

#include <stdatomic.h>

#define REQUESTS_PAGE_ENTRIES_MAX 128
#define REQUESTS_PAGE_BYTES_MAX   (64U << 10)
#define REQUESTS_ENTRY_BYTES_MAX  (6U << 10)
/* Of all pages that are not written yet. Beyond it entries are dropped and counted. */
#define REQUESTS_WAITING_BYTES_MAX (4U << 20)
/* A page is written after the last of its requests was answered, which may have taken as long as
 * this, or longer by what the writing took. Who looks for a request by the time in its id looks at
 * pages of so long. */
#define REQUESTS_LATE_MS (INT64_C(5) * 60 * 1000)

/* Entries of one scope, in the order of their answers. */
struct requests_page {
    struct resource_header header;
    struct span entries; /* an array of request_log objects, as entry.c writes them */
    int64_t count;
    int64_t total; /* of the scope, up to and with these */
};

extern const struct resource_type requests_page_type;

/* A page that fills. */
struct requests_pending {
    struct map_link link;
    struct list_link all;
    uint64_t scope;
    struct buf text; /* entries with commas between them */
    uint32_t count;
};

/* A page on its way. */
struct requests_write {
    struct list_link link;
    struct requests *requests;
    struct buf text;
    uint32_t count;
    bool durable;
    bool purges; /* the scope may have more than it should */
    uint64_t scope;
};

struct requests {
    struct requests_parts parts;
    struct resource_request_watch watch;
    struct resource_route *routes; /* the constant table, bound to this instance */

    struct map scopes; /* pending pages */
    struct list pending;
    struct list writes;
    struct buf entry;     /* the one that is being made */
    struct arena scratch; /* for reading the JSON of an answer, or of a page */
    uint64_t waiting_bytes;
    struct os_timer write_timer;
    struct os_task drain_task;

    struct os_timer purge_timer;
    uint64_t *purge_scopes; /* every scope that there was; gone through one after the other */
    size_t purge_count, purge_room, purge_at;
    bool purge_failed; /* while they are listed: out of memory */
    bool purge_runs;
    bool purge_is_full; /* the last step found as much as it may remove */
    uint64_t purge_scope;

    _Atomic bool drain_heard;
    _Atomic uint64_t noted, dropped, lost, pages, waiting;
};

static inline void
requests_add(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

/* --- entry.c: what is kept of a request --- */

/* A text that begins with a prefix of letters and is 22 characters of base 62 behind it: what all
 * ids of Tael look like, and no number of a card, no key and no secret. */
bool requests_is_id(struct span text);
/* Appends the object; `scratch` is cleared. Pure. */
void requests_entry_write(
    struct buf *out,
    struct arena *scratch,
    const struct resource_caller *caller,
    const struct resource_request *request,
    uint64_t now_ns);

/* --- pages.c --- */

/* Hook of the runtime: resource_request_watch. */
void requests_note(
    void *context, const struct resource_caller *caller, const struct resource_request *request);
void requests_pages_open(struct requests *requests);
void requests_pages_close(struct requests *requests);
/* What waits in the scope is written in this group. */
void requests_flush(struct requests *requests, uint64_t scope);

/* --- purge.c --- */

void requests_purge_open(struct requests *requests);
void requests_purge_close(struct requests *requests);
/* Looks for what is too much in the scope, soon. */
void requests_purge_scope(struct requests *requests, uint64_t scope);
/* The smallest page id that what was written then could have; empty: there is none. */
struct span requests_page_floor(struct resource_op *op, int64_t unix_ms);

/* --- look.c: reading pages --- */

void requests_list(struct resource_op *op);
void requests_retrieve(struct resource_op *op);

/* --- routes.c --- */

extern const struct resource_route requests_route_table[];
extern const uint32_t requests_route_count;

#endif
