/*
 * Reading pages. A page is looked through whole, so a list costs by what it looks at, in turns with
 * other long reads (resource/pages.h).
 *
 * Entries are in the order in which they were answered, pages in that in which they were written:
 * that is the order of lists. A cursor is the id of a request, whose page is found first: behind
 * the time in the id, and not much.
 */
#include "requests_internal.h"

#include "base/assert.h"
#include "json/json.h"
#include "json/json_in.h"

#include <string.h>

#define LIMIT_DEFAULT 10
#define LIMIT_MAX     100
#define ROWS_AT_ONCE  64
/* Of one request: then it answers what it has, or is refused if it has nothing. */
#define LOOKED_MAX  (64U << 20)
#define ROW_EXTRA   256 /* what a row costs besides its text */
#define VALUES_MAX  16384
#define BODY_MAX    (1U << 20)
#define SKEW_MS     10000 /* of two machines' clocks */
#define SECOND_MAX  (INT64_C(1) << 37)
#define STATUS_MAX  599
#define ID_MARK_MAX (ID_TEXT_SIZE + 16)

struct look {
    struct resource_op *op;
    struct requests *requests;
    /* What is asked for. */
    uint32_t limit;
    bool toward_newer;
    bool alone; /* the entry of the cursor is the answer */
    struct span method, path, object, key;
    int64_t status_min, status_max;
    int64_t created_min, created_max;
    /* Where it is. The cursor is empty when it was found, or none was given. */
    struct span cursor;
    const char *cursor_param;
    bool seeks; /* the cursor's page */
    struct span id_above, id_below;
    struct span seek_above, seek_below; /* pages before are too old to have it, behind too young */
    char last[ID_TEXT_SIZE];
    size_t last_size;
    /* What this query has seen. */
    uint32_t rows;
    bool turn_is_over;
    bool is_full;
    uint64_t looked;
    int64_t last_created;
    err_t error;
    struct span found[LIMIT_MAX + 1];
    uint32_t count;
};

/* --------------------------------------------------------------------------------------- entries
 */

static int64_t
number_of(const struct json_value *entry, struct span name)
{
    int64_t number = 0;
    const struct json_value *member = json_value_member(entry, name);
    return member != NULL && json_value_i64(member, &number) == ERR_OK ? number : 0;
}

static bool
has_object(const struct json_value *entry, struct span id)
{
    const struct json_value *objects = json_value_member(entry, SPAN("objects"));
    const struct json_value *one = objects == NULL ? NULL : objects->first_child;
    for (; one != NULL; one = one->next) {
        if (span_equal(one->text, id)) {
            return true;
        }
    }
    return false;
}

static bool
matches(struct look *look, const struct json_value *entry)
{
    int64_t status = number_of(entry, SPAN("status"));
    int64_t created = number_of(entry, SPAN("created"));
    look->last_created = created;
    return status >= look->status_min && status <= look->status_max &&
           created >= look->created_min && created <= look->created_max &&
           (look->method.size == 0 ||
            span_equal(json_value_member_text(entry, SPAN("method")), look->method)) &&
           (look->path.size == 0 ||
            span_starts_with(json_value_member_text(entry, SPAN("path")), look->path)) &&
           (look->key.size == 0 ||
            span_equal(json_value_member_text(entry, SPAN("idempotency_key")), look->key)) &&
           (look->object.size == 0 || has_object(entry, look->object));
}

/* The entry's text: the writer leaves no space, so the next value begins behind a comma, and the
 * array ends behind the last. */
static struct span
raw_of(struct span entries, const struct json_value *entry)
{
    size_t end = entry->next != NULL ? entry->next->position - 1 : entries.size - 1;
    return span_slice(entries, entry->position, end);
}

static err_t
take(struct look *look, struct span raw)
{
    struct span copy = arena_copy(resource_op_arena(look->op), raw);
    if (copy.data == NULL) {
        return ERR_FULL;
    }
    look->found[look->count++] = copy;
    look->is_full = look->alone || look->count > look->limit;
    return ERR_OK;
}

/* ----------------------------------------------------------------------------------------- pages
 */

static err_t
read_entries(
    struct look *look,
    struct span text,
    const struct json_value *ret_entries[REQUESTS_PAGE_ENTRIES_MAX],
    uint32_t *ret_count)
{
    struct json_value *root;
    struct json_problem problem;
    arena_clear(&look->requests->scratch);
    TRY(json_read(text, &look->requests->scratch, VALUES_MAX, &root, &problem));
    if (root->kind != JSON_KIND_ARRAY || root->child_count > REQUESTS_PAGE_ENTRIES_MAX) {
        return ERR_CORRUPT;
    }
    *ret_count = 0;
    for (const struct json_value *one = root->first_child; one != NULL; one = one->next) {
        ret_entries[(*ret_count)++] = one;
    }
    return ERR_OK;
}

static bool
contains(struct span text, struct span part)
{
    return memmem(text.data, text.size, part.data, part.size) != NULL;
}

/* Entries behind the cursor's, which may be in this page; without one, all. */
static err_t
look_through(struct look *look, struct span text)
{
    const struct json_value *entries[REQUESTS_PAGE_ENTRIES_MAX];
    uint32_t count;
    TRY(read_entries(look, text, entries, &count));
    bool passed = look->cursor.size == 0;
    for (uint32_t i = 0; i < count && !look->is_full; i++) {
        const struct json_value *entry = entries[look->toward_newer ? i : count - 1 - i];
        bool is_cursor =
            !passed && span_equal(json_value_member_text(entry, SPAN("id")), look->cursor);
        if (is_cursor ? look->alone : passed && matches(look, entry)) {
            TRY(take(look, raw_of(text, entry)));
        }
        passed = passed || is_cursor;
    }
    return passed ? ERR_OK : ERR_NOT_FOUND;
}

/* The text of a page is searched before it is read: most have nothing of what is looked for. */
static bool
may_have(const struct look *look, struct span text)
{
    if (!look->seeks) {
        return look->object.size == 0 || contains(text, look->object);
    }
    char memory[ID_MARK_MAX];
    struct buf mark;
    buf_init_fixed(&mark, memory, sizeof(memory));
    buf_append_format(&mark, "\"id\":\"%.*s\"", SPAN_PRINTF(look->cursor));
    return !buf_failed(&mark) && contains(text, buf_span(&mark));
}

static void
note_looked(struct look *look, struct span id, size_t size)
{
    ASSERT(id.size < sizeof(look->last));
    memcpy(look->last, id.data, id.size);
    look->last_size = id.size;
    look->rows++;
    look->looked += size + ROW_EXTRA;
}

static void
pass_page(void *context, struct span id)
{
    struct look *look = context;
    note_looked(look, id, 0);
    resource_note_damaged(look->op, &requests_page_type, id);
}

static bool
each_page(void *context, void *document)
{
    struct look *look = context;
    const struct requests_page *page = document;
    note_looked(look, page->header.id, page->entries.size);
    look->turn_is_over =
        !resource_turn_spend(resource_op_runtime(look->op), page->entries.size + ROW_EXTRA);
    if (may_have(look, page->entries)) {
        look->error = look_through(look, page->entries);
        if (look->seeks && look->error == ERR_OK) {
            look->cursor = SPAN_EMPTY; /* it was here */
            look->seeks = false;
            return false;
        }
        if (look->error == ERR_NOT_FOUND) {
            look->error = ERR_OK;
        }
    }
    return look->error == ERR_OK && !look->turn_is_over && !look->is_full &&
           look->looked < LOOKED_MAX;
}

/* ------------------------------------------------------------------------------------- answering
 */

static void
answer_list(struct look *look, bool complete)
{
    struct buf body;
    struct json_writer json;
    uint32_t count = look->count < look->limit ? look->count : look->limit;
    if (!complete && look->count == 0) {
        resource_invalid(
            look->op,
            NULL,
            "created",
            "So many requests were looked at as one list may, and none of them is like that. Go on "
            "with older ones, by created[lte]=%lld, or ask for less.",
            (long long)look->last_created);
        return;
    }
    buf_init(&body, BODY_MAX);
    json_begin(&json, &body);
    json_object_begin(&json);
    json_member_cstr(&json, "object", "list");
    json_key(&json, "data");
    json_array_begin(&json);
    for (uint32_t i = 0; i < count; i++) {
        json_raw(&json, look->found[look->toward_newer ? count - 1 - i : i]);
    }
    json_array_end(&json);
    json_member_bool(&json, "has_more", !complete || look->count > look->limit);
    json_member_cstr(&json, "url", "/v1/request_logs");
    json_object_end(&json);
    resource_answer(look->op, 200, &body);
}

static void
answer(struct look *look, bool complete)
{
    if (look->seeks) {
        resource_missing(look->op, "request_log", look->cursor_param, look->cursor);
        return;
    }
    if (!look->alone) {
        answer_list(look, complete);
        return;
    }
    struct buf body;
    ASSERT(look->count == 1);
    buf_init(&body, BODY_MAX);
    buf_append_span(&body, look->found[0]);
    resource_answer(look->op, 200, &body);
}

static void
query_of(const struct look *look, struct document_query *query)
{
    bool oldest_first = look->seeks || look->toward_newer;
    *query = (struct document_query){
        .range_column = UINT32_MAX,
        .id_above = look->seeks ? look->seek_above : look->id_above,
        .id_below = look->seeks ? look->seek_below : look->id_below,
        .oldest_first = oldest_first,
        .limit = ROWS_AT_ONCE,
    };
    struct span last = span_of(look->last, look->last_size);
    if (last.size > 0 && oldest_first) {
        query->id_above = last;
    } else if (last.size > 0) {
        query->id_below = last;
    }
}

static void
look_on(struct resource_op *op)
{
    struct look *look = resource_op_state(op);
    const struct resource_visitor visitor = {
        .each = each_page, .damaged = pass_page, .context = look};
    bool sought;
    do {
        struct document_query query;
        sought = look->seeks;
        look->rows = 0;
        look->turn_is_over = false;
        query_of(look, &query);
        err_t error = resource_look(op, &requests_page_type, &query, &visitor);
        if (error == ERR_OK) {
            error = look->error;
        }
        if (error != ERR_OK) {
            resource_internal(op, error, "the log of requests");
            return;
        }
    } while (!look->turn_is_over && !look->is_full && look->looked < LOOKED_MAX &&
             (look->rows == ROWS_AT_ONCE || sought != look->seeks));
    if (look->is_full) {
        answer(look, true);
    } else if (look->looked >= LOOKED_MAX) {
        answer(look, false);
    } else if (look->turn_is_over) {
        resource_turn_wait(op, look_on);
    } else {
        answer(look, true);
    }
}

/* --------------------------------------------------------------------------------------- reading
 */

/* Where the cursor's page is: behind its time, as long as a request may take. False: it is no id of
 * a request. */
static bool
seek(struct look *look, const char *param, struct span id)
{
    u128 number;
    if (!id_parse("req_", id, &number)) {
        resource_missing(look->op, "request_log", param, id);
        return false;
    }
    int64_t unix_ms = (int64_t)id_unix_ms(number);
    look->seeks = true;
    look->cursor = id;
    look->cursor_param = param;
    look->seek_above = requests_page_floor(look->op, unix_ms - SKEW_MS);
    look->seek_below = requests_page_floor(look->op, unix_ms + REQUESTS_LATE_MS);
    return true;
}

static void
read_created(struct look *look)
{
    int64_t second;
    look->created_min = 0;
    look->created_max = SECOND_MAX;
    if (resource_integer(look->op, "created", &second)) {
        look->created_min = second;
        look->created_max = second;
    }
    if (resource_integer(look->op, "created[gte]", &second)) {
        look->created_min = second;
    }
    if (resource_integer(look->op, "created[gt]", &second) && second < SECOND_MAX) {
        look->created_min = second + 1;
    }
    if (resource_integer(look->op, "created[lte]", &second) && second < look->created_max) {
        look->created_max = second;
    }
    if (resource_integer(look->op, "created[lt]", &second) && second <= look->created_max) {
        look->created_max = second - 1;
    }
}

/* "402", "4xx", "succeeded" or "failed". */
static bool
read_status(struct look *look)
{
    struct span text = SPAN_EMPTY;
    uint64_t number;
    look->status_min = 0;
    look->status_max = STATUS_MAX;
    (void)resource_text(look->op, "status", &text);
    if (text.size == 0) {
        return true;
    }
    if (span_equal(text, SPAN("succeeded"))) {
        look->status_max = 399;
        return true;
    }
    if (span_equal(text, SPAN("failed"))) {
        look->status_min = 400;
        return true;
    }
    if (text.size == 3 && text.data[0] >= '1' && text.data[0] <= '5') {
        if (span_ends_with(text, SPAN("xx"))) {
            look->status_min = (int64_t)(text.data[0] - '0') * 100;
            look->status_max = look->status_min + 99;
            return true;
        }
        if (span_parse_u64(text, &number)) {
            look->status_min = (int64_t)number;
            look->status_max = (int64_t)number;
            return true;
        }
    }
    resource_invalid(look->op, NULL, "status", "A status is like 402, 4xx, succeeded or failed.");
    return false;
}

static bool
read_cursor(struct look *look)
{
    struct span after = SPAN_EMPTY;
    struct span before = SPAN_EMPTY;
    (void)resource_text(look->op, "starting_after", &after);
    (void)resource_text(look->op, "ending_before", &before);
    if (after.size > 0 && before.size > 0) {
        resource_invalid(
            look->op,
            "parameters_exclusive",
            "starting_after",
            "You may only specify one of these parameters: ending_before, starting_after.");
        return false;
    }
    look->toward_newer = before.size > 0;
    if (after.size > 0) {
        return seek(look, "starting_after", after);
    }
    return before.size == 0 || seek(look, "ending_before", before);
}

static bool
read_list(struct look *look)
{
    int64_t limit;
    look->limit = LIMIT_DEFAULT;
    if (resource_integer(look->op, "limit", &limit)) {
        ASSERT(limit >= 1 && limit <= LIMIT_MAX);
        look->limit = (uint32_t)limit;
    }
    (void)resource_text(look->op, "method", &look->method);
    (void)resource_text(look->op, "path", &look->path);
    (void)resource_text(look->op, "object", &look->object);
    (void)resource_text(look->op, "idempotency_key", &look->key);
    read_created(look);
    if (!read_status(look)) {
        return false;
    }
    if (look->created_min > 0) {
        look->id_above = requests_page_floor(look->op, look->created_min * 1000 - SKEW_MS);
    }
    if (look->created_max < SECOND_MAX) {
        look->id_below =
            requests_page_floor(look->op, (look->created_max + 1) * 1000 + REQUESTS_LATE_MS);
    }
    return read_cursor(look);
}

static struct look *
look_new(struct resource_op *op)
{
    struct look *look = ARENA_NEW(resource_op_arena(op), struct look);
    if (look == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return NULL;
    }
    look->op = op;
    look->requests = resource_op_service(op);
    resource_op_set_state(op, look);
    return look;
}

/* What was answered before is there to be read. */
static void
begin(struct look *look)
{
    requests_flush(look->requests, resource_op_caller(look->op)->scope);
    resource_turn_wait(look->op, look_on);
}

void
requests_list(struct resource_op *op)
{
    struct look *look = look_new(op);
    if (look != NULL && read_list(look)) {
        begin(look);
    }
}

void
requests_retrieve(struct resource_op *op)
{
    struct look *look = look_new(op);
    if (look != NULL) {
        look->alone = true;
        if (seek(look, "id", resource_op_capture(op, 0))) {
            begin(look);
        }
    }
}
