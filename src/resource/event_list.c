/* GET /v1/events and /v1/events/:id. */
#include "event.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define TYPES_ASKED_MAX   20
#define RELATED_ASKED_MAX 20

static void
wanted_add(struct resource_event_wanted *wanted, struct span type)
{
    for (uint32_t i = 0; i < wanted->count; i++) {
        if (span_equal(wanted->types[i], type)) {
            return;
        }
    }
    ASSERT(wanted->count < RESOURCE_EVENT_TYPES_MAX);
    wanted->types[wanted->count++] = type;
}

static void
wanted_match(void *context, struct map_link *link)
{
    struct resource_event_wanted *wanted = context;
    const struct resource_event_type_entry *entry =
        CONTAINER_OF(link, struct resource_event_type_entry, link);
    struct span name = span_of(entry->name, entry->size);
    if (span_starts_with(name, wanted->prefix)) {
        wanted_add(wanted, name);
    }
}

/* "charge.succeeded", "charge.*" or "*". A type that was never emitted has no events. */
static void
wanted_text(struct resource_event_wanted *wanted, struct span text)
{
    if (span_equal_cstr(text, "*")) {
        wanted->any = true;
    } else if (span_ends_with(text, SPAN("*"))) {
        wanted->prefix = span_slice(text, 0, text.size - 1);
        map_each(&wanted->op->runtime->event_types, wanted_match, wanted);
    } else if (resource_event_type_is_known(wanted->op->runtime, text)) {
        wanted_add(wanted, text);
    }
}

/* ----------------------------------------------------------------- merging the lists of values */

struct merge {
    struct arena *arena;
    struct span *ids;
    uint32_t count;
    bool full; /* the arena is */
};

static bool
merge_row(void *context, const struct document_row *row)
{
    struct merge *merge = context;
    struct span id = arena_copy(merge->arena, row->id);
    merge->full = id.data == NULL;
    if (!merge->full) {
        merge->ids[merge->count++] = id;
    }
    return !merge->full;
}

static int
compare_newest_first(const void *a, const void *b)
{
    return span_compare(*(const struct span *)b, *(const struct span *)a);
}

static int
compare_oldest_first(const void *a, const void *b)
{
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

/* The nearest ids with every value, of which the nearest of all are the page: each gives at most
 * limit + 1, so the cost is bounded by the number of values, not of events. No value is there
 * twice.
 */
static err_t
merge_values(
    struct resource_op *op,
    const struct span *values,
    uint32_t count,
    struct document_query *query,
    struct merge *merge)
{
    struct document_store *documents = op->runtime->documents;
    merge->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        query->filters[0].value.text = values[i];
        TRY(documents->ops->list(documents, resource_event_type.kind, query, merge_row, merge));
        if (merge->full) {
            return ERR_FULL;
        }
    }
    if (merge->count > 0) {
        qsort(
            merge->ids,
            merge->count,
            sizeof(merge->ids[0]),
            query->oldest_first ? compare_oldest_first : compare_newest_first);
    }
    /* Behind so many there may be others. */
    merge->count = merge->count < query->limit ? merge->count : query->limit;
    return ERR_OK;
}

static err_t
load_merged(struct resource_op *op, const struct merge *merge, struct resource_list *list)
{
    for (uint32_t i = 0; i < merge->count && list->count <= list->limit; i++) {
        if (i > 0 && resource_op_is_laden(op)) {
            list->has_more = true;
            break;
        }
        err_t result =
            resource_load(op, &resource_event_type, merge->ids[i], &list->documents[list->count]);
        if (result == ERR_CORRUPT) {
            resource_list_leave_out(op, &resource_event_type, list, merge->ids[i]);
            continue;
        }
        TRY(result);
        list->count++;
    }
    return ERR_OK;
}

static err_t
find_by_values(
    struct resource_op *op,
    uint32_t column,
    const struct span *values,
    uint32_t count,
    struct resource_list *list)
{
    struct merge merge = {.arena = &op->arena};
    merge.ids = ARENA_ARRAY(&op->arena, struct span, (size_t)count * (list->limit + 1));
    if (merge.ids == NULL) {
        return ERR_FULL;
    }
    struct document_query query = {.scope = op->caller.scope, .filter_count = 1};
    resource_list_query(list, &query);
    query.filters[0].column = column;
    resource_transaction_read(op->runtime, op);
    uint32_t left_out;
    struct span last;
    do {
        if (list->left_out > RESOURCE_LIST_LEFT_OUT_MAX) {
            return ERR_CORRUPT;
        }
        left_out = list->left_out;
        TRY(merge_values(op, values, count, &query, &merge));
        TRY(load_merged(op, &merge, list));
        last = merge.count == 0 ? SPAN_EMPTY : merge.ids[merge.count - 1];
    } while (resource_list_goes_on(list, left_out, merge.count, last, &query));
    return ERR_OK;
}

/* Whose events are asked for; a count of 0: everybody's. */
struct related {
    struct span ids[RELATED_ASKED_MAX];
    uint32_t count;
};

static void
related_add(struct related *related, struct span id)
{
    for (uint32_t i = 0; i < related->count; i++) {
        if (span_equal(related->ids[i], id)) {
            return;
        }
    }
    ASSERT(related->count < RELATED_ASKED_MAX);
    related->ids[related->count++] = id;
}

static bool
refuse_together(struct resource_op *op, const char *param, const char *other)
{
    resource_invalid(
        op,
        "parameters_exclusive",
        param,
        "You may only specify one of these parameters: %s, %s.",
        param,
        other);
    return false;
}

/* One index answers a page: of objects, of types, or of deliveries. */
static bool
read_related(struct resource_op *op, struct related *related)
{
    static const char *const others[] = {"type", "types", "delivery_success"};
    const struct form_node *several = resource_node(op, "related_objects");
    struct span one = SPAN_EMPTY;
    bool given = resource_text(op, "related_object", &one) && one.size > 0;
    related->count = 0;
    if (given && several != NULL && several->child_count > 0) {
        return refuse_together(op, "related_object", "related_objects");
    }
    if (given) {
        related_add(related, one);
    }
    for (const struct form_node *item = several == NULL ? NULL : several->first_child; item != NULL;
         item = item->next) {
        related_add(related, item->text);
    }
    for (size_t i = 0; related->count > 0 && i < sizeof(others) / sizeof(others[0]); i++) {
        if (resource_present(op, others[i])) {
            return refuse_together(op, given ? "related_object" : "related_objects", others[i]);
        }
    }
    return true;
}

static bool
read_types(struct resource_op *op, struct resource_event_wanted *wanted)
{
    struct span type;
    const struct form_node *types = resource_node(op, "types");
    bool one = resource_text(op, "type", &type) && type.size > 0;
    bool several = types != NULL && types->child_count > 0;
    if (one && several) {
        return refuse_together(op, "types", "type");
    }
    wanted->any = !one && !several;
    if (one) {
        wanted_text(wanted, type);
    }
    for (const struct form_node *item = several ? types->first_child : NULL; item != NULL;
         item = item->next) {
        wanted_text(wanted, item->text);
    }
    return true;
}

static err_t
find(
    struct resource_op *op,
    const struct resource_event_wanted *wanted,
    const struct related *related,
    struct resource_list *list)
{
    bool delivered;
    if (related->count > 0) {
        return find_by_values(
            op, RESOURCE_EVENT_RELATED_COLUMN, related->ids, related->count, list);
    }
    if (resource_boolean(op, "delivery_success", &delivered)) {
        return resource_event_find_by_delivery(op, wanted, delivered, list);
    }
    if (!wanted->any) {
        return find_by_values(op, RESOURCE_EVENT_TYPE_COLUMN, wanted->types, wanted->count, list);
    }
    struct document_query query = {.filter_count = 0};
    resource_list_query(list, &query);
    return resource_list_find(op, &resource_event_type, &query, list);
}

static void
event_list(struct resource_op *op)
{
    struct resource_list list;
    struct related related;
    struct resource_event_wanted *wanted = ARENA_NEW(&op->arena, struct resource_event_wanted);
    if (wanted == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    wanted->op = op;
    err_t error = resource_event_types_refresh(op->runtime);
    if (error != ERR_OK) {
        resource_internal(op, error, "types of events");
        return;
    }
    if (!read_related(op, &related) || !read_types(op, wanted) ||
        !resource_list_read(op, &resource_event_type, &list)) {
        return;
    }
    error = find(op, wanted, &related, &list);
    if (error != ERR_OK) {
        resource_internal(op, error, "events");
        return;
    }
    resource_list_arrange(&list);
    resource_list_answer(op, &resource_event_type, SPAN("/v1/events"), &list);
}

static void
event_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &resource_event_type, resource_op_capture(op, 0));
}

static const struct resource_param list_params[] = {
    RESOURCE_LIST_PARAMS,
    {.name = "type", .kind = RESOURCE_PARAM_TEXT, .maximum = 128},
    {.name = "delivery_success", .kind = RESOURCE_PARAM_BOOLEAN},
    {.name = "related_object", .kind = RESOURCE_PARAM_TEXT, .maximum = 128},
    {.name = "related_objects", .kind = RESOURCE_PARAM_TEXT_LIST, .maximum = RELATED_ASKED_MAX},
    {.name = "types", .kind = RESOURCE_PARAM_TEXT_LIST, .maximum = TYPES_ASKED_MAX},
};
static const struct resource_param retrieve_params[] = {RESOURCE_EXPAND_PARAM};

const struct resource_route resource_event_routes[] = {
    {.method = "GET",
     .pattern = "/v1/events",
     .handler = event_list,
     .params = list_params,
     .param_count = sizeof(list_params) / sizeof(list_params[0]),
     .permission = "events",
     .answers = &resource_event_type,
     .answers_list = true},
    {.method = "GET",
     .pattern = "/v1/events/:id",
     .handler = event_retrieve,
     .params = retrieve_params,
     .param_count = sizeof(retrieve_params) / sizeof(retrieve_params[0]),
     .permission = "events",
     .answers = &resource_event_type},
};
const uint32_t resource_event_route_count =
    sizeof(resource_event_routes) / sizeof(resource_event_routes[0]);
