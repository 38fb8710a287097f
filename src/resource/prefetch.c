/*
 * What the operations of a group are about to read, asked for in one round trip. A guess, which
 * costs little if it is wrong: nobody reads but through the document store, which asks the database
 * for what is not there.
 *
 * Guessed are the API key and the idempotency key, and every object whose id stands in the path or
 * in a parameter: which kind it is of tells its prefix, as was seen when such an id was loaded
 * before.
 */
#include "cache.h"

#include "base/assert.h"

#include <stdlib.h>

#define WISHES_MAX        1024
#define WISHES_OF_ONE_MAX 8

struct resource_wishes {
    struct resource_runtime *runtime;
    struct document_wish wishes[WISHES_MAX];
    struct document_query queries[WISHES_MAX];
    char hashes[WISHES_MAX][2 * RESOURCE_HASH_SIZE + 1];
    uint32_t count;
    uint32_t of_one; /* of the operation that is looked at */
};

void
resource_prefetch_note(struct resource_runtime *runtime, const struct resource_type *type)
{
    if (runtime->shared == NULL || type->prefix == NULL || type->prefix[0] == '\0') {
        return;
    }
    for (uint32_t i = 0; i < runtime->seen_type_count; i++) {
        if (runtime->seen_types[i].type == type) {
            return;
        }
    }
    if (runtime->seen_type_count < RESOURCE_SEEN_TYPES_MAX) {
        runtime->seen_types[runtime->seen_type_count++] =
            (struct resource_seen_type){type, span_from_cstr(type->prefix)};
    }
}

static bool
has_room(const struct resource_wishes *wishes)
{
    return wishes->count < WISHES_MAX && wishes->of_one < WISHES_OF_ONE_MAX;
}

static void
wish_id(struct resource_wishes *wishes, uint64_t scope, struct span id)
{
    const struct resource_runtime *runtime = wishes->runtime;
    if (id.size >= ID_TEXT_SIZE) {
        return;
    }
    for (uint32_t i = 0; i < runtime->seen_type_count && has_room(wishes); i++) {
        const struct resource_seen_type *seen = &runtime->seen_types[i];
        if (id.size > seen->prefix.size && span_starts_with(id, seen->prefix)) {
            wishes->of_one++;
            wishes->wishes[wishes->count++] =
                (struct document_wish){.kind = seen->type->kind, .scope = scope, .id = id};
        }
    }
}

static void
wish_params(
    struct resource_wishes *wishes, uint64_t scope, const struct form_node *node, uint32_t depth)
{
    if (node->kind == FORM_TEXT) {
        wish_id(wishes, scope, node->text);
        return;
    }
    if (depth == 2) {
        return; /* references do not lie deeper */
    }
    for (const struct form_node *child = node->first_child; child != NULL && has_room(wishes);
         child = child->next) {
        wish_params(wishes, scope, child, depth + 1);
    }
}

static void
wish_list(struct resource_wishes *wishes, const struct document_kind *kind)
{
    uint32_t at = wishes->count++;
    wishes->wishes[at] = (struct document_wish){.kind = kind, .query = &wishes->queries[at]};
}

/* What an operation that has just arrived will look up; nothing yet, if it asks for a copy first.
 */
static void
wish_arrived(struct resource_wishes *wishes, struct resource_op *op)
{
    wishes->of_one = 0;
    uint32_t at = wishes->count;
    if (resource_auth_wish(op, wishes->hashes[at], &wishes->queries[at])) {
        wish_list(wishes, &resource_api_key_kind);
        return; /* whose the rest is, the key tells */
    }
    if (resource_cache_asks(op)) {
        op->prefetched = false;
        return;
    }
    if (resource_idempotency_wish(op, &wishes->queries[at])) {
        wish_list(wishes, &resource_idempotency_kind);
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (!resource_cache_has(op, op->request->captures[i])) {
            wish_id(wishes, op->caller.scope, op->request->captures[i]);
        }
    }
    wish_params(wishes, op->caller.scope, op->request->params, 0);
}

static void
wishes_ask(struct resource_wishes *wishes)
{
    struct resource_runtime *runtime = wishes->runtime;
    if (wishes->count > 0) {
        resource_cache_group_reads(runtime);
        err_t result = runtime->shared->prefetch(runtime->documents, wishes->wishes, wishes->count);
        if (result != ERR_OK) {
            /* Whoever reads is told, too. */
            resource_log(runtime, NULL, result, "reading ahead");
        }
    }
    wishes->count = 0;
}

void
resource_prefetch_arrived(struct resource_runtime *runtime)
{
    struct resource_wishes *wishes = runtime->wishes;
    if (wishes == NULL) {
        return;
    }
    LIST_FOREACH_SAFE (&runtime->ready, link) {
        struct resource_op *op = CONTAINER_OF(link, struct resource_op, waiting);
        if (op->step == resource_op_begin && !op->prefetched &&
            wishes->count + WISHES_OF_ONE_MAX + 2 < WISHES_MAX) {
            op->prefetched = true;
            wish_arrived(wishes, op);
        }
    }
    wishes_ask(wishes);
}

void
resource_prefetch_locked(
    struct resource_runtime *runtime, const struct document_lock *locks, uint32_t count)
{
    struct resource_wishes *wishes = runtime->wishes;
    for (uint32_t i = 0; i < count; i++) {
        wishes->of_one = 0;
        if (locks[i].granted) {
            wish_id(wishes, locks[i].scope, locks[i].id);
        }
    }
    wishes_ask(wishes);
}

void
resource_expect(struct resource_runtime *runtime, uint64_t scope, struct span id)
{
    if (runtime->wishes != NULL) {
        runtime->wishes->of_one = 0;
        wish_id(runtime->wishes, scope, id);
    }
}

err_t
resource_prefetch_open(struct resource_runtime *runtime)
{
    if (runtime->shared == NULL) {
        return ERR_OK;
    }
    runtime->wishes = calloc(1, sizeof(*runtime->wishes));
    if (runtime->wishes == NULL) {
        return ERR_MEMORY;
    }
    runtime->wishes->runtime = runtime;
    return ERR_OK;
}
