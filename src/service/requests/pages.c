/*
 * Pages: entries gather in memory, by scope, and become rows.
 *
 * REQUESTS-2. An answer never waits for its entry. What waits is bounded in bytes; beyond that
 * entries are dropped and counted.
 */
#include "requests_internal.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdlib.h>

/* A scope is looked through once in so many entries. */
#define PURGE_ENTRIES 2048
#define SCOPES_MAX    65536
/* Brackets around the first entry; before another one a comma, instead of the closing one. */
#define ENTRY_EXTRA 2

static uint64_t
now_ns(const struct requests *requests)
{
    return os_monotonic_ns(requests->parts.clock);
}

static void
waiting_change(struct requests *requests, uint64_t more, uint64_t less)
{
    requests->waiting_bytes += more;
    ASSERT(requests->waiting_bytes >= less);
    requests->waiting_bytes -= less;
    atomic_store_explicit(&requests->waiting, requests->waiting_bytes, memory_order_relaxed);
}

/* ---------------------------------------------------------------------------------------- writing
 */

static void
write_ended(void *context)
{
    struct requests_write *write = context;
    struct requests *requests = write->requests;
    uint64_t scope = write->scope;
    bool purges = write->durable && write->purges;
    requests_add(
        write->durable ? &requests->pages : &requests->lost, write->durable ? 1 : write->count);
    waiting_change(requests, 0, write->text.size);
    list_remove(&write->link);
    buf_release(&write->text);
    free(write);
    if (purges) {
        requests_purge_scope(requests, scope);
    }
}

static void
write_durable(void *context)
{
    ((struct requests_write *)context)->durable = true;
}

static bool
take_newest(void *context, void *document)
{
    *(struct requests_page **)context = document;
    return false;
}

/* How many entries the scope has had, as the newest page has it. Processes that write at once may
 * each count on from the same page: then it is a little less. */
static err_t
read_total(struct resource_op *op, int64_t *ret_total)
{
    struct requests_page *newest = NULL;
    struct document_query query = {.range_column = UINT32_MAX, .limit = 1};
    TRY(resource_find_sound(op, &requests_page_type, &query, take_newest, (void *)&newest));
    *ret_total = newest == NULL ? 0 : newest->total;
    return ERR_OK;
}

static err_t
write_page(struct resource_op *op, struct requests_write *write)
{
    int64_t total;
    TRY(read_total(op, &total));
    struct requests_page *page = resource_new(op, &requests_page_type);
    if (page == NULL) {
        return ERR_FULL;
    }
    page->entries = buf_span(&write->text);
    page->count = write->count;
    page->total = total + write->count;
    write->purges = page->total / PURGE_ENTRIES != total / PURGE_ENTRIES;
    return resource_save(op, &requests_page_type, page);
}

static void
write_run(struct resource_op *op)
{
    struct requests_write *write = resource_op_state(op);
    resource_op_on_end(op, write_ended, write);
    resource_op_repeatable(op, write_run, write);
    err_t result = resource_op_when_done(op, write_durable, write);
    if (result == ERR_OK) {
        result = write_page(op, write);
    }
    if (result != ERR_OK) {
        resource_internal(op, result, "the log of requests");
        return;
    }
    resource_finish(op);
}

/* False: there is no room for its operation now; the page stays. */
static bool
hand_over(struct requests *requests, struct requests_pending *pending)
{
    struct requests_write *write = calloc(1, sizeof(*write));
    if (write == NULL) {
        return false;
    }
    *write = (struct requests_write){
        .requests = requests,
        .text = pending->text,
        .count = pending->count,
        .scope = pending->scope,
    };
    if (resource_start_internal(
            requests->parts.runtime, pending->scope, requests, write_run, write) != ERR_OK) {
        free(write);
        return false;
    }
    list_push_back(&requests->writes, &write->link);
    list_remove(&pending->all);
    map_remove(&requests->scopes, &pending->link);
    free(pending);
    return true;
}

/* --------------------------------------------------------------------------------------- pending
 */

static struct requests_pending *
pending_find(const struct requests *requests, uint64_t scope)
{
    for (struct map_link *link = map_find(&requests->scopes, hash_u64(scope)); link != NULL;
         link = map_next(link)) {
        struct requests_pending *pending = CONTAINER_OF(link, struct requests_pending, link);
        if (pending->scope == scope) {
            return pending;
        }
    }
    return NULL;
}

static struct requests_pending *
pending_get(struct requests *requests, uint64_t scope)
{
    struct requests_pending *pending = pending_find(requests, scope);
    if (pending != NULL) {
        return pending;
    }
    pending = calloc(1, sizeof(*pending));
    if (pending == NULL ||
        map_insert(&requests->scopes, hash_u64(scope), &pending->link) != ERR_OK) {
        free(pending);
        return NULL;
    }
    pending->scope = scope;
    buf_init(&pending->text, REQUESTS_PAGE_BYTES_MAX);
    list_push_back(&requests->pending, &pending->all);
    return pending;
}

static void
arm(struct requests *requests)
{
    if (!os_timer_is_armed(&requests->write_timer)) {
        os_timer_arm(
            requests->parts.loop,
            &requests->write_timer,
            now_ns(requests) + (uint64_t)requests->parts.settings.write_ms * OS_NS_PER_MS);
    }
}

static bool
has_room(const struct requests *requests, const struct requests_pending *pending, size_t size)
{
    return pending->count < REQUESTS_PAGE_ENTRIES_MAX &&
           pending->text.size + ENTRY_EXTRA + size <= REQUESTS_PAGE_BYTES_MAX &&
           requests->waiting_bytes + ENTRY_EXTRA + size <= REQUESTS_WAITING_BYTES_MAX;
}

/* The page's text is a whole array at all times. */
static bool
append(struct requests *requests, struct requests_pending *pending, struct span entry)
{
    size_t before = pending->text.size;
    if (!has_room(requests, pending, entry.size) ||
        buf_reserve(&pending->text, entry.size + ENTRY_EXTRA) == NULL) {
        return false;
    }
    if (pending->count == 0) {
        buf_append_byte(&pending->text, '[');
    } else {
        pending->text.data[before - 1] = ','; /* where it ended */
    }
    buf_append_span(&pending->text, entry);
    buf_append_byte(&pending->text, ']');
    ASSERT(!buf_failed(&pending->text));
    pending->count++;
    waiting_change(requests, pending->text.size - before, 0);
    return true;
}

static bool
keep(struct requests *requests, uint64_t scope, struct span entry)
{
    struct requests_pending *pending = pending_get(requests, scope);
    if (pending != NULL && append(requests, pending, entry)) {
        return true;
    }
    /* The page is full: the next one begins. */
    if (pending == NULL || pending->count == 0 || !hand_over(requests, pending)) {
        return false;
    }
    pending = pending_get(requests, scope);
    return pending != NULL && append(requests, pending, entry);
}

void
requests_note(
    void *context, const struct resource_caller *caller, const struct resource_request *request)
{
    struct requests *requests = context;
    if (request->route->service_context == requests) {
        return; /* whoever reads the log would read of nothing but reading */
    }
    buf_clear(&requests->entry);
    requests_entry_write(&requests->entry, &requests->scratch, caller, request, now_ns(requests));
    requests_add(&requests->noted, 1);
    if (buf_failed(&requests->entry) ||
        !keep(requests, caller->scope, buf_span(&requests->entry))) {
        requests_add(&requests->dropped, 1);
    }
    if (!list_is_empty(&requests->pending)) {
        arm(requests);
    }
}

void
requests_flush(struct requests *requests, uint64_t scope)
{
    struct requests_pending *pending = pending_find(requests, scope);
    if (pending != NULL && pending->count > 0) {
        (void)hand_over(requests, pending);
    }
}

static void
flush_all(struct requests *requests)
{
    LIST_FOREACH_SAFE (&requests->pending, link) {
        struct requests_pending *pending = CONTAINER_OF(link, struct requests_pending, all);
        if (pending->count > 0) {
            (void)hand_over(requests, pending);
        }
    }
    if (!list_is_empty(&requests->pending)) {
        arm(requests); /* too much is under way */
    }
}

static void
write_timer_fired(struct os_timer *timer)
{
    flush_all(CONTAINER_OF(timer, struct requests, write_timer));
}

static void
drain_run(struct os_task *task)
{
    struct requests *requests = CONTAINER_OF(task, struct requests, drain_task);
    flush_all(requests);
    atomic_store(&requests->drain_heard, true);
}

void
requests_drain(struct requests *requests)
{
    requests->drain_task.run = drain_run;
    os_post(os_loop_executor(requests->parts.loop), &requests->drain_task);
}

bool
requests_is_drained(const struct requests *requests)
{
    return atomic_load(&requests->drain_heard) && atomic_load(&requests->waiting) == 0;
}

void
requests_pages_open(struct requests *requests)
{
    map_init(&requests->scopes, SCOPES_MAX);
    list_init(&requests->pending);
    list_init(&requests->writes);
    requests->write_timer.fire = write_timer_fired;
}

void
requests_pages_close(struct requests *requests)
{
    LIST_FOREACH_SAFE (&requests->pending, link) {
        struct requests_pending *pending = CONTAINER_OF(link, struct requests_pending, all);
        list_remove(&pending->all);
        map_remove(&requests->scopes, &pending->link);
        buf_release(&pending->text);
        free(pending);
    }
    /* The runtime has ended those that had begun. */
    LIST_FOREACH_SAFE (&requests->writes, link) {
        struct requests_write *write = CONTAINER_OF(link, struct requests_write, link);
        list_remove(&write->link);
        buf_release(&write->text);
        free(write);
    }
    map_release(&requests->scopes);
}
