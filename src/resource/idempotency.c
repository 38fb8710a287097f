/*
 * Idempotency keys: one effect for each, in a merchant's mode.
 *
 * While an operation with a key is under way it is in runtime->running. Its row is written when it
 * ends, in the transaction of what it did (RESOURCE-3); before that only if it is about to reach
 * outside: then the row says running, so that after a crash the key is still taken, until whoever
 * ends the attempt finishes it (resource_adopt_key).
 *
 * Rows are found through the number of the key, 63 bits of its SHA-256, because a short index
 * fills slower than one of texts; the text in the row decides. Among processes that share the
 * documents the number is unique: of two that take a key at once, one loses, runs again, and finds
 * it taken.
 *
 * Publishable keys, which everybody who opens a shop's page has, have keys apart: theirs have a
 * mark in front, which HTTP lets nobody send. So they take none that the merchant means to use, and
 * are not told what the merchant's own requests were answered. Secret and restricted keys have
 * theirs together: a request that is repeated with another of them must not pay twice. A restricted
 * one is told the answer if it may make the request itself, with what it expands.
 *
 * An answer that an event of the operation shows, byte for byte, is kept as the event's id, if
 * events outlive keys: it is most of a payment's row, which would be written small, grow, and split
 * the pages it is in. Not among processes that share the documents, which may be of several
 * versions.
 */
#include "event.h"

#include "runtime.h"

#include "base/assert.h"

#include <string.h>

#define PURGE_ROWS_MAX  500
#define DAY_NS          (UINT64_C(86400) * OS_NS_PER_S)
#define SAME_NUMBER_MAX 8 /* keys that share 63 bits: more is not chance */
/* No byte of a field's value (RFC 9110 section 5.5). */
#define PUBLISHABLE_MARK '\x01'

#define FIELD(member, kind_, column_)                                                              \
    {                                                                                              \
        .name = #member, .kind = kind_,                                                            \
        .offset = offsetof(struct resource_idempotency_row, member), .column = column_             \
    }

enum {
    COLUMN_KEY_NUMBER,
    COLUMN_EXPIRES
};

const struct document_kind resource_idempotency_kind = {
    .name = "idempotency_key",
    .columns =
        {{"key_number", DOCUMENT_INTEGER, .indexed = true, .unique = true},
         {"expires", DOCUMENT_INTEGER, .indexed = true, .across_scopes = true}},
    .column_count = 2,
};
static const struct resource_field row_fields[] = {
    FIELD(key, RESOURCE_FIELD_TEXT, -1),
    FIELD(key_number, RESOURCE_FIELD_INTEGER, COLUMN_KEY_NUMBER),
    FIELD(hash, RESOURCE_FIELD_TEXT, -1),
    FIELD(request_id, RESOURCE_FIELD_TEXT, -1),
    FIELD(running, RESOURCE_FIELD_BOOLEAN, -1),
    FIELD(status, RESOURCE_FIELD_INTEGER, -1),
    FIELD(response, RESOURCE_FIELD_JSON, -1),
    FIELD(answer_event, RESOURCE_FIELD_TEXT, -1),
    FIELD(expires, RESOURCE_FIELD_INTEGER, COLUMN_EXPIRES),
};
const struct resource_type resource_idempotency_type = {
    .object = "idempotency_key",
    .prefix = "idk_",
    .kind = &resource_idempotency_kind,
    .fields = row_fields,
    .field_count = sizeof(row_fields) / sizeof(row_fields[0]),
    .struct_size = sizeof(struct resource_idempotency_row),
};

/* ------------------------------------------------------------------------------ memory and row */

static uint64_t
running_hash(const struct resource_op *op, struct span key)
{
    return hash_keyed(op->runtime->hash_key, key) ^ hash_u64(op->caller.scope);
}

static bool
is_running(const struct resource_op *op, struct span key)
{
    for (struct map_link *link = map_find(&op->runtime->running, running_hash(op, key));
         link != NULL;
         link = map_next(link)) {
        const struct resource_op *other = CONTAINER_OF(link, struct resource_op, idempotency.link);
        if (other->caller.scope == op->caller.scope && span_equal(other->idempotency.key, key)) {
            return true;
        }
    }
    return false;
}

static err_t
enter(struct resource_op *op, struct span key, enum resource_idempotency_state state)
{
    ASSERT(op->idempotency.state == RESOURCE_IDEMPOTENCY_NONE);
    op->idempotency.key = key;
    TRY(map_insert(&op->runtime->running, running_hash(op, key), &op->idempotency.link));
    op->idempotency.state = state;
    return ERR_OK;
}

void
resource_idempotency_release(struct resource_op *op)
{
    if (op->idempotency.state != RESOURCE_IDEMPOTENCY_NONE) {
        map_remove(&op->runtime->running, &op->idempotency.link);
        op->idempotency.state = RESOURCE_IDEMPOTENCY_NONE;
    }
}

static bool
is_marked(struct span key)
{
    return key.size > 0 && key.data[0] == PUBLISHABLE_MARK;
}

/* What the caller's key is called in memory and in its row; empty: no memory. */
static struct span
key_name(struct resource_op *op, struct span key)
{
    if (op->caller.key_kind != RESOURCE_KEY_PUBLISHABLE) {
        return key;
    }
    return arena_format(&op->arena, "%c%.*s", PUBLISHABLE_MARK, SPAN_PRINTF(key));
}

static struct span
key_shown(struct span name)
{
    return is_marked(name) ? span_slice(name, 1, name.size) : name;
}

static int64_t
key_number(struct span key)
{
    uint8_t hash[RESOURCE_HASH_SIZE];
    resource_sha256(key, hash);
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++) {
        number = number << 8 | hash[i];
    }
    number >>= 1;
    return number == 0 ? 1 : (int64_t)number; /* a zero would not be in the index */
}

struct row_search {
    struct span key;
    struct resource_idempotency_row *found;
};

static bool
row_matches(void *context, void *document)
{
    struct row_search *search = context;
    struct resource_idempotency_row *row = document;
    if (span_equal(row->key, search->key)) {
        search->found = row;
        return false;
    }
    return true;
}

static struct document_query
row_query(const struct resource_op *op, int64_t number)
{
    return (struct document_query){
        .scope = op->caller.scope,
        .range_column = UINT32_MAX,
        .filter_count = 1,
        .filters = {{.column = COLUMN_KEY_NUMBER, .value.integer = number}},
        .limit = SAME_NUMBER_MAX,
    };
}

bool
resource_idempotency_wish(struct resource_op *op, struct document_query *ret_query)
{
    struct span key = op->request->idempotency_key;
    if (strcmp(op->route->method, "POST") != 0 || key.data == NULL || key.size == 0 ||
        key.size > RESOURCE_IDEMPOTENCY_MAX) {
        return false;
    }
    *ret_query = row_query(op, key_number(key_name(op, key)));
    return true;
}

/* *ret_row is NULL if there is none. */
static err_t
row_find(
    struct resource_op *op,
    struct span key,
    const struct document_query *query,
    struct resource_idempotency_row **ret_row)
{
    struct row_search search = {.key = key};
    TRY(resource_find(op, &resource_idempotency_type, query, row_matches, &search));
    *ret_row = search.found;
    return ERR_OK;
}

/* ---------------------------------------------------------------------------------------- begin */

static void
refuse(struct resource_op *op, int status, const char *code, struct span message)
{
    struct resource_error error = {
        .status = status,
        .type = "idempotency_error",
        .code = code,
        .message = message,
    };
    resource_fail(op, &error);
}

static void
refuse_running(struct resource_op *op, struct span key)
{
    struct span message = arena_format(
        &op->arena,
        "There is currently another in-progress request using this idempotency key (that probably "
        "means you submitted twice, and the other request is still going through): %.*s. Please "
        "try again later.",
        SPAN_PRINTF(key_shown(key)));
    refuse(op, 409, "idempotency_key_in_use", message);
}

static err_t
kept_answer(
    struct resource_op *op, const struct resource_idempotency_row *row, struct span *ret_answer)
{
    if (row->answer_event.size == 0) {
        *ret_answer = row->response;
        return ERR_OK;
    }
    void *event;
    TRY(resource_load(op, &resource_event_type, row->answer_event, &event));
    *ret_answer = ((const struct resource_event *)event)->object;
    return ERR_OK;
}

static void
replay(struct resource_op *op, const struct resource_idempotency_row *row)
{
    struct resource_request *request = op->request;
    struct span answer;
    err_t error = kept_answer(op, row, &answer);
    if (error != ERR_OK) {
        resource_internal(op, error, "the event that has the answer");
        return;
    }
    struct buf body;
    buf_init(&body, RESOURCE_BODY_LIMIT);
    buf_append_span(&body, answer);
    if (buf_failed(&body)) {
        buf_release(&body);
        resource_internal(op, ERR_MEMORY, "replayed answer");
        return;
    }
    request->replayed = true;
    size_t size = row->request_id.size;
    if (size < sizeof(request->original_request_id)) {
        memcpy(request->original_request_id, row->request_id.data, size);
        request->original_request_id[size] = '\0';
    }
    resource_op_end(op, (int)row->status, &body);
}

static bool
key_is_valid(struct resource_op *op, struct span key)
{
    if (key.size == 0) {
        refuse(op, 400, NULL, SPAN("The idempotency key must not be empty."));
        return false;
    }
    if (key.size > RESOURCE_IDEMPOTENCY_MAX) {
        struct span message = arena_format(
            &op->arena,
            "The idempotency key is too long: it has %zu characters, at most %d are allowed.",
            key.size,
            RESOURCE_IDEMPOTENCY_MAX);
        refuse(op, 400, NULL, message);
        return false;
    }
    if (!span_is_utf8(key) || is_marked(key)) {
        refuse(op, 400, NULL, SPAN("The idempotency key must be UTF-8 text."));
        return false;
    }
    return true;
}

/* The answer may be another key's, which was shown what it had asked to be expanded. False: the
 * operation was answered. */
static bool
may_see_answer(struct resource_op *op)
{
    return op->caller.key_kind != RESOURCE_KEY_RESTRICTED ||
           (resource_params_check(op) && resource_expand_check(op));
}

/* What the key's row means for this request; true: go on as new. */
static bool
meet_row(struct resource_op *op, struct resource_idempotency_row *row, struct span key)
{
    if (row->expires <= (int64_t)resource_now_s(op)) {
        err_t result = resource_remove(op, &resource_idempotency_type, row);
        if (result != ERR_OK) {
            resource_internal(op, result, "idempotency key");
        }
        return result == ERR_OK;
    }
    if (!span_equal_cstr(row->hash, op->idempotency.hash)) {
        struct span message = arena_format(
            &op->arena,
            "Keys for idempotent requests can only be used with the same parameters they were "
            "first used with. Try using a key other than '%.*s' if you meant to execute a "
            "different request.",
            SPAN_PRINTF(key_shown(key)));
        refuse(op, 400, NULL, message);
    } else if (row->running) {
        refuse_running(op, key);
    } else if (may_see_answer(op)) {
        replay(op, row);
    }
    return false;
}

bool
resource_idempotency_begin(struct resource_op *op)
{
    struct span key = op->request->idempotency_key;
    if (strcmp(op->route->method, "POST") != 0 || key.data == NULL) {
        return true;
    }
    if (!key_is_valid(op, key)) {
        return false;
    }
    key = key_name(op, key);
    if (key.size == 0) {
        resource_internal(op, ERR_FULL, "request memory");
        return false;
    }
    if (is_running(op, key)) {
        refuse_running(op, key);
        return false;
    }
    struct resource_idempotency_row *row = NULL;
    op->idempotency.number = key_number(key);
    err_t result = resource_idempotency_hash(op);
    if (result == ERR_OK) {
        struct document_query query = row_query(op, op->idempotency.number);
        result = row_find(op, key, &query, &row);
    }
    if (result != ERR_OK) {
        resource_internal(op, result, "idempotency key");
        return false;
    }
    if (row != NULL && !meet_row(op, row, key)) {
        return false;
    }
    result = enter(op, key, RESOURCE_IDEMPOTENCY_NEW);
    if (result != ERR_OK) {
        resource_internal(op, result, "idempotency key");
        return false;
    }
    return true;
}

/*
 * RESOURCE-13: another process may have begun the same request after this one had looked for its
 * row: what this one is refused for may be that one's doing. A refusal of a new key is therefore
 * told when its row is still not there, asked for behind all that the refusal rests on. The limit
 * is another than that of the first look, whose answer the store may still have.
 */
bool
resource_idempotency_overtaken(struct resource_op *op)
{
    struct resource_idempotency_row *row = NULL;
    if (op->runtime->shared == NULL || op->idempotency.state != RESOURCE_IDEMPOTENCY_NEW) {
        return false;
    }
    struct span key = op->idempotency.key;
    struct document_query query = row_query(op, op->idempotency.number);
    query.limit = SAME_NUMBER_MAX + 1;
    err_t result = row_find(op, key, &query, &row);
    if (result == ERR_OK && row == NULL) {
        return false;
    }
    resource_idempotency_release(op);
    if (result != ERR_OK) {
        resource_internal(op, result, "idempotency key");
        return true;
    }
    return !meet_row(op, row, key);
}

/* ------------------------------------------------------------------------------- running, finished
 */

static err_t
row_create(struct resource_op *op)
{
    struct resource_idempotency_row *row = resource_new(op, &resource_idempotency_type);
    if (row == NULL) {
        return ERR_FULL;
    }
    row->key = op->idempotency.key;
    row->key_number = op->idempotency.number;
    row->hash = span_from_cstr(op->idempotency.hash);
    row->request_id = span_from_cstr(op->request->request_id);
    row->expires =
        (int64_t)(resource_now_s(op) + op->runtime->parts.settings.idempotency_keep_ns / OS_NS_PER_S);
    op->idempotency.row = row;
    return ERR_OK;
}

err_t
resource_idempotency_announce(struct resource_op *op)
{
    if (op->idempotency.state != RESOURCE_IDEMPOTENCY_NEW ||
        (op->route->flags & RESOURCE_OUTSIDE_EFFECTS) == 0) {
        return ERR_OK;
    }
    TRY(row_create(op));
    op->idempotency.row->running = true;
    TRY(resource_save(op, &resource_idempotency_type, op->idempotency.row));
    op->idempotency.state = RESOURCE_IDEMPOTENCY_RUNNING;
    return ERR_OK;
}

/* Whether the key may leave it to the newest event to keep this answer. */
static bool
event_keeps(const struct resource_op *op, struct span answer)
{
    const struct resource_runtime *runtime = op->runtime;
    const struct resource_settings *settings = &runtime->parts.settings;
    uint64_t needed_ns = settings->idempotency_keep_ns + DAY_NS;
    return runtime->shared == NULL && settings->event_keep_ns >= needed_ns &&
           needed_ns <= (uint64_t)RESOURCE_ANSWER_EVENT_S * OS_NS_PER_S &&
           op->emitted_document != NULL && span_equal(answer, op->emitted_text);
}

err_t
resource_idempotency_finish(struct resource_op *op, int status, struct span response)
{
    if (op->idempotency.state == RESOURCE_IDEMPOTENCY_NONE) {
        return ERR_OK;
    }
    if (op->idempotency.state == RESOURCE_IDEMPOTENCY_NEW) {
        TRY(row_create(op));
    }
    struct resource_idempotency_row *row = op->idempotency.row;
    row->running = false;
    row->status = status;
    if (event_keeps(op, response)) {
        row->answer_event = op->emitted_id;
    } else {
        row->response = response;
    }
    TRY(resource_save(op, &resource_idempotency_type, row));
    resource_idempotency_release(op);
    return ERR_OK;
}

err_t
resource_idempotency_forget(struct resource_op *op)
{
    /* If the row was not durable yet, taking back the writes has removed it. */
    if (op->idempotency.state == RESOURCE_IDEMPOTENCY_RUNNING && op->idempotency.row_durable) {
        TRY(resource_remove(op, &resource_idempotency_type, op->idempotency.row));
    }
    resource_idempotency_release(op);
    return ERR_OK;
}

void
resource_adopt_key(struct resource_op *op, struct span idempotency_key)
{
    if (op->idempotency.state != RESOURCE_IDEMPOTENCY_NONE || op->doom != ERR_OK ||
        is_running(op, idempotency_key)) {
        return;
    }
    struct resource_idempotency_row *row = NULL;
    struct document_query query = row_query(op, key_number(idempotency_key));
    err_t result = row_find(op, idempotency_key, &query, &row);
    if (result == ERR_OK && row != NULL && row->running) {
        op->idempotency.row = row;
        op->idempotency.row_durable = true;
        result = enter(op, row->key, RESOURCE_IDEMPOTENCY_RUNNING);
    }
    if (result != ERR_OK) {
        resource_log(op->runtime, op, result, "adopting an idempotency key");
    }
}

struct span
resource_idempotency_shown(const struct resource_op *op)
{
    return key_shown(resource_op_idempotency_key(op));
}

bool
resource_idempotency_is_publishable(const struct resource_op *op)
{
    return is_marked(resource_op_idempotency_key(op));
}

struct span
resource_op_idempotency_key(const struct resource_op *op)
{
    if (op->idempotency.state != RESOURCE_IDEMPOTENCY_NONE) {
        return op->idempotency.key;
    }
    return SPAN_EMPTY;
}

/* ---------------------------------------------------------------------------------- housekeeping
 */

static bool
purge_row(void *context, void *document)
{
    struct resource_runtime *runtime = context;
    const struct resource_header *header = document;
    struct document_store *documents = runtime->documents;
    err_t result = documents->ops->remove(
        documents, &resource_idempotency_kind, header->scope, header->id, header->version);
    if (result != ERR_OK) {
        resource_log(runtime, NULL, result, "removing expired idempotency keys");
    }
    return result == ERR_OK;
}

void
resource_idempotency_purge(struct os_timer *timer)
{
    struct resource_runtime *runtime = CONTAINER_OF(timer, struct resource_runtime, purge_timer);
    struct document_query query = {
        .all_scopes = true,
        .range_column = COLUMN_EXPIRES,
        .range_min = 0,
        .range_max = (int64_t)(os_wall_ns(runtime->parts.clock) / OS_NS_PER_S),
        .oldest_first = true,
        .limit = PURGE_ROWS_MAX,
    };
    struct arena arena;
    arena_init(&arena, RESOURCE_ARENA_LIMIT);
    bool ours = resource_leads(runtime, "idempotency keys");
    err_t result = ours ? resource_transaction_open(runtime) : ERR_OK;
    if (ours && result == ERR_OK) {
        result = resource_row_find(
            runtime, &arena, &resource_idempotency_type, &query, purge_row, runtime);
    }
    if (result != ERR_OK) {
        resource_log(runtime, NULL, result, "removing expired idempotency keys");
    }
    arena_release(&arena);
    runtime->parts.loop->ops->timer_arm(
        runtime->parts.loop,
        timer,
        os_monotonic_ns(runtime->parts.clock) + RESOURCE_PURGE_INTERVAL_NS);
}

/* ---------------------------------------------------------------------------------------- secret
 */

err_t
resource_idempotency_open(struct resource_runtime *runtime)
{
    char random[2 * RESOURCE_HASH_SIZE + 1];
    char secret[2 * RESOURCE_HASH_SIZE + 1];
    resource_random_text(runtime->parts.entropy, random, 2 * RESOURCE_HASH_SIZE);
    random[2 * RESOURCE_HASH_SIZE] = '\0';
    err_t result =
        resource_setting_load(runtime, "idempotency_secret", random, secret, sizeof(secret));
    if (result == ERR_OK && strlen(secret) != 2 * RESOURCE_HASH_SIZE) {
        result = ERR_CORRUPT;
    }
    if (result == ERR_OK) {
        resource_sha256(span_from_cstr(secret), runtime->secret);
    }
    explicit_bzero(random, sizeof(random));
    explicit_bzero(secret, sizeof(secret));
    return result;
}
