/* What is asked of several shards at once: lists across scopes, rows ahead of being asked, locks.
 */
#include "query.h"
#include "sharded.h"

#include "base/assert.h"

#include <stdlib.h>

/* Rows of a list that are looked through for those of the shard's own. */
#define STRANGERS_MAX 65536

/* ----------------------------------------------------------------------- lists across all scopes
 */

struct merge {
    struct document_sharded *sharded;
    const struct document_kind *kind;
    const struct document_query *query;
    struct arena arena; /* of the texts */
    struct document_row *rows;
    size_t count, room;
    err_t failure;
    bool own_only; /* rows whose scope is another shard's are left out, and only counted */
    uint32_t shard, strangers, of_shard;
};

static err_t
copy_text(struct arena *arena, struct span *text)
{
    if (text->size > 0) {
        *text = arena_copy(arena, *text);
        return text->data == NULL ? ERR_FULL : ERR_OK;
    }
    return ERR_OK;
}

static err_t
merge_add(struct merge *merge, const struct document_row *row)
{
    if (merge->count == merge->room) {
        size_t room = merge->room == 0 ? 64 : 2 * merge->room;
        struct document_row *rows = realloc(merge->rows, room * sizeof(rows[0]));
        if (rows == NULL) {
            return ERR_MEMORY;
        }
        merge->rows = rows;
        merge->room = room;
    }
    struct document_row *copy = &merge->rows[merge->count];
    *copy = *row;
    TRY(copy_text(&merge->arena, &copy->id));
    TRY(copy_text(&merge->arena, &copy->body));
    for (uint32_t i = 0; i < merge->kind->column_count; i++) {
        TRY(copy_text(&merge->arena, &copy->columns[i].text));
    }
    merge->count++;
    return ERR_OK;
}

static bool
take_row(void *context, const struct document_row *row)
{
    struct merge *merge = context;
    merge->of_shard++;
    if (merge->own_only && document_sharded_route(merge->sharded, row->scope) != merge->shard) {
        merge->strangers++;
        return true;
    }
    merge->failure = merge_add(merge, row);
    return merge->failure == ERR_OK;
}

static int
compare_rows(const void *left, const void *right, void *context)
{
    const struct merge *merge = context;
    return document_query_compare(merge->kind, merge->query, left, right);
}

/* Of one shard, and perhaps not of the next one. */
static bool
is_out_of_reach(err_t result)
{
    return result == ERR_CLOSED || result == ERR_TIMEOUT || result == ERR_MOVED ||
           result == ERR_LOCKED;
}

/* While merchants move there are rows of theirs in two shards: those in the shard that the map does
 * not name are no rows. Because of them a shard is asked for more, until it has told of enough. */
static err_t
list_own(struct merge *merge, uint32_t shard)
{
    struct document_store *store = &merge->sharded->shards[shard]->store;
    struct document_query query = *merge->query;
    size_t before = merge->count;
    merge->own_only = true;
    merge->shard = shard;
    for (;;) {
        merge->strangers = merge->of_shard = 0;
        merge->count = before;
        TRY(document_pg_list(store, merge->kind, &query, take_row, merge));
        TRY(merge->failure);
        bool is_all = merge->of_shard < query.limit;
        if (is_all || merge->count - before >= merge->query->limit ||
            query.limit >= STRANGERS_MAX) {
            return ERR_OK;
        }
        query.limit *= 4;
    }
}

/* The first `limit` of each shard have the first `limit` of all among them. One that cannot be
 * reached is passed over (SHARDED-4): its rows are not needed for others' work, and whoever sweeps
 * comes again. */
static err_t
list_across(struct merge *merge, document_each each, void *context)
{
    struct document_sharded *sharded = merge->sharded;
    for (uint32_t i = 0; i < sharded->count; i++) {
        if ((sharded->groups.shards & document_sharded_bit(i)) != 0) {
            continue; /* SHARDED-9 */
        }
        TRY(document_sharded_enter(sharded, i));
        err_t result = list_own(merge, i);
        document_sharded_leave(sharded, i);
        if (!is_out_of_reach(result) || i == sharded->platform) {
            TRY(result);
        }
    }
    if (merge->count > 0) {
        qsort_r(merge->rows, merge->count, sizeof(merge->rows[0]), compare_rows, merge);
    }
    for (size_t i = 0; i < merge->count && i < merge->query->limit; i++) {
        if (!each(context, &merge->rows[i])) {
            break;
        }
    }
    return ERR_OK;
}

/* Rows as their shards have them. */
static err_t
list_stored(
    struct document_sharded *sharded,
    const struct document_kind *kind,
    const struct document_query *query,
    document_each each,
    void *context)
{
    if (query->all_scopes) {
        struct merge merge = {.sharded = sharded, .kind = kind, .query = query};
        arena_init(&merge.arena, DOCUMENT_PG_ARENA_MAX);
        err_t result = list_across(&merge, each, context);
        arena_release(&merge.arena);
        free(merge.rows);
        return result;
    }
    uint32_t shard = document_sharded_route(sharded, query->scope);
    TRY(document_sharded_enter(sharded, shard));
    err_t result = document_pg_list(&sharded->shards[shard]->store, kind, query, each, context);
    document_sharded_leave(sharded, shard);
    return result;
}

/* Of a kind with a column group: the hot rows, then their cold parts in one more round trip, or
 * none if nobody needs them. */
static err_t
list_parted(struct merge *merge, document_each each, void *context)
{
    struct document_sharded *sharded = merge->sharded;
    const struct document_query *query = merge->query;
    const struct document_sharded_group *group = document_sharded_group_of(sharded, merge->kind);
    TRY(list_stored(sharded, merge->kind, query, take_row, merge));
    TRY(merge->failure);
    if (!query->hot_only) {
        TRY(document_sharded_parts_ahead(sharded, group, merge->rows, merge->count, &merge->arena));
    }
    for (size_t i = 0; i < merge->count; i++) {
        struct document_row *row = &merge->rows[i];
        TRY(document_sharded_join(sharded, merge->kind, query->hot_only, &merge->arena, row));
        if (!each(context, row)) {
            break;
        }
    }
    return ERR_OK;
}

err_t
document_sharded_list(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_query *query,
    document_each each,
    void *context)
{
    struct document_sharded *sharded = document_sharded_of(store);
    if (document_sharded_group_of(sharded, kind) == NULL) {
        return list_stored(sharded, kind, query, each, context);
    }
    struct merge merge = {.sharded = sharded, .kind = kind, .query = query};
    arena_init(&merge.arena, DOCUMENT_PG_ARENA_MAX);
    err_t result = list_parted(&merge, each, context);
    arena_release(&merge.arena);
    free(merge.rows);
    return result;
}

/* ----------------------------------------------------------------------- rows ahead of being asked
 */

static uint32_t
collect_wishes(
    const struct document_sharded *sharded,
    uint32_t shard,
    const struct document_wish *wishes,
    uint32_t count,
    struct document_wish *ret_wishes)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct document_query *query = wishes[i].query;
        uint64_t scope = query == NULL ? wishes[i].scope : query->scope;
        bool is_somewhere = query == NULL || !query->all_scopes;
        if (is_somewhere && document_sharded_route(sharded, scope) == shard) {
            ret_wishes[found++] = wishes[i];
        }
    }
    return found;
}

/* Of rows that came, the cold parts, in one more round trip for each shard that has some. Never
 * necessary, so that a shard which is down is met by whoever needs a part (SHARDED-9). */
static err_t
parts_ahead(struct document_sharded *sharded, const struct document_wish *wishes, uint32_t count)
{
    struct document_row *rows = calloc((size_t)count + 1, sizeof(*rows));
    if (rows == NULL) {
        return ERR_MEMORY;
    }
    struct arena arena;
    err_t result = ERR_OK;
    arena_init(&arena, DOCUMENT_PG_ARENA_MAX);
    for (uint32_t i = 0; i < sharded->groups.count; i++) {
        const struct document_sharded_group *group = &sharded->groups.groups[i];
        size_t found = 0;
        for (uint32_t j = 0; j < count; j++) {
            if (wishes[j].query != NULL || wishes[j].kind != group->kind) {
                continue;
            }
            uint32_t shard = document_sharded_route(sharded, wishes[j].scope);
            const struct document_pg_row *row = document_pg_row_find(
                sharded->shards[shard], group->kind, wishes[j].scope, wishes[j].id);
            if (row != NULL && row->version > 0) {
                rows[found++] =
                    (struct document_row){.scope = row->scope, .id = row->id, .body = row->body};
            }
        }
        err_t asked = document_sharded_parts_ahead(sharded, group, rows, found, &arena);
        result = asked == ERR_FULL || asked == ERR_MEMORY ? asked : result;
    }
    arena_release(&arena);
    free(rows);
    return result;
}

/* All are asked before the first is waited for. A shard that cannot be asked is met again by who
 * asks in earnest. */
err_t
document_sharded_prefetch(
    struct document_store *store, const struct document_wish *wishes, uint32_t count)
{
    struct document_sharded *sharded = document_sharded_of(store);
    struct document_wish *own = calloc((size_t)count + 1, sizeof(*own));
    if (own == NULL) {
        return ERR_MEMORY;
    }
    uint64_t asked = 0;
    err_t result = ERR_OK;
    for (uint32_t i = 0; i < sharded->count; i++) {
        uint32_t own_count = collect_wishes(sharded, i, wishes, count, own);
        bool is_sent = false;
        if (own_count > 0) {
            err_t sent = document_pg_prefetch_send(sharded->shards[i], own, own_count, &is_sent);
            result = result == ERR_OK ? sent : result;
        }
        if (is_sent) {
            document_pg_depart(sharded->shards[i]);
            asked |= document_sharded_bit(i);
        }
    }
    for (uint32_t i = 0; i < sharded->count; i++) {
        if ((asked & document_sharded_bit(i)) != 0) {
            err_t came = document_pg_end_flush(sharded->shards[i]);
            result = result == ERR_OK ? came : result;
        }
    }
    free(own);
    return result == ERR_OK ? parts_ahead(sharded, wishes, count) : result;
}

/* --------------------------------------------------------------------------------------- locks */

/* Those of one shard, of which `own` and `places` have room for all. */
static err_t
lock_on(
    struct document_sharded *sharded,
    uint32_t shard,
    struct document_lock *locks,
    uint32_t count,
    struct document_lock *own)
{
    uint32_t own_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (document_sharded_route(sharded, locks[i].scope) == shard) {
            own[own_count++] = locks[i];
        }
    }
    if (own_count == 0) {
        return ERR_OK;
    }
    err_t result = document_pg_lock(&sharded->shards[shard]->store, own, own_count);
    own_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (document_sharded_route(sharded, locks[i].scope) == shard) {
            locks[i].granted = result == ERR_OK && own[own_count].granted;
            own_count++;
            if (locks[i].granted) {
                document_sharded_hold(sharded, locks[i].scope, locks[i].id);
            }
        }
    }
    return result;
}

/* A shard that cannot be asked grants nothing, and the others do: who waits there asks again, until
 * the time for waiting is over. */
err_t
document_sharded_lock(struct document_store *store, struct document_lock *locks, uint32_t count)
{
    struct document_sharded *sharded = document_sharded_of(store);
    struct document_lock *own = calloc((size_t)count + 1, sizeof(*own));
    if (own == NULL) {
        return ERR_MEMORY;
    }
    bool any = false;
    err_t failure = ERR_OK;
    for (uint32_t i = 0; i < sharded->count; i++) {
        err_t result = lock_on(sharded, i, locks, count, own);
        failure = failure == ERR_OK ? result : failure;
    }
    for (uint32_t i = 0; i < count; i++) {
        any = any || locks[i].granted;
    }
    free(own);
    return any ? ERR_OK : failure;
}
