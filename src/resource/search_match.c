#include "scan.h"
#include "search.h"

#include "base/assert.h"

#include <string.h>

#define SHOWN_MAX 100 /* bytes of a name in an error */

/* ------------------------------------------------------------------------------- binding --- */

static const struct resource_search_field *
field_find(const struct resource_search *search, struct span name)
{
    for (uint32_t i = 0; i < search->field_count; i++) {
        if (span_equal_cstr(name, search->fields[i].name)) {
            return &search->fields[i];
        }
    }
    return NULL;
}

static bool
refuse_field(
    struct resource_op *op, const struct resource_search *search, const struct query_clause *clause)
{
    char names[800];
    struct buf text;
    buf_init_fixed(&text, names, sizeof(names));
    for (uint32_t i = 0; i < search->field_count; i++) {
        buf_append_cstr(&text, i == 0 ? "" : ", ");
        buf_append_cstr(&text, search->fields[i].name);
    }
    struct span shown = span_slice(clause->field, 0, SHOWN_MAX);
    resource_invalid(
        op,
        NULL,
        "query",
        "Field `%.*s` at character %u is an unsupported search field for resource `%s`. Supported "
        "fields: %.*s.",
        SPAN_PRINTF(shown),
        clause->character,
        search->objects,
        SPAN_PRINTF(buf_span(&text)));
    return false;
}

/* "Field `amount` at character 8 <problem>." */
static bool
refuse_clause(struct resource_op *op, const struct query_clause *clause, const char *problem)
{
    resource_invalid(
        op,
        NULL,
        "query",
        "Field `%.*s` at character %u %s.",
        SPAN_PRINTF(clause->field),
        clause->character,
        problem);
    return false;
}

static bool
check_brackets(struct resource_op *op, const struct resource_search_term *term)
{
    bool has_key = term->clause.key.data != NULL;
    if (term->field->kind == RESOURCE_SEARCH_METADATA) {
        return has_key ? true
                       : refuse_clause(
                             op, &term->clause, "needs a key, as in metadata[\"key\"]:\"value\"");
    }
    return has_key ? refuse_clause(op, &term->clause, "has no keys in brackets") : true;
}

/* What the operator and the value must be for the field's kind. */
static bool
check_kind(struct resource_op *op, struct resource_search_term *term)
{
    const struct query_clause *clause = &term->clause;
    bool equal = clause->operation == QUERY_EQUAL;
    switch (term->field->kind) {
    case RESOURCE_SEARCH_TEXT:
    case RESOURCE_SEARCH_METADATA:
        return equal || clause->operation == QUERY_CONTAINS
                   ? true
                   : refuse_clause(op, clause, "is a text, which goes with : and ~ only");
    case RESOURCE_SEARCH_ID:
        return equal ? true : refuse_clause(op, clause, "is an id, which goes with : only");
    case RESOURCE_SEARCH_BOOLEAN:
        if (!equal) {
            return refuse_clause(op, clause, "is true or false, which goes with : only");
        }
        if (clause->kind == QUERY_NULL || span_equal_cstr(clause->value, "true") ||
            span_equal_cstr(clause->value, "false")) {
            return true;
        }
        return refuse_clause(op, clause, "is either true or false");
    case RESOURCE_SEARCH_NUMBER:
        if (clause->operation == QUERY_CONTAINS) {
            return refuse_clause(op, clause, "is a number, which goes with : > >= < <= only");
        }
        if (clause->kind == QUERY_NULL || span_parse_i64(clause->value, &term->number)) {
            return true;
        }
        return refuse_clause(op, clause, "is compared with whole numbers of at most 18 digits");
    }
    UNREACHABLE();
}

/* Finds what the field reads: its first part in the type's table, the others in its JSON. */
static void
locate(const struct resource_type *type, struct resource_search_term *term)
{
    struct span rest = span_from_cstr(term->field->name);
    struct span first = span_cut(&rest, '.');
    if (term->field->show != NULL || span_equal_cstr(first, "created")) {
        return;
    }
    for (uint32_t i = 0; i < type->field_count && term->member == NULL; i++) {
        if (span_equal_cstr(first, type->fields[i].name)) {
            term->member = &type->fields[i];
        }
    }
    ASSERT(term->member != NULL); /* a table that names a field which the type does not have */
    ASSERT(rest.size == 0 || term->member->kind == RESOURCE_FIELD_JSON);
    term->path = rest;
}

static bool
bind_term(
    struct resource_op *op, const struct resource_search *search, struct resource_search_term *term)
{
    term->field = field_find(search, term->clause.field);
    if (term->field == NULL) {
        return refuse_field(op, search, &term->clause);
    }
    if (!check_brackets(op, term) || !check_kind(op, term)) {
        return false;
    }
    locate(search->type, term);
    size_t size = term->clause.value.size;
    char *folded = size == 0 ? NULL : arena_alloc(&op->arena, size);
    if (size > 0 && folded == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return false;
    }
    query_fold(term->clause.value, folded);
    term->folded = span_of(folded, size);
    return true;
}

bool
resource_search_bind(
    struct resource_op *op,
    const struct resource_search *search,
    const struct query *query,
    struct resource_search_terms *ret_terms)
{
    ret_terms->any = query->any;
    ret_terms->count = query->count;
    for (uint32_t i = 0; i < query->count; i++) {
        ret_terms->terms[i] = (struct resource_search_term){.clause = query->clauses[i]};
        if (!bind_term(op, search, &ret_terms->terms[i])) {
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------------------- reading --- */

/* What a field holds in one object. */
struct held {
    bool is_set;
    struct span text; /* numbers inside JSON too, as their digits */
    int64_t number;   /* of NUMBER */
};

/* The member of a JSON object, as it is written; empty if it is not there. */
static err_t
member_find(struct span object, struct span name, struct arena *arena, struct span *ret_raw)
{
    *ret_raw = SPAN_EMPTY;
    if (object.size == 0 || object.data[0] != '{') {
        return ERR_OK;
    }
    struct resource_scan scan = resource_scan_of(object);
    struct span found, raw;
    bool first = true;
    err_t error;
    while (resource_scan_member(&scan, arena, &first, &found, &error)) {
        TRY(resource_scan_value(&scan, &raw));
        if (span_equal(found, name)) {
            *ret_raw = raw;
            return ERR_OK;
        }
    }
    return error;
}

/* A JSON value as a text; null, and what has members of its own, is not set. */
static err_t
hold_json(struct span raw, struct arena *arena, struct held *ret_held)
{
    char first = raw.size == 0 ? '{' : raw.data[0];
    if (first == '{' || first == '[' || span_equal_cstr(raw, "null")) {
        return ERR_OK;
    }
    ret_held->text = raw;
    if (first == '"') {
        struct resource_scan scan = resource_scan_of(raw);
        TRY(resource_scan_text(&scan, arena, &ret_held->text));
    }
    ret_held->is_set = ret_held->text.size > 0;
    return ERR_OK;
}

static err_t
hold_inside(
    const struct resource_search_term *term,
    struct span json,
    struct arena *arena,
    struct held *ret_held)
{
    if (term->field->kind == RESOURCE_SEARCH_METADATA) {
        TRY(member_find(json, term->clause.key, arena, &json));
        return hold_json(json, arena, ret_held);
    }
    struct span rest = term->path;
    while (rest.size > 0) {
        struct span name = span_cut(&rest, '.');
        TRY(member_find(json, name, arena, &json));
    }
    TRY(hold_json(json, arena, ret_held));
    if (term->field->kind == RESOURCE_SEARCH_NUMBER && ret_held->is_set) {
        ret_held->is_set = span_parse_i64(ret_held->text, &ret_held->number);
    }
    return ERR_OK;
}

static err_t
hold(
    const struct resource_search_term *term,
    const void *document,
    struct arena *arena,
    struct held *ret_held)
{
    *ret_held = (struct held){.is_set = false};
    if (term->field->show != NULL) {
        ret_held->text = term->field->show(document);
        ret_held->is_set = ret_held->text.size > 0;
        return ERR_OK;
    }
    if (term->member == NULL) {
        ret_held->number = ((const struct resource_header *)document)->created;
        ret_held->is_set = true;
        return ERR_OK;
    }
    const char *at = (const char *)document + term->member->offset;
    switch (term->member->kind) {
    case RESOURCE_FIELD_TEXT:
        ret_held->text = *(const struct span *)(const void *)at;
        ret_held->is_set = ret_held->text.size > 0;
        return ERR_OK;
    case RESOURCE_FIELD_INTEGER:
        ret_held->number = *(const int64_t *)(const void *)at;
        ret_held->is_set = true;
        return ERR_OK;
    case RESOURCE_FIELD_BOOLEAN:
        ret_held->text = *(const bool *)(const void *)at ? SPAN("true") : SPAN("false");
        ret_held->is_set = true;
        return ERR_OK;
    case RESOURCE_FIELD_JSON:
        return hold_inside(term, *(const struct span *)(const void *)at, arena, ret_held);
    }
    UNREACHABLE();
}

/* ------------------------------------------------------------------------------- comparing --- */

/* Without regard to case, equal texts have equal sizes. */
static err_t
text_matches(
    const struct resource_search_term *term,
    struct span text,
    struct arena *arena,
    bool *ret_matches)
{
    bool equal = term->clause.operation == QUERY_EQUAL;
    *ret_matches = false;
    if (equal ? text.size != term->folded.size : text.size < term->folded.size) {
        return ERR_OK;
    }
    char *folded = arena_alloc(arena, text.size);
    if (folded == NULL) {
        return ERR_FULL;
    }
    query_fold(text, folded);
    *ret_matches = memmem(folded, text.size, term->folded.data, term->folded.size) != NULL;
    return ERR_OK;
}

static bool
number_matches(const struct resource_search_term *term, int64_t number)
{
    switch (term->clause.operation) {
    case QUERY_EQUAL:
        return number == term->number;
    case QUERY_GREATER:
        return number > term->number;
    case QUERY_GREATER_EQUAL:
        return number >= term->number;
    case QUERY_LESS:
        return number < term->number;
    case QUERY_LESS_EQUAL:
        return number <= term->number;
    case QUERY_CONTAINS:
        break; /* refused when it was bound */
    }
    UNREACHABLE();
}

static err_t
term_holds(
    const struct resource_search_term *term,
    const void *document,
    struct arena *arena,
    bool *ret_holds)
{
    struct held held;
    bool holds = false;
    TRY(hold(term, document, arena, &held));
    if (term->clause.kind == QUERY_NULL) {
        holds = !held.is_set;
    } else if (held.is_set) {
        switch (term->field->kind) {
        case RESOURCE_SEARCH_TEXT:
        case RESOURCE_SEARCH_METADATA:
            TRY(text_matches(term, held.text, arena, &holds));
            break;
        case RESOURCE_SEARCH_ID:
        case RESOURCE_SEARCH_BOOLEAN:
            holds = span_equal(held.text, term->clause.value);
            break;
        case RESOURCE_SEARCH_NUMBER:
            holds = number_matches(term, held.number);
            break;
        }
    }
    *ret_holds = holds != term->clause.negated;
    return ERR_OK;
}

err_t
resource_search_match(
    const struct resource_search_terms *terms,
    const void *document,
    struct arena *arena,
    bool *ret_matches)
{
    ASSERT(terms->count > 0);
    for (uint32_t i = 0; i < terms->count; i++) {
        bool holds;
        TRY(term_holds(&terms->terms[i], document, arena, &holds));
        /* The first that decides: one that holds for "any", one that does not for "all". */
        if (holds == terms->any) {
            *ret_matches = holds;
            return ERR_OK;
        }
    }
    *ret_matches = !terms->any;
    return ERR_OK;
}
