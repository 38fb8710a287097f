/*
 * Pages that were kept long enough go, from the oldest on: some at a time, one scope after the
 * other, so that tidying up never holds anybody up.
 *
 * REQUESTS-3. What is kept is bounded by time and by number: each page says how many entries the
 * scope had up to it, so whatever is more than keep_max behind the newest page is too much.
 */
#include "requests_internal.h"

#include "base/assert.h"

#include <stdlib.h>

#define REMOVED_AT_ONCE 48
#define SCOPES_FIRST    64
/* Between two steps while there is much to remove. */
#define BUSY_NS (10 * OS_NS_PER_MS)

struct removal {
    struct resource_op *op;
    struct span id_below; /* what is older is too old; empty: nothing is */
    int64_t total_until;  /* what was up to here is too much */
    uint32_t count;
    bool passed; /* one could not be read */
    err_t error;
};

struct span
requests_page_floor(struct resource_op *op, int64_t unix_ms)
{
    char text[ID_TEXT_SIZE];
    if (unix_ms <= 0) {
        return SPAN_EMPTY;
    }
    size_t size = id_format(requests_page_type.prefix, id_floor((uint64_t)unix_ms), text);
    return arena_copy(resource_op_arena(op), span_of(text, size));
}

static bool
take_total(void *context, void *document)
{
    *(int64_t *)context = ((const struct requests_page *)document)->total;
    return false;
}

static bool
remove_one(void *context, void *document)
{
    struct removal *removal = context;
    const struct requests_page *page = document;
    bool is_old =
        removal->id_below.size > 0 && span_compare(page->header.id, removal->id_below) < 0;
    if (!is_old && page->total > removal->total_until) {
        return false;
    }
    removal->error = resource_remove(removal->op, &requests_page_type, document);
    removal->count++;
    return removal->error == ERR_OK;
}

static void
pass(void *context, struct span id)
{
    struct removal *removal = context;
    (void)id;
    removal->passed = true;
}

/* Pages are large, and mostly none is to be removed: so one is looked at, and many only behind one
 * that was, or that cannot be read. */
static err_t
purge(struct resource_op *op, uint32_t page_count, bool *ret_full)
{
    const struct requests *requests = resource_op_service(op);
    const struct requests_settings *settings = &requests->parts.settings;
    int64_t total = 0;
    struct document_query query = {.range_column = UINT32_MAX, .limit = 1};
    TRY(resource_find_sound(op, &requests_page_type, &query, take_total, &total));
    struct removal removal = {
        .op = op,
        .id_below =
            requests_page_floor(op, ((int64_t)resource_now_s(op) - settings->keep_s) * 1000),
        .total_until = total - settings->keep_max,
    };
    query.oldest_first = true;
    query.limit = page_count;
    const struct resource_visitor visitor = {
        .each = remove_one, .damaged = pass, .context = &removal, .cut = ret_full};
    TRY(resource_visit(op, &requests_page_type, &query, &visitor));
    bool goes_on = removal.count > 0 && (*ret_full || removal.count == page_count);
    *ret_full = goes_on || (removal.passed && page_count == 1);
    return removal.error;
}

static void
purge_ended(void *context)
{
    struct requests *requests = context;
    requests->purge_runs = false;
    uint64_t interval_ns = (uint64_t)requests->parts.settings.purge_interval_ms * OS_NS_PER_MS;
    os_timer_arm(
        requests->parts.loop,
        &requests->purge_timer,
        os_monotonic_ns(requests->parts.clock) + (requests->purge_is_full ? BUSY_NS : interval_ns));
}

static void
purge_run(struct resource_op *op)
{
    struct requests *requests = resource_op_service(op);
    resource_op_on_end(op, purge_ended, requests);
    uint32_t page_count = requests->purge_is_full ? REMOVED_AT_ONCE : 1;
    requests->purge_is_full = false;
    err_t result = purge(op, page_count, &requests->purge_is_full);
    if (result != ERR_OK) {
        requests->purge_is_full = false;
        resource_internal(op, result, "removing old requests");
        return;
    }
    resource_finish(op);
}

static bool
purge_start(struct requests *requests, uint64_t scope)
{
    ASSERT(!requests->purge_runs);
    requests->purge_scope = scope;
    requests->purge_runs = resource_start_internal(
                               requests->parts.runtime, scope, requests, purge_run, NULL) == ERR_OK;
    return requests->purge_runs;
}

void
requests_purge_scope(struct requests *requests, uint64_t scope)
{
    if (!requests->purge_runs && !requests->purge_is_full) {
        (void)purge_start(requests, scope);
    }
}

static void
add_scope(void *context, uint64_t scope)
{
    struct requests *requests = context;
    if (requests->purge_count == requests->purge_room) {
        size_t room = requests->purge_room == 0 ? SCOPES_FIRST : 2 * requests->purge_room;
        uint64_t *grown = realloc(requests->purge_scopes, room * sizeof(*grown));
        if (grown == NULL) {
            requests->purge_failed = true;
            return;
        }
        requests->purge_scopes = grown;
        requests->purge_room = room;
    }
    requests->purge_scopes[requests->purge_count++] = scope;
}

static bool
list_scopes(struct requests *requests)
{
    requests->purge_at = 0;
    requests->purge_count = 0;
    requests->purge_failed = false;
    return resource_scope_each(requests->parts.runtime, add_scope, requests) == ERR_OK &&
           !requests->purge_failed;
}

/* The next scope, or the same again if the last step left something. */
static bool
next_scope(struct requests *requests, uint64_t *ret_scope)
{
    if (requests->purge_is_full) {
        *ret_scope = requests->purge_scope;
        return true;
    }
    if (!resource_leads(requests->parts.runtime, "removing old requests") ||
        (requests->purge_at == requests->purge_count && !list_scopes(requests)) ||
        requests->purge_count == 0) {
        return false;
    }
    *ret_scope = requests->purge_scopes[requests->purge_at++];
    return true;
}

static void
purge_timer_fired(struct os_timer *timer)
{
    struct requests *requests = CONTAINER_OF(timer, struct requests, purge_timer);
    uint64_t scope;
    if (requests->purge_runs || (next_scope(requests, &scope) && purge_start(requests, scope))) {
        return; /* its end arms the timer */
    }
    requests->purge_is_full = false;
    purge_ended(requests);
}

void
requests_purge_open(struct requests *requests)
{
    requests->purge_timer.fire = purge_timer_fired;
}

void
requests_purge_close(struct requests *requests)
{
    free(requests->purge_scopes);
}

void
requests_start(struct requests *requests)
{
    os_timer_arm(
        requests->parts.loop, &requests->purge_timer, os_monotonic_ns(requests->parts.clock) + 1);
}
