#include "list.h"

#include "expand.h"

#include "base/assert.h"

/* Ids hold 48 bits of milliseconds; a later second is as good as none. */
#define SECOND_MAX ((INT64_C(1) << 48) / 1000 - 1)

/* ---------------------------------------------------------------------------------- reading */

static void
raise_above(struct resource_list *list, struct span id)
{
    if (list->id_above.size == 0 || span_compare(id, list->id_above) > 0) {
        list->id_above = id;
    }
}

static void
lower_below(struct resource_list *list, struct span id)
{
    if (list->id_below.size == 0 || span_compare(id, list->id_below) < 0) {
        list->id_below = id;
    }
}

static struct span
id_text(struct resource_op *op, const struct resource_type *type, u128 id)
{
    char text[ID_TEXT_SIZE];
    size_t size = id_format(type->prefix, id, text);
    return arena_copy(&op->arena, span_of(text, size));
}

void
resource_list_since(
    struct resource_op *op,
    const struct resource_type *type,
    struct resource_list *list,
    int64_t second)
{
    if (second > SECOND_MAX) {
        second = SECOND_MAX;
    }
    if (second > 0) {
        raise_above(list, id_text(op, type, id_floor((uint64_t)second * 1000) - 1));
    }
}

void
resource_list_before(
    struct resource_op *op,
    const struct resource_type *type,
    struct resource_list *list,
    int64_t second)
{
    if (second < 0) {
        second = 0;
    }
    if (second <= SECOND_MAX) {
        lower_below(list, id_text(op, type, id_floor((uint64_t)second * 1000)));
    }
}

/* The table has been checked: integers from 0 on. An id tells when its object was created. */
static void
read_created(struct resource_op *op, const struct resource_type *type, struct resource_list *list)
{
    int64_t second;
    if (resource_integer(op, "created", &second)) {
        resource_list_since(op, type, list, second);
        resource_list_before(op, type, list, second < SECOND_MAX ? second + 1 : second);
    }
    if (resource_integer(op, "created[gte]", &second)) {
        resource_list_since(op, type, list, second);
    }
    if (resource_integer(op, "created[gt]", &second)) {
        resource_list_since(op, type, list, second < SECOND_MAX ? second + 1 : second);
    }
    if (resource_integer(op, "created[lt]", &second)) {
        resource_list_before(op, type, list, second);
    }
    if (resource_integer(op, "created[lte]", &second)) {
        resource_list_before(op, type, list, second < SECOND_MAX ? second + 1 : SECOND_MAX + 1);
    }
}

/* A cursor must name an object that is there, readable or not: with a wrong one, a client would
 * silently start over or stop early. */
static bool
check_cursor(
    struct resource_op *op, const struct resource_type *type, const char *param, struct span id)
{
    void *document;
    err_t error = resource_load(op, type, id, &document);
    if (error == ERR_OK || error == ERR_CORRUPT) {
        return true;
    }
    if (error == ERR_NOT_FOUND) {
        resource_missing(op, type->object, param, id);
    } else {
        resource_internal(op, error, "list cursor");
    }
    return false;
}

static bool
read_cursors(struct resource_op *op, const struct resource_type *type, struct resource_list *list)
{
    struct span after = SPAN_EMPTY;
    struct span before = SPAN_EMPTY;
    (void)resource_text(op, "starting_after", &after);
    (void)resource_text(op, "ending_before", &before);
    if (after.size > 0 && before.size > 0) {
        resource_invalid(
            op,
            "parameters_exclusive",
            "starting_after",
            "You may only specify one of these parameters: ending_before, starting_after.");
        return false;
    }
    if (after.size > 0) {
        lower_below(list, after);
        return check_cursor(op, type, "starting_after", after);
    }
    if (before.size > 0) {
        raise_above(list, before);
        list->toward_newer = true;
        return check_cursor(op, type, "ending_before", before);
    }
    return true;
}

/* On a list, every path of `expand` begins with "data". */
static bool
check_expand(struct resource_op *op)
{
    struct resource_expand *child = op->expand == NULL ? NULL : op->expand->children;
    for (; child != NULL; child = child->next) {
        if (!span_equal_cstr(child->name, "data") || child->children == NULL) {
            resource_expand_refuse(op, child);
            return false;
        }
        child->used = true;
    }
    return true;
}

bool
resource_list_begin(struct resource_op *op, struct resource_list *list)
{
    *list = (struct resource_list){.limit = RESOURCE_LIST_LIMIT_DEFAULT};
    int64_t limit;
    if (resource_integer(op, "limit", &limit)) {
        ASSERT(limit >= 1 && limit <= DOCUMENT_LIST_MAX); /* by RESOURCE_LIST_PARAMS */
        list->limit = (uint32_t)limit;
    }
    list->documents = ARENA_ARRAY(&op->arena, void *, list->limit + 1);
    if (list->documents == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return false;
    }
    return true;
}

bool
resource_list_read(
    struct resource_op *op, const struct resource_type *type, struct resource_list *list)
{
    if (!resource_list_begin(op, list)) {
        return false;
    }
    read_created(op, type, list);
    return check_expand(op) && read_cursors(op, type, list);
}

/* --------------------------------------------------------------------------------- querying */

void
resource_list_query(const struct resource_list *list, struct document_query *query)
{
    query->range_column = UINT32_MAX;
    query->id_above = list->id_above;
    query->id_below = list->id_below;
    query->oldest_first = list->toward_newer;
    query->limit = list->limit + 1;
}

void
resource_list_arrange(struct resource_list *list)
{
    if (list->count > list->limit) {
        list->has_more = true;
        list->count = list->limit;
    }
    if (list->toward_newer) {
        for (uint32_t i = 0; i < list->count / 2; i++) {
            void *other = list->documents[i];
            list->documents[i] = list->documents[list->count - 1 - i];
            list->documents[list->count - 1 - i] = other;
        }
    }
}

static struct span
id_of(const void *document)
{
    return ((const struct resource_header *)document)->id;
}

void
resource_list_leave_out(
    struct resource_op *op,
    const struct resource_type *type,
    struct resource_list *list,
    struct span id)
{
    list->left_out++;
    resource_note_damaged(op, type, id);
}

bool
resource_list_goes_on(
    const struct resource_list *list,
    uint32_t left_out,
    uint32_t rows,
    struct span last,
    struct document_query *query)
{
    bool is_full = list->count > list->limit || list->has_more;
    if (list->left_out == left_out || is_full || rows < query->limit) {
        return false;
    }
    ASSERT(last.size > 0);
    if (query->oldest_first) {
        query->id_above = last;
    } else {
        query->id_below = last;
    }
    return true;
}

/* A query of a list. */
struct look {
    struct resource_op *op;
    const struct resource_type *type;
    struct resource_list *list;
    uint32_t rows;
    struct span last; /* of them */
};

static bool
collect(void *context, void *document)
{
    struct look *look = context;
    struct resource_list *list = look->list;
    ASSERT(list->count <= list->limit);
    look->rows++;
    look->last = id_of(document);
    list->documents[list->count++] = document;
    return list->count <= list->limit;
}

static void
leave_out(void *context, struct span id)
{
    struct look *look = context;
    look->rows++;
    look->last = id;
    resource_list_leave_out(look->op, look->type, look->list, id);
}

/* `may_cut`: what does not fit is left to the next page. */
static err_t
find(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query,
    struct resource_list *list,
    bool may_cut)
{
    struct look look = {.op = op, .type = type, .list = list};
    struct document_query rest = *query;
    const struct resource_visitor visitor = {
        .each = collect,
        .damaged = leave_out,
        .context = &look,
        .cut = may_cut ? &list->has_more : NULL,
    };
    uint32_t left_out;
    do {
        if (list->left_out > RESOURCE_LIST_LEFT_OUT_MAX) {
            return ERR_CORRUPT;
        }
        left_out = list->left_out;
        look.rows = 0;
        TRY(resource_visit(op, type, &rest, &visitor));
    } while (resource_list_goes_on(list, left_out, look.rows, look.last, &rest));
    return ERR_OK;
}

err_t
resource_list_find(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query,
    struct resource_list *list)
{
    return find(op, type, query, list, true);
}

/* -------------------------------------------------------------------------------- answering */

/* Room for as many more objects as large as the first, which ends at `out`: growing with them would
 * copy, and overwrite, what is there again and again. */
static void
make_room(struct buf *out, size_t first, uint32_t more)
{
    if (!buf_failed(out) && more != 0 && first <= (out->limit - out->size) / more) {
        (void)buf_reserve(out, first * more); /* a failure shows at the end */
    }
}

err_t
resource_list_render(
    struct resource_op *op,
    const struct resource_type *type,
    const struct resource_list *list,
    struct json_writer *json)
{
    struct resource_expand *expand = resource_expand_child(op->expand, SPAN("data"));
    json_key(json, "data");
    json_array_begin(json);
    size_t began = json->out->size;
    for (uint32_t i = 0; i < list->count; i++) {
        TRY(resource_render_object(op, type, list->documents[i], expand, json));
        if (i == 0) {
            make_room(json->out, json->out->size - began, list->count - 1);
        }
    }
    json_array_end(json);
    return ERR_OK;
}

void
resource_list_answer(
    struct resource_op *op,
    const struct resource_type *type,
    struct span url,
    const struct resource_list *list)
{
    struct buf body;
    struct json_writer json;
    resource_body_init(&body);
    json_begin(&json, &body);
    json_object_begin(&json);
    json_member_cstr(&json, "object", "list");
    err_t error = resource_list_render(op, type, list, &json);
    if (error != ERR_OK) {
        buf_release(&body);
        resource_internal(op, error, "list");
        return;
    }
    json_member_bool(&json, "has_more", list->has_more);
    json_member_text(&json, "url", url);
    json_object_end(&json);
    const struct resource_expand *unused =
        list->count > 0 ? resource_expand_unused(op->expand) : NULL;
    if (unused != NULL) {
        buf_release(&body);
        resource_expand_refuse(op, unused);
        return;
    }
    resource_answer(op, 200, &body);
}

/* A filter of the query that is to be asked a second time, with another column. */
struct either {
    bool asked;
    uint32_t index;
    uint32_t other;
};

/* The two columns of RESOURCE_EITHER. */
static uint32_t
first_column(const struct resource_list_filter *filter)
{
    return filter->column & 0xffff;
}

static uint32_t
other_column(const struct resource_list_filter *filter)
{
    return (filter->column >> 16) - 1;
}

/* Rows of two queries in the order of the list, without those that both found. */
static void
merge(struct resource_list *list, const struct resource_list *other)
{
    void **merged = list->merged;
    uint32_t count = 0;
    uint32_t i = 0;
    uint32_t k = 0;
    while (count <= list->limit && (i < list->count || k < other->count)) {
        int order = i == list->count ? 1 : -1;
        if (i < list->count && k < other->count) {
            order = span_compare(id_of(other->documents[k]), id_of(list->documents[i]));
            order = list->toward_newer ? -order : order;
        }
        merged[count++] = order <= 0 ? list->documents[i] : other->documents[k];
        i += order <= 0 ? 1 : 0;
        k += order >= 0 ? 1 : 0;
    }
    list->documents = merged;
    list->count = count;
}

static err_t
find_other(
    struct resource_op *op,
    const struct resource_type *type,
    struct document_query *query,
    const struct either *either,
    struct resource_list *list)
{
    struct resource_list other = *list;
    other.count = 0;
    other.documents = ARENA_ARRAY(&op->arena, void *, list->limit + 1);
    list->merged = ARENA_ARRAY(&op->arena, void *, list->limit + 1);
    if (other.documents == NULL || list->merged == NULL) {
        return ERR_FULL;
    }
    query->filters[either->index].column = either->other;
    TRY(find(op, type, query, &other, false));
    merge(list, &other);
    return ERR_OK;
}

/* False: the operation was answered. */
static bool
run_query(
    struct resource_op *op,
    const struct resource_type *type,
    struct document_query *query,
    const struct either *either,
    struct resource_list *list)
{
    if (!resource_list_read(op, type, list)) {
        return false;
    }
    resource_list_query(list, query);
    /* Two queries are put together only whole. */
    err_t error = find(op, type, query, list, !either->asked);
    if (error == ERR_OK && either->asked) {
        error = find_other(op, type, query, either, list);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "list");
        return false;
    }
    resource_list_arrange(list);
    return true;
}

/* Fills the query from the filters that the request names. */
static void
read_filters(
    struct resource_op *op,
    const struct resource_type *type,
    const struct resource_list_filter *filters,
    uint32_t filter_count,
    struct document_query *query,
    struct either *either)
{
    for (uint32_t i = 0; i < filter_count; i++) {
        struct span text;
        if (!resource_text(op, filters[i].param, &text) || text.size == 0) {
            continue;
        }
        ASSERT(query->filter_count < DOCUMENT_FILTERS_MAX);
        struct document_filter *filter = &query->filters[query->filter_count++];
        filter->column = first_column(&filters[i]);
        filter->value.text = text;
        if (type->kind->columns[filter->column].type == DOCUMENT_INTEGER) {
            bool number = span_parse_i64(text, &filter->value.integer);
            ASSERT(number); /* the parameter table says so */
        }
        if (filters[i].column != filter->column) {
            ASSERT(!either->asked);
            either->asked = true;
            either->index = query->filter_count - 1;
            either->other = other_column(&filters[i]);
        }
    }
}

struct resource_list *
resource_list_gather(
    struct resource_op *op,
    const struct resource_type *type,
    const struct resource_list_filter *filters,
    uint32_t filter_count)
{
    struct document_query query = {.filter_count = 0};
    struct resource_list *list = ARENA_NEW(&op->arena, struct resource_list);
    if (list == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return NULL;
    }
    struct either either = {.asked = false};
    read_filters(op, type, filters, filter_count, &query, &either);
    return run_query(op, type, &query, &either, list) ? list : NULL;
}

void **
resource_list_documents(const struct resource_list *list, uint32_t *ret_count)
{
    *ret_count = list->count;
    return list->documents;
}

void
resource_answer_list(
    struct resource_op *op,
    const struct resource_type *type,
    const char *url,
    const struct resource_list_filter *filters,
    uint32_t filter_count)
{
    const struct resource_list *list = resource_list_gather(op, type, filters, filter_count);
    if (list != NULL) {
        resource_list_answer(op, type, span_from_cstr(url), list);
    }
}

void
resource_answer_list_of(
    struct resource_op *op,
    const struct resource_type *type,
    struct span url,
    const struct document_filter *only)
{
    resource_answer_list_where(op, type, url, only, 1);
}

void
resource_answer_list_where(
    struct resource_op *op,
    const struct resource_type *type,
    struct span url,
    const struct document_filter *filters,
    uint32_t filter_count)
{
    ASSERT(filter_count <= DOCUMENT_FILTERS_MAX);
    struct document_query query = {.filter_count = filter_count};
    for (uint32_t i = 0; i < filter_count; i++) {
        query.filters[i] = filters[i];
    }
    struct either either = {.asked = false};
    struct resource_list list;
    if (run_query(op, type, &query, &either, &list)) {
        resource_list_answer(op, type, url, &list);
    }
}

/* ----------------------------------------------------------------------------- chosen by hand */

struct chosen {
    struct resource_op *op;
    const struct resource_type *type;
    const struct resource_list_choice *choice;
    struct resource_list list;
    uint32_t looked;
};

static bool
collect_chosen(void *context, void *document)
{
    struct chosen *chosen = context;
    struct resource_list *list = &chosen->list;
    chosen->looked++;
    if (chosen->choice->takes(chosen->op, document)) {
        ASSERT(list->count <= list->limit);
        list->documents[list->count++] = document;
    }
    return list->count <= list->limit;
}

static void
pass_chosen(void *context, struct span id)
{
    struct chosen *chosen = context;
    chosen->looked++;
    resource_list_leave_out(chosen->op, chosen->type, &chosen->list, id);
}

void
resource_answer_list_chosen(
    struct resource_op *op,
    const struct resource_type *type,
    struct span url,
    const struct resource_list_choice *choice)
{
    struct chosen chosen = {.op = op, .type = type, .choice = choice};
    struct document_query query = {.filter_count = choice->filter_count};
    ASSERT(choice->filter_count <= DOCUMENT_FILTERS_MAX);
    for (uint32_t i = 0; i < choice->filter_count; i++) {
        query.filters[i] = choice->filters[i];
    }
    if (!resource_list_read(op, type, &chosen.list)) {
        return;
    }
    resource_list_query(&chosen.list, &query);
    query.limit = RESOURCE_LIST_LOOKED_MAX + 1;
    bool cut = false;
    const struct resource_visitor visitor = {
        .each = collect_chosen, .damaged = pass_chosen, .context = &chosen, .cut = &cut};
    err_t error = resource_visit(op, type, &query, &visitor);
    if (error != ERR_OK) {
        resource_internal(op, error, "list");
        return;
    }
    chosen.list.has_more = cut && chosen.list.count > 0;
    bool found_few =
        cut ? chosen.list.count == 0
            : chosen.looked > RESOURCE_LIST_LOOKED_MAX && chosen.list.count <= chosen.list.limit;
    if (found_few) {
        resource_invalid(
            op,
            NULL,
            NULL,
            "This list looked at %u objects and found %u of what it is to show: ask for less of "
            "them, by customer or by time of creation.",
            chosen.looked,
            chosen.list.count);
        return;
    }
    resource_list_arrange(&chosen.list);
    resource_list_answer(op, type, url, &chosen.list);
}
