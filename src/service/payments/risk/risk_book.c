/*
 * What merchants have set, kept in memory, so that who has set nothing is asked nothing. A book is
 * read from the documents when a payment needs it, and again when it may have changed: alone when
 * this process changed it (RISK-3), among several a second after it was read, for which answers of
 * changes wait.
 */
#include "risk.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* Merchants' modes that have a place of their own; others share them. */
#define BOOKS 4096
/* An answer of a change leaves when the books of others, read before it, are over. */
#define HOLD_NS (PAYMENTS_RISK_BOOK_NS + 100 * OS_NS_PER_MS)

struct payments_risk_books {
    struct payments_risk_book *books[BOOKS];
};

err_t
payments_risk_books_create(struct payments_risk_books **ret_books)
{
    *ret_books = calloc(1, sizeof(**ret_books));
    return *ret_books == NULL ? ERR_MEMORY : ERR_OK;
}

static void
book_release(struct payments_risk_book *book)
{
    free(book->rules);
    free(book->lists);
    memset(book, 0, sizeof(*book));
}

void
payments_risk_books_destroy(struct payments_risk_books **books)
{
    struct payments_risk_books *gone = *books;
    if (gone == NULL) {
        return;
    }
    *books = NULL;
    for (uint32_t i = 0; i < BOOKS; i++) {
        if (gone->books[i] != NULL) {
            book_release(gone->books[i]);
            free(gone->books[i]);
        }
    }
    free(gone);
}

/* --------------------------------------------------------------------------------- reading --- */

struct gathered {
    void *documents[DOCUMENT_LIST_MAX];
    uint32_t count;
};

static bool
gather(void *context, void *document)
{
    struct gathered *gathered = context;
    gathered->documents[gathered->count++] = document;
    return gathered->count < DOCUMENT_LIST_MAX;
}

static err_t
find_all(struct resource_op *op, const struct resource_type *type, struct gathered **ret_gathered)
{
    const struct document_query query = {
        .range_column = UINT32_MAX,
        .oldest_first = true,
        .limit = DOCUMENT_LIST_MAX,
    };
    struct gathered *gathered = ARENA_NEW(resource_op_arena(op), struct gathered);
    *ret_gathered = gathered;
    return gathered == NULL ? ERR_FULL : resource_find(op, type, &query, gather, gathered);
}

static void
copy_text(char *out, size_t size, struct span text)
{
    ASSERT(text.size < size);
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
}

static err_t
take_list(struct payments_risk_book *book, const struct payments_value_list *list)
{
    struct payments_risk_book_list *taken = &book->lists[book->list_count++];
    if (list->alias.size >= sizeof(taken->alias) || list->header.id.size >= sizeof(taken->id) ||
        !payments_risk_item_parse(list->item_type, &taken->item)) {
        return ERR_CORRUPT;
    }
    copy_text(taken->alias, sizeof(taken->alias), list->alias);
    copy_text(taken->id, sizeof(taken->id), list->header.id);
    taken->empty = list->items == 0;
    return ERR_OK;
}

/* The subject of what is counted has to be known, too. */
static void
want(struct payments_risk_book *book, uint32_t attribute)
{
    static const uint8_t subjects[PAYMENTS_RISK_SUBJECTS] = {
        [PAYMENTS_RISK_OF_CARD] = PAYMENTS_RISK_FINGERPRINT,
        [PAYMENTS_RISK_OF_CUSTOMER] = PAYMENTS_RISK_CUSTOMER,
        [PAYMENTS_RISK_OF_EMAIL] = PAYMENTS_RISK_EMAIL_ADDRESS,
        [PAYMENTS_RISK_OF_IP] = PAYMENTS_RISK_IP,
    };
    ASSERT(attribute < PAYMENTS_RISK_ATTRIBUTES);
    book->wanted |= UINT64_C(1) << attribute;
    if (attribute >= PAYMENTS_RISK_COUNTED) {
        uint32_t slot = (attribute - PAYMENTS_RISK_COUNTED) / PAYMENTS_RISK_WINDOWS;
        book->counted |= UINT32_C(1) << slot;
        book->wanted |= UINT64_C(1) << subjects[slot / PAYMENTS_RISK_MEASURES];
    }
}

static err_t
take_rule(struct payments_risk_book *book, const struct payments_risk_rule *rule)
{
    struct rule_problem problem;
    if (rule->disabled) {
        return ERR_OK;
    }
    struct payments_risk_book_rule *taken = &book->rules[book->rule_count++];
    if (rule->predicate.size > sizeof(taken->text) || rule->header.id.size >= sizeof(taken->id)) {
        return ERR_CORRUPT;
    }
    memcpy(taken->text, rule->predicate.data, rule->predicate.size);
    copy_text(taken->id, sizeof(taken->id), rule->header.id);
    err_t error = rule_parse(
        span_of(taken->text, rule->predicate.size),
        payments_risk_attributes,
        PAYMENTS_RISK_ATTRIBUTES,
        &taken->rule,
        &problem);
    if (error != ERR_OK) {
        return ERR_CORRUPT;
    }
    for (uint32_t i = 0; i < taken->rule.test_count; i++) {
        want(book, taken->rule.tests[i].attribute);
    }
    return ERR_OK;
}

static void
want_defaults(struct payments_risk_book *book)
{
    for (uint32_t i = 0; i < PAYMENTS_RISK_DEFAULTS; i++) {
        const struct payments_risk_default *one = &payments_risk_defaults[i];
        const char *const aliases[] = {one->blocks, one->allows};
        for (uint32_t j = 0; j < 2; j++) {
            const struct payments_risk_book_list *list =
                payments_risk_book_find(book, span_from_cstr(aliases[j]));
            if (list != NULL && !list->empty) {
                want(book, one->attribute);
            }
        }
    }
}

/* An array of nothing is allocated as one of one: NULL says that memory is out. */
static void *
array_of(uint32_t count, size_t size)
{
    return calloc(count == 0 ? 1 : count, size);
}

static err_t
read_book(struct resource_op *op, struct payments_risk_book *book)
{
    struct gathered *rules = NULL;
    struct gathered *lists = NULL;
    TRY(find_all(op, &payments_risk_rule_type, &rules));
    TRY(find_all(op, &payments_value_list_type, &lists));
    book->rules = array_of(rules->count, sizeof(*book->rules));
    book->lists = array_of(lists->count, sizeof(*book->lists));
    if (book->rules == NULL || book->lists == NULL) {
        return ERR_MEMORY;
    }
    for (uint32_t i = 0; i < lists->count; i++) {
        TRY(take_list(book, lists->documents[i]));
    }
    for (uint32_t i = 0; i < rules->count; i++) {
        TRY(take_rule(book, rules->documents[i]));
    }
    want_defaults(book);
    book->quiet = book->wanted == 0;
    return ERR_OK;
}

static bool
is_good(struct resource_op *op, const struct payments_risk_book *book, uint64_t scope)
{
    if (book->rules == NULL || book->scope != scope || book->stale) {
        return false;
    }
    return !resource_is_shared(resource_op_runtime(op)) ||
           resource_monotonic_ns(op) - book->read_ns < PAYMENTS_RISK_BOOK_NS;
}

err_t
payments_risk_book_of(struct resource_op *op, const struct payments_risk_book **ret_book)
{
    struct payments *payments = resource_op_service(op);
    uint64_t scope = resource_op_caller(op)->scope;
    struct payments_risk_book **place = &payments->risk_books->books[scope % BOOKS];
    if (*place == NULL) {
        *place = calloc(1, sizeof(**place));
    }
    struct payments_risk_book *book = *place;
    if (book == NULL) {
        return ERR_MEMORY;
    }
    if (!is_good(op, book, scope)) {
        book_release(book);
        book->read_ns = resource_monotonic_ns(op);
        err_t error = read_book(op, book);
        if (error != ERR_OK) {
            book_release(book);
            return error;
        }
        book->scope = scope;
    }
    *ret_book = book;
    return ERR_OK;
}

const struct payments_risk_book_list *
payments_risk_book_find(const struct payments_risk_book *book, struct span alias)
{
    for (uint32_t i = 0; i < book->list_count; i++) {
        if (span_equal_cstr(alias, book->lists[i].alias)) {
            return &book->lists[i];
        }
    }
    return NULL;
}

/* -------------------------------------------------------------------------------- changing --- */

struct change {
    struct payments_risk_books *books;
    uint64_t scope;
};

static void
changed(void *context)
{
    const struct change *change = context;
    struct payments_risk_book *book = change->books->books[change->scope % BOOKS];
    if (book != NULL) {
        book->stale = true;
    }
}

/* Until the operation has ended what it wrote may yet be taken back: so then once more. */
void
payments_risk_book_changes(struct resource_op *op)
{
    struct payments *payments = resource_op_service(op);
    struct change now = {
        .books = payments->risk_books,
        .scope = resource_op_caller(op)->scope,
    };
    struct change *later = ARENA_NEW(resource_op_arena(op), struct change);
    changed(&now);
    if (later != NULL) {
        *later = now;
        resource_op_on_end(op, changed, later);
    }
    if (resource_is_shared(resource_op_runtime(op))) {
        resource_op_hold_answer(op, HOLD_NS);
    }
}
