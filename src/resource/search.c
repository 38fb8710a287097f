/*
 * A search reads the objects of a scope from the newest on, some in each of its turns (turn.c), and
 * keeps those that match until the page is full:
 *
 *     resource_answer_search  -->  read_turn  -->  end_search
 *       parses, binds, narrows       ^   | more to read
 *                                    +---+
 *
 * Nothing of it is locked or kept between turns but the id of the last object looked at: rows that
 * are added meanwhile are newer, and belong to no page that was begun before them.
 */
#include "search.h"
#include "expand.h"
#include "list.h"

#include "base/assert.h"

#include <string.h>

/* A page's name: the id of the last object before it, signed together with what was asked, so that
 * it goes with its query only. */
#define PAGE_SIGNED_BYTES 16
#define PAGE_SIGNED_SIZE  ((size_t)2 * PAGE_SIGNED_BYTES)

struct search {
    struct resource_op *op;
    const struct resource_search *of;
    struct span text; /* the query as sent */
    struct resource_search_terms terms;
    struct document_query query; /* with what the terms narrow it to */
    struct resource_list list;
    struct span page_below; /* the page's objects are below this id; empty: from the newest on */
    bool counts;            /* total_count was asked for */
    uint32_t counted;
    uint32_t looked, looked_max;
    char last[ID_TEXT_SIZE]; /* the id that was looked at last */
    size_t last_size;
    int64_t last_created;
    bool is_full;      /* all that was asked for is there */
    bool turn_is_over; /* before the rows were */
    err_t error;
};

/* ------------------------------------------------------------------------------- the page --- */

static void
page_sign(const struct search *search, struct span id, char out[PAGE_SIGNED_SIZE])
{
    uint8_t hash[RESOURCE_HASH_SIZE];
    char hex[2 * RESOURCE_HASH_SIZE + 1];
    struct buf text;
    buf_init(&text, RESOURCE_BODY_LIMIT);
    buf_append_format(&text, "search %s ", search->of->url);
    buf_append_u64(&text, search->op->caller.scope);
    buf_append_byte(&text, ' ');
    buf_append_span(&text, id);
    buf_append_byte(&text, ' ');
    buf_append_span(&text, search->text);
    ASSERT(!buf_failed(&text)); /* a query is far smaller than a body */
    resource_hmac(search->op->runtime->secret, buf_span(&text), hash);
    buf_release(&text);
    resource_hex(hash, hex);
    memcpy(out, hex, PAGE_SIGNED_SIZE);
}

static bool
read_page(struct search *search)
{
    struct span page = SPAN_EMPTY;
    (void)resource_text(search->op, "page", &page);
    if (page.size == 0) {
        return true;
    }
    struct span id = span_slice(page, PAGE_SIGNED_SIZE, page.size);
    char expected[PAGE_SIGNED_SIZE];
    page_sign(search, id, expected);
    if (id.size == 0 ||
        !span_equal_secret(
            span_slice(page, 0, PAGE_SIGNED_SIZE), span_of(expected, sizeof(expected)))) {
        resource_invalid(
            search->op,
            NULL,
            "page",
            "Invalid page: pass the next_page of the answer before, with the same query.");
        return false;
    }
    search->page_below = id;
    return true;
}

static struct span
page_name(const struct search *search, struct span last)
{
    char name[PAGE_SIGNED_SIZE + ID_TEXT_SIZE];
    ASSERT(last.size > 0 && last.size < ID_TEXT_SIZE);
    page_sign(search, last, name);
    memcpy(name + PAGE_SIGNED_SIZE, last.data, last.size);
    return arena_copy(&search->op->arena, span_of(name, PAGE_SIGNED_SIZE + last.size));
}

/* ------------------------------------------------------------------------------- narrowing --- */

static bool
is_ascii(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char)text.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

static void
narrow_by_created(struct search *search, const struct resource_search_term *term)
{
    const struct resource_type *type = search->of->type;
    int64_t second = term->number;
    int64_t next = second < INT64_MAX ? second + 1 : second;
    switch (term->clause.operation) {
    case QUERY_EQUAL:
        resource_list_since(search->op, type, &search->list, second);
        resource_list_before(search->op, type, &search->list, next);
        break;
    case QUERY_GREATER:
        resource_list_since(search->op, type, &search->list, next);
        break;
    case QUERY_GREATER_EQUAL:
        resource_list_since(search->op, type, &search->list, second);
        break;
    case QUERY_LESS:
        resource_list_before(search->op, type, &search->list, second);
        break;
    case QUERY_LESS_EQUAL:
        resource_list_before(search->op, type, &search->list, next);
        break;
    case QUERY_CONTAINS:
        UNREACHABLE(); /* refused when it was bound */
    }
}

/* The first index that fits leads: lists walk one. */
static void
narrow_by_column(struct search *search, const struct resource_search_term *term)
{
    if (search->query.filter_count > 0 || term->member == NULL || term->member->column < 0 ||
        term->clause.operation != QUERY_EQUAL) {
        return;
    }
    uint32_t column = (uint32_t)term->member->column;
    const struct document_column *of = &search->of->type->kind->columns[column];
    bool as_it_is = term->field->kind == RESOURCE_SEARCH_ID;
    bool any_case =
        term->field->kind == RESOURCE_SEARCH_TEXT && of->any_case && is_ascii(term->clause.value);
    if (!of->indexed || of->across_scopes || !(as_it_is || any_case)) {
        return;
    }
    search->query.filters[search->query.filter_count++] = (struct document_filter){
        .column = column,
        .value.text = term->clause.value,
        .any_case = any_case,
    };
}

/* What all matches have in common, so that only such rows are read. The terms are still looked at:
 * this may leave more than matches, never less. */
static void
narrow(struct search *search)
{
    for (uint32_t i = 0; i < search->terms.count; i++) {
        const struct resource_search_term *term = &search->terms.terms[i];
        bool alone = !search->terms.any || search->terms.count == 1;
        if (!alone || term->clause.negated || term->clause.kind == QUERY_NULL) {
            continue;
        }
        if (span_equal_cstr(term->clause.field, "created")) {
            narrow_by_created(search, term);
        } else {
            narrow_by_column(search, term);
        }
    }
    search->query.range_column = UINT32_MAX;
    search->query.scope = search->op->caller.scope;
    search->query.id_above = search->list.id_above;
    search->query.id_below = search->list.id_below;
    /* To count all, all of them are looked at, not only those of the page. */
    bool has_page = search->page_below.size > 0 && !search->counts;
    if (has_page && (search->query.id_below.size == 0 ||
                     span_compare(search->page_below, search->query.id_below) < 0)) {
        search->query.id_below = search->page_below;
    }
}

/* ------------------------------------------------------------------------------- answering --- */

static err_t
render(struct search *search, struct span next_page, struct buf *body)
{
    struct json_writer json;
    json_begin(&json, body);
    json_object_begin(&json);
    json_member_cstr(&json, "object", "search_result");
    TRY(resource_list_render(search->op, search->of->type, &search->list, &json));
    json_member_bool(&json, "has_more", search->list.has_more);
    json_member_text_or_null(&json, "next_page", next_page);
    if (search->counts) {
        json_member_i64(&json, "total_count", search->counted);
    }
    json_member_cstr(&json, "url", search->of->url);
    json_object_end(&json);
    return ERR_OK;
}

static void
refuse_too_broad(struct search *search)
{
    resource_invalid(
        search->op,
        NULL,
        "query",
        "The %u newest of the %s that this query may match were looked at, which is as many as one "
        "request may, and %s. Narrow the query, for example with created<=%lld to look at older "
        "ones.",
        search->looked,
        search->of->objects,
        search->counts ? "there are more to count" : "none of them matched",
        (long long)search->last_created);
}

/* `complete`: there is nothing more to look at, or no need to. */
static void
end_search(struct search *search, bool complete)
{
    struct resource_list *list = &search->list;
    if (!complete && (search->counts || list->count == 0)) {
        refuse_too_broad(search);
        return;
    }
    struct span last = span_of(search->last, search->last_size);
    list->has_more = !complete;
    if (list->count > list->limit) {
        list->count = list->limit;
        list->has_more = true;
        last = ((const struct resource_header *)list->documents[list->limit - 1])->id;
    }
    struct span next_page = list->has_more ? page_name(search, last) : SPAN_EMPTY;
    struct buf body;
    resource_body_init(&body);
    err_t error = list->has_more && next_page.size == 0 ? ERR_FULL : ERR_OK;
    if (error == ERR_OK) {
        error = render(search, next_page, &body);
    }
    if (error != ERR_OK) {
        buf_release(&body);
        resource_internal(search->op, error, "search");
        return;
    }
    resource_answer(search->op, 200, &body);
}

/* ------------------------------------------------------------------------------- reading --- */

static err_t
look_at(struct search *search, const struct document_row *row)
{
    struct arena *scratch = &search->op->runtime->turn_arena;
    struct resource_list *list = &search->list;
    void *document;
    bool matches;
    arena_clear(scratch);
    err_t result = resource_row_decode(scratch, search->of->type, row, &document);
    if (result == ERR_CORRUPT) {
        resource_list_leave_out(search->op, search->of->type, list, row->id);
        return ERR_OK;
    }
    TRY(result);
    TRY(resource_search_match(&search->terms, document, scratch, &matches));
    search->last_created = ((const struct resource_header *)document)->created;
    if (!matches) {
        return ERR_OK;
    }
    if (search->counted < RESOURCE_SEARCH_COUNTED_MAX) {
        search->counted++;
    }
    bool in_page = search->page_below.size == 0 || span_compare(row->id, search->page_below) < 0;
    if (in_page && list->count <= list->limit) {
        TRY(resource_row_copy(
            &search->op->arena, search->of->type, row, &list->documents[list->count]));
        list->count++;
    }
    search->is_full = list->count > list->limit &&
                      (!search->counts || search->counted == RESOURCE_SEARCH_COUNTED_MAX);
    return ERR_OK;
}

static bool
look_at_row(void *context, const struct document_row *row)
{
    struct search *search = context;
    search->error = row->id.size < sizeof(search->last) ? look_at(search, row) : ERR_CORRUPT;
    if (search->error != ERR_OK) {
        return false;
    }
    memcpy(search->last, row->id.data, row->id.size);
    search->last_size = row->id.size;
    search->looked++;
    search->turn_is_over = !resource_turn_spend(search->op->runtime, row->body.size);
    return !search->is_full && !search->turn_is_over && search->looked < search->looked_max;
}

static void
read_turn(struct resource_op *op)
{
    struct search *search = resource_op_state(op);
    struct document_store *documents = op->runtime->documents;
    resource_transaction_read(op->runtime, op);
    if (search->last_size > 0) {
        search->query.id_below = span_of(search->last, search->last_size);
    }
    search->query.limit = RESOURCE_TURN_ROWS; /* no turn lasts longer */
    search->turn_is_over = false;
    err_t error = documents->ops->list(
        documents, search->of->type->kind, &search->query, look_at_row, search);
    if (error == ERR_OK) {
        error = search->error;
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "search");
        return;
    }
    if (search->is_full) {
        end_search(search, true);
    } else if (search->looked == search->looked_max) {
        end_search(search, false);
    } else if (search->turn_is_over) {
        resource_turn_wait(op, read_turn);
    } else {
        end_search(search, true);
    }
}

static bool
read_query(struct search *search)
{
    struct query query;
    struct span message;
    (void)resource_text(search->op, "query", &search->text);
    err_t error = query_parse(search->text, &search->op->arena, &query, &message);
    if (error == ERR_INVALID) {
        resource_invalid(search->op, NULL, "query", "%.*s", SPAN_PRINTF(message));
    } else if (error != ERR_OK) {
        resource_internal(search->op, error, "search query");
    }
    return error == ERR_OK && resource_search_bind(search->op, search->of, &query, &search->terms);
}

void
resource_answer_search(struct resource_op *op, const struct resource_search *of)
{
    ASSERT(op->route->answers_search && op->route->answers == of->type);
    struct search *search = ARENA_NEW(&op->arena, struct search);
    if (search == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    search->op = op;
    search->of = of;
    search->counts = resource_expand_child(op->expand, SPAN("total_count")) != NULL;
    search->looked_max = op->runtime->parts.settings.search_looked_max;
    if (search->looked_max == 0) {
        search->looked_max = RESOURCE_SEARCH_LOOKED_MAX;
    }
    if (!read_query(search) || !read_page(search) || !resource_list_begin(op, &search->list)) {
        return;
    }
    narrow(search);
    resource_op_set_state(op, search);
    resource_turn_wait(op, read_turn);
}
