/* Deltas on their way to the database, on the engine's thread. */
#include "journal_scan.h"
#include "postgres.h"

#include "base/list.h"

#include <stdlib.h>
#include <string.h>

static void group_done(struct os_task *task);

/* --- what groups on their way say of ids --- */

uint64_t
store_pg_hash(const struct store_pg *pg, u128 id)
{
    return hash_keyed(pg->key, span_of((const char *)&id, sizeof(id)));
}

static err_t
recent_add(struct store_pg_group *group, struct store_pg_recent recent)
{
    ASSERT(group->recent_count < 2 * STORE_PG_EVENTS_MAX + STORE_PG_EVENTS_MAX);
    struct store_pg_recent *kept = &group->recents[group->recent_count];
    *kept = recent;
    kept->group = group;
    TRY(map_insert(&group->pg->recents, store_pg_hash(group->pg, recent.id), &kept->link));
    group->recent_count++;
    return ERR_OK;
}

static void
recents_forget(struct store_pg_group *group)
{
    for (uint32_t i = 0; i < group->recent_count; i++) {
        map_remove(&group->pg->recents, &group->recents[i].link);
    }
    group->recent_count = 0;
}

static enum ledger_fate
fate_of(const struct ledger_event *event)
{
    switch ((enum ledger_event_kind)event->kind) {
    case LEDGER_EVENT_SINGLE_PHASE:
        return LEDGER_FATE_NONE;
    case LEDGER_EVENT_TWO_PHASE_PENDING:
        return LEDGER_FATE_PENDING;
    case LEDGER_EVENT_TWO_PHASE_POSTED:
        return LEDGER_FATE_POSTED;
    case LEDGER_EVENT_TWO_PHASE_VOIDED:
        return LEDGER_FATE_VOIDED;
    case LEDGER_EVENT_TWO_PHASE_EXPIRED:
        return LEDGER_FATE_EXPIRED;
    }
    UNREACHABLE();
}

/* --- groups on their way --- */

static void
tickets_post(struct store_pg_group *group, const struct store_error *error)
{
    for (struct os_task *task = group->first_ticket; task != NULL; task = task->next) {
        CONTAINER_OF(task, struct store_ticket, task)->error = *error;
    }
    if (group->first_ticket != NULL) {
        group->executor->post(group->executor, group->first_ticket, group->last_ticket);
    }
    group->first_ticket = NULL;
    group->last_ticket = NULL;
}

static void
tickets_fail(struct store_pg *pg)
{
    for (struct store_pg_group *group = pg->oldest; group != NULL; group = group->next) {
        tickets_post(group, &pg->failure);
    }
}

/* STORE-3. The groups keep their content, so that reads go on. While one is in flight the tickets
 * wait for it. */
static void
fail(struct store_pg *pg, const struct store_error *error)
{
    atomic_store(&pg->lost, true);
    if (!pg->failed) {
        pg->failed = true;
        pg->failure = *error;
    }
    if (pg->oldest != NULL && pg->oldest->state != STORE_PG_GROUP_IN_FLIGHT) {
        tickets_fail(pg);
    }
}

/* What the group said is the database's now (PG-4). */
static void
group_note_durable(struct store_pg *pg, struct store_pg_group *group)
{
    for (uint32_t i = 0; i < group->event_count; i++) {
        const struct ledger_event *event = &group->events[i].event;
        bool expiry = event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
        uint64_t *newest = expiry ? &pg->durable_expiry : &pg->durable_transfer;
        if (event->adopted != 0) {
            pg->durable_adopted++;
            ASSERT(group->events[i].place == -(store_pg_place_t)pg->durable_adopted);
            continue;
        }
        ASSERT(event->timestamp > *newest);
        *newest = event->timestamp;
    }
    recents_forget(group);
}

static void
group_finish(struct store_pg *pg, struct store_pg_group *group)
{
    ASSERT(group == pg->oldest);
    ASSERT(group->state == STORE_PG_GROUP_IN_FLIGHT);
    if (group->error.code != ERR_OK) {
        group->state = STORE_PG_GROUP_SEALED;
        fail(pg, &group->error);
        return;
    }
    group_note_durable(pg, group);
    tickets_post(group, &group->error);
    pg->oldest = group->next;
    if (pg->oldest == NULL) {
        pg->newest = NULL;
    }
    group->next = NULL;
    group->state = STORE_PG_GROUP_FREE;
    if (pg->failed) {
        tickets_fail(pg);
    }
}

/* On the I/O thread. A timer that fires behind this is of a later wait. */
static void
group_write(struct os_task *task)
{
    struct store_pg_group *group = CONTAINER_OF(task, struct store_pg_group, task);
    os_timer_cancel(group->pg->loop, &group->pg->gather_timer);
    store_pg_write(group->pg, group);
    group->task.run = group_done;
    os_post(group->executor, &group->task);
}

/* PG-1: gives the oldest group to the I/O thread if none is in flight; without such a thread,
 * writes them all. */
static void
groups_submit(struct store_pg *pg)
{
    struct store_pg_group *group = NULL;
    while (!pg->failed && (group = pg->oldest) != NULL &&
           group->state != STORE_PG_GROUP_IN_FLIGHT) {
        if (group->first_ticket == NULL && group->state == STORE_PG_GROUP_OPEN) {
            return; /* nobody has asked for it yet */
        }
        if (group->state == STORE_PG_GROUP_OPEN &&
            store_pg_gather_waits(&pg->gather, group->ticket_count)) {
            return;
        }
        store_pg_gather_end(&pg->gather, group->ticket_count);
        group->began_ns = os_monotonic_ns(os_clock_real());
        group->state = STORE_PG_GROUP_IN_FLIGHT;
        group->error = (struct store_error){0};
        if (pg->loop != NULL) {
            group->task.run = group_write;
            os_post(os_loop_executor(pg->loop), &group->task);
            return;
        }
        store_pg_write(pg, group);
        group_finish(pg, group);
    }
}

static void
gather_over(struct os_task *task)
{
    struct store_pg *pg = CONTAINER_OF(task, struct store_pg, gather_over);
    const struct store_pg_group *open = pg->newest;
    store_pg_gather_end(&pg->gather, open == NULL ? 0 : open->ticket_count);
    groups_submit(pg);
}

/* On the I/O thread. */
static void
gather_fire(struct os_timer *timer)
{
    struct store_pg *pg = CONTAINER_OF(timer, struct store_pg, gather_timer);
    pg->gather_over.run = gather_over;
    os_post(pg->gather_executor, &pg->gather_over);
}

static void
gather_arm(struct os_task *task)
{
    struct store_pg *pg = CONTAINER_OF(task, struct store_pg, gather_arm);
    pg->gather_timer.fire = gather_fire;
    os_timer_arm(pg->loop, &pg->gather_timer, os_monotonic_ns(os_clock_real()) + pg->gather_ns);
}

/* Behind a transaction; what is open, if there is anything, is the oldest then. */
static void
gather_begin(struct store_pg *pg, const struct store_pg_group *done)
{
    const struct store_pg_group *open = pg->oldest;
    if (pg->failed || (open != NULL && open->state != STORE_PG_GROUP_OPEN)) {
        return;
    }
    struct store_pg_gather_from from = {
        .answered = done->ticket_count,
        .here = open == NULL ? 0 : open->ticket_count,
        .events = done->event_count + (open == NULL ? 0 : open->event_count),
        .took_ns = os_monotonic_ns(os_clock_real()) - done->began_ns,
    };
    pg->gather_ns = store_pg_gather_begin(&pg->gather, from);
    if (pg->gather_ns > 0) {
        pg->gather_executor = done->executor;
        pg->gather_arm.run = gather_arm;
        os_post(os_loop_executor(pg->loop), &pg->gather_arm);
    }
}

static void
group_done(struct os_task *task)
{
    struct store_pg_group *group = CONTAINER_OF(task, struct store_pg_group, task);
    struct store_pg *pg = group->pg;
    group_finish(pg, group);
    gather_begin(pg, group);
    groups_submit(pg);
}

static struct store_pg_group *
group_free(struct store_pg *pg)
{
    for (uint32_t i = 0; i < STORE_PG_GROUPS; i++) {
        if (pg->groups[i].state == STORE_PG_GROUP_FREE) {
            return &pg->groups[i];
        }
    }
    return NULL;
}

static struct store_pg_group *
group_open(const struct store_pg *pg)
{
    struct store_pg_group *group = pg->newest;
    return group != NULL && group->state == STORE_PG_GROUP_OPEN ? group : NULL;
}

static bool
group_fits(const struct store_pg_group *group, uint32_t events, uint32_t accounts, uint32_t failed)
{
    return events <= STORE_PG_EVENTS_MAX - group->event_count &&
           failed <= STORE_PG_EVENTS_MAX - group->failed_count &&
           accounts <= STORE_PG_ACCOUNTS_MAX - group->account_count;
}

/* Memory that is never touched is never paid for, so every group has room for the largest one. */
static err_t
group_create(struct store_pg_group *group)
{
    if (group->events != NULL) {
        return ERR_OK;
    }
    group->accounts = malloc(STORE_PG_ACCOUNTS_MAX * sizeof(*group->accounts));
    group->events = malloc(STORE_PG_EVENTS_MAX * sizeof(*group->events));
    group->failed_ids = malloc(STORE_PG_EVENTS_MAX * sizeof(*group->failed_ids));
    group->recents = malloc((size_t)3 * STORE_PG_EVENTS_MAX * sizeof(*group->recents));
    bool good = group->accounts != NULL && group->events != NULL && group->failed_ids != NULL &&
                group->recents != NULL;
    return good ? ERR_OK : ERR_MEMORY;
}

static err_t
group_begin(struct store_pg *pg, struct store_pg_group **ret_group)
{
    struct store_pg_group *group = group_free(pg);
    if (group == NULL) {
        return ERR_BUSY;
    }
    TRY(group_create(group));
    group->account_count = 0;
    group->event_count = 0;
    group->failed_count = 0;
    group->ticket_count = 0;
    group->noted = false;
    group->adopted_before = pg->adopted;
    group->first_slot = pg->account_count;
    group->executor = NULL;
    group->next = NULL;
    group->sequence = ++pg->sequence;
    group->state = STORE_PG_GROUP_OPEN;
    if (pg->newest == NULL) {
        pg->oldest = group;
    } else {
        pg->newest->next = group;
    }
    pg->newest = group;
    *ret_group = group;
    return ERR_OK;
}

/* --- commits --- */

err_t
store_pg_check(struct store *store, struct store_error *error)
{
    struct store_pg *pg = store_pg_of(store);
    uint64_t ends_ms = atomic_load(&pg->lease_ends_ms);
    uint64_t now_ms = postgres_now_ms();
    uint64_t lease_ms = pg->options.lease_ms;
    if (pg->loop == NULL && now_ms + lease_ms / 2 > ends_ms &&
        store_pg_connect(&pg->writer, now_ms + lease_ms) == ERR_OK &&
        store_pg_term_renew(pg, now_ms + lease_ms) == ERR_OK) {
        ends_ms = atomic_load(&pg->lease_ends_ms); /* nobody else renews it */
    }
    if (!pg->failed && !atomic_load(&pg->lost) && now_ms < ends_ms) { /* PG-5 */
        return ERR_OK;
    }
    return store_error_set(
        error,
        ERR_CLOSED,
        "ledger %s: %s",
        pg->options.schema,
        pg->failed               ? pg->failure.message
        : atomic_load(&pg->lost) ? "another server has taken over"
                                 : "the lease could not be renewed in time");
}

err_t
store_pg_admit(struct store *store, uint32_t events, uint32_t accounts)
{
    struct store_pg *pg = store_pg_of(store);
    ASSERT(pg->loaded);
    ASSERT(events <= STORE_PG_EVENTS_MAX && accounts <= STORE_PG_ACCOUNTS_MAX);
    TRY(store_pg_check(store, NULL));
    const struct store_pg_group *open = group_open(pg);
    if (open != NULL && group_fits(open, events, accounts, events)) {
        return ERR_OK;
    }
    return group_free(pg) == NULL ? ERR_BUSY : ERR_OK;
}

static void
head_set(struct store_pg *pg, uint32_t slot, const struct store_pg_event *kept)
{
    pg->heads[slot] = kept->place;
    pg->head_times[slot] = kept->event.timestamp;
}

static err_t
event_add(struct store_pg *pg, struct store_pg_group *group, const struct ledger_event *event)
{
    ASSERT(event->debit_slot < pg->account_count);
    ASSERT(event->credit_slot < pg->account_count);
    struct store_pg_event *kept = &group->events[group->event_count];
    enum ledger_fate fate = fate_of(event);
    kept->event = *event;
    kept->event.pending_place = 0; /* no part of what is told of it */
    kept->debit_before = pg->heads[event->debit_slot];
    kept->credit_before = pg->heads[event->credit_slot];
    kept->place = fate == LEDGER_FATE_EXPIRED ? 0 : (store_pg_place_t)event->timestamp;
    if (event->adopted != 0) {
        kept->place = -(store_pg_place_t)++pg->adopted;
    }
    kept->debit_stands_in = pg->ids[event->debit_slot] != event->transfer.debit_account_id;
    kept->credit_stands_in = pg->ids[event->credit_slot] != event->transfer.credit_account_id;
    ASSERT(event->adopted != 0 || (!kept->debit_stands_in && !kept->credit_stands_in));
    struct store_pg_recent recent = {
        .id = event->transfer.id, .event = group->event_count, .fate = fate};
    group->event_count++;
    if (fate == LEDGER_FATE_EXPIRED) {
        recent.kind = STORE_PG_RECENT_FATE;
        return recent_add(group, recent);
    }
    head_set(pg, event->debit_slot, kept);
    head_set(pg, event->credit_slot, kept);
    store_pg_filter_add(&pg->filter, store_pg_hash(pg, event->transfer.id));
    if (fate == LEDGER_FATE_POSTED || fate == LEDGER_FATE_VOIDED) {
        struct store_pg_recent finished = {
            .id = event->transfer.pending_id, .kind = STORE_PG_RECENT_FATE, .fate = fate};
        TRY(recent_add(group, finished));
        recent.fate = LEDGER_FATE_NONE;
    }
    recent.kind = STORE_PG_RECENT_TRANSFER;
    return recent_add(group, recent);
}

static err_t
delta_add(struct store_pg *pg, struct store_pg_group *group, const struct ledger_delta *delta)
{
    for (uint32_t i = 0; i < delta->account_count; i++) {
        group->accounts[group->account_count++] = delta->accounts[i];
        TRY(store_pg_account_add(pg, delta->accounts[i].id, 0, 0));
    }
    for (uint32_t i = 0; i < delta->event_count; i++) {
        TRY(event_add(pg, group, &delta->events[i]));
    }
    for (uint32_t i = 0; i < delta->failed_count; i++) {
        group->failed_ids[group->failed_count++] = delta->failed_ids[i];
        store_pg_filter_add(&pg->filter, store_pg_hash(pg, delta->failed_ids[i]));
        struct store_pg_recent recent = {
            .id = delta->failed_ids[i], .kind = STORE_PG_RECENT_FAILED};
        TRY(recent_add(group, recent));
    }
    group->clock = delta->clock;
    return ERR_OK;
}

err_t
store_pg_note_put(struct store *store, struct span text)
{
    struct store_pg *pg = store_pg_of(store);
    ASSERT(pg->loaded);
    ASSERT(text.size <= STORE_NOTE_MAX);
    if (pg->failed) {
        return ERR_CLOSED;
    }
    struct store_pg_group *group = group_open(pg);
    if (group == NULL) {
        TRY(group_begin(pg, &group));
    }
    buf_clear(&group->note);
    buf_append(&group->note, text.data, text.size);
    group->noted = true;
    return buf_failed(&group->note) ? ERR_MEMORY : ERR_OK;
}

struct span
store_pg_note_get(struct store *store)
{
    return buf_span(&store_pg_of(store)->note);
}

uint64_t
store_pg_newest_transfer(struct store *store, uint32_t account_slot)
{
    const struct store_pg *pg = store_pg_of(store);
    ASSERT(account_slot < pg->account_count);
    return pg->head_times[account_slot];
}

static void
ticket_add(struct store_pg_group *group, struct store_ticket *ticket)
{
    ticket->sequence = group->sequence;
    ticket->error = (struct store_error){0};
    ticket->task.next = NULL;
    if (group->last_ticket == NULL) {
        group->first_ticket = &ticket->task;
    } else {
        group->last_ticket->next = &ticket->task;
    }
    group->last_ticket = &ticket->task;
    group->ticket_count++;
}

err_t
store_pg_commit(
    struct store *store,
    const struct ledger_delta *delta,
    struct os_executor *executor,
    struct store_ticket *ticket)
{
    struct store_pg *pg = store_pg_of(store);
    ASSERT(pg->loaded);
    if (pg->failed) {
        return ERR_CLOSED;
    }
    struct store_pg_group *group = group_open(pg);
    if (group == NULL ||
        !group_fits(group, delta->event_count, delta->account_count, delta->failed_count)) {
        if (group_free(pg) == NULL) {
            return ERR_BUSY;
        }
        if (group != NULL) {
            group->state = STORE_PG_GROUP_SEALED;
        }
        TRY(group_begin(pg, &group));
    }
    err_t code = delta_add(pg, group, delta);
    if (code != ERR_OK) {
        /* The tables are half changed: this store is of no more use (STORE-3). */
        struct store_error error;
        store_error_set(&error, code, "ledger %s: %s", pg->options.schema, err_text(code));
        fail(pg, &error);
        return code;
    }
    ASSERT(group->executor == NULL || group->executor == executor);
    group->executor = executor;
    if (ticket != NULL) {
        ticket_add(group, ticket);
        groups_submit(pg);
    }
    return ERR_OK;
}
