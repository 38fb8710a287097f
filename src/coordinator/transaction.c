/* What owners call, and reading transactions. */
#include "private.h"

#include "base/assert.h"
#include "resource/pages.h"
#include "json/json.h"
#include "json/json_in.h"

#include <string.h>

/* ----------------------------------------------------------------- reading `participants` --- */

static bool
refuse(struct resource_op *op, struct span id, const char *code, const char *why)
{
    struct span name = arena_format(resource_op_arena(op), "participants[%.*s]", SPAN_PRINTF(id));
    const char *param = arena_cstr(resource_op_arena(op), name);
    resource_invalid(op, code, param == NULL ? "participants" : param, "%s", why);
    return false;
}

static bool
is_takeable(struct resource_op *op, const struct form_node *node)
{
    void *found;
    if (node->kind != FORM_TEXT) {
        return refuse(op, node->name, NULL, "What a participant is given is a string.");
    }
    if (node->text.size > COORDINATOR_DATA_MAX) {
        return refuse(
            op,
            node->name,
            "parameter_invalid_string_too_long",
            "What a participant is given has at most 2000 bytes.");
    }
    err_t error = resource_load(op, &coordinator_participant_type, node->name, &found);
    if (error == ERR_NOT_FOUND) {
        struct span message = arena_format(
            resource_op_arena(op), "No such participant: '%.*s'", SPAN_PRINTF(node->name));
        const char *text = arena_cstr(resource_op_arena(op), message);
        return refuse(
            op, node->name, "resource_missing", text == NULL ? "No such participant." : text);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "participant");
        return false;
    }
    if (((struct coordinator_participant *)found)->disabled) {
        return refuse(op, node->name, "participant_disabled", "This participant is disabled.");
    }
    return true;
}

bool
coordinator_read(struct resource_op *op, struct span *members)
{
    const struct form_node *node = resource_node(op, "participants");
    if (node == NULL) {
        return true;
    }
    if (resource_op_caller(op)->key_kind == RESOURCE_KEY_PUBLISHABLE) {
        resource_invalid(
            op,
            "secret_key_required",
            "participants",
            "Only a secret key can let others take part in a payment.");
        return false;
    }
    if (node->child_count > COORDINATOR_MEMBERS_MAX) {
        resource_invalid(
            op,
            NULL,
            "participants",
            "%u participants are named, and at most %d can take part.",
            node->child_count,
            COORDINATOR_MEMBERS_MAX);
        return false;
    }
    for (const struct form_node *item = node->first_child; item != NULL; item = item->next) {
        if (!is_takeable(op, item)) {
            return false;
        }
    }
    /* resource_json leaves out members without a text: a participant that needs none is one. */
    struct buf text;
    size_t room = 16 + node->child_count * (size_t)(6 * COORDINATOR_DATA_MAX + 2 * ID_TEXT_SIZE);
    char *memory = arena_alloc(resource_op_arena(op), room);
    if (memory == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return false;
    }
    buf_init_fixed(&text, memory, room);
    struct json_writer json;
    json_begin(&json, &text);
    json_object_begin(&json);
    for (const struct form_node *item = node->first_child; item != NULL; item = item->next) {
        json_key_span(&json, item->name);
        json_text(&json, item->text);
    }
    json_object_end(&json);
    ASSERT(!buf_failed(&text));
    *members = node->child_count == 0 ? SPAN_EMPTY : buf_span(&text);
    return true;
}

/* ------------------------------------------------------------------------------------- states ---
 */

bool
coordinator_transaction_move(
    struct resource_op *op, struct coordinator_transaction *transaction, enum coordinator_move move)
{
    enum coordinator_status status = coordinator_status_parse(transaction->status);
    if (!coordinator_status_move(status, move, &status)) {
        return false;
    }
    int64_t now = (int64_t)resource_now_s(op);
    bool over = coordinator_status_is_over(status);
    transaction->status = span_from_cstr(coordinator_status_name(status));
    transaction->open = over ? SPAN_EMPTY : SPAN("true");
    transaction->open_since = over ? 0 : transaction->header.created;
    transaction->stuck_since = coordinator_status_is_stuck(status) ? now : 0;
    transaction->due = coordinator_status_is_telling(status) ? now : 0;
    return true;
}

struct coordinator_transaction *
coordinator_transaction_load(struct resource_op *op, struct span id)
{
    return resource_require(op, &coordinator_transaction_type, "id", id);
}

/* -------------------------------------------------------------------------------------- begin ---
 */

static err_t
fill_members(
    struct resource_op *op, struct coordinator_transaction *transaction, struct span members)
{
    struct json_value *root;
    struct json_problem problem;
    TRY(json_read(members, resource_op_arena(op), 1 + COORDINATOR_MEMBERS_MAX, &root, &problem));
    if (root->kind != JSON_KIND_OBJECT || root->child_count == 0) {
        return ERR_CORRUPT;
    }
    uint32_t count = 0;
    for (const struct json_value *at = root->first_child; at != NULL; at = at->next) {
        struct coordinator_member *member = &transaction->members[count++];
        void *found;
        TRY(json_value_text(at, &member->data));
        TRY(resource_load(op, &coordinator_participant_type, at->name, &found));
        member->participant = at->name;
        member->name = ((struct coordinator_participant *)found)->name;
    }
    ASSERT(count <= COORDINATOR_MEMBERS_MAX);
    return ERR_OK;
}

err_t
coordinator_begin(
    struct resource_op *op, const struct coordinator_new *wanted, struct span *ret_transaction)
{
    struct coordinator_transaction *transaction = resource_new(op, &coordinator_transaction_type);
    if (transaction == NULL) {
        return ERR_FULL;
    }
    transaction->owner = wanted->owner;
    transaction->status = span_from_cstr(coordinator_status_name(COORDINATOR_PREPARING));
    transaction->amount = wanted->amount;
    transaction->currency = wanted->currency;
    transaction->open = SPAN("true");
    transaction->open_since = transaction->header.created;
    transaction->trace = resource_trace_parent(op);
    TRY(fill_members(op, transaction, wanted->members));
    TRY(resource_save(op, &coordinator_transaction_type, transaction));
    *ret_transaction = transaction->header.id;
    return ERR_OK;
}

/* ------------------------------------------------------------------------------------- decide ---
 */

static void
decision_is_durable(void *context)
{
    coordinator_sweep_soon(context);
}

err_t
coordinator_is_prepared(struct resource_op *op, struct span transaction, bool *ret_prepared)
{
    void *found;
    TRY(resource_load(op, &coordinator_transaction_type, transaction, &found));
    const struct coordinator_transaction *loaded = found;
    *ret_prepared = coordinator_status_parse(loaded->status) == COORDINATOR_PREPARED;
    return ERR_OK;
}

/* Nobody has to be told of an abort who has said no. */
static bool
all_refused(const struct coordinator_transaction *transaction)
{
    uint32_t count = coordinator_member_count(transaction);
    for (uint32_t i = 0; i < count; i++) {
        if (!span_equal_cstr(transaction->members[i].state, COORDINATOR_MEMBER_REFUSED)) {
            return false;
        }
    }
    return true;
}

err_t
coordinator_decide(
    struct resource_op *op,
    struct coordinator *coordinator,
    struct span id,
    enum coordinator_decision decision,
    int64_t amount)
{
    bool commits = decision == COORDINATOR_COMMIT;
    void *found;
    TRY(resource_load(op, &coordinator_transaction_type, id, &found));
    struct coordinator_transaction *transaction = found;
    enum coordinator_status status = coordinator_status_parse(transaction->status);
    if (commits ? coordinator_status_commits(status) : coordinator_status_aborts(status)) {
        return ERR_OK;
    }
    if (!coordinator_transaction_move(
            op, transaction, commits ? COORDINATOR_MOVE_COMMIT : COORDINATOR_MOVE_ABORT)) {
        return ERR_INVALID;
    }
    if (!commits && all_refused(transaction)) {
        bool moved = coordinator_transaction_move(op, transaction, COORDINATOR_MOVE_TOLD);
        ASSERT(moved);
    }
    transaction->decided_at = (int64_t)resource_now_s(op);
    transaction->told_since = transaction->decided_at;
    transaction->tries = 0;
    if (commits) {
        transaction->amount = amount;
    }
    for (uint32_t i = 0; i < COORDINATOR_MEMBERS_MAX; i++) {
        transaction->members[i].requests = 0;
    }
    TRY(resource_save(op, &coordinator_transaction_type, transaction));
    coordinator_count(commits ? &coordinator->committed : &coordinator->aborted);
    return resource_op_when_done(op, decision_is_durable, coordinator);
}

/* ------------------------------------------------------------------------------------ reading ---
 */

void
coordinator_transaction_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &coordinator_transaction_type, resource_op_capture(op, 0));
}

void
coordinator_transaction_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {
        {"open", COORDINATOR_TRANSACTION_OPEN},
        {"owner", COORDINATOR_TRANSACTION_OWNER},
        {"status", COORDINATOR_TRANSACTION_STATUS},
    };
    resource_answer_list(
        op,
        &coordinator_transaction_type,
        "/v1/transactions",
        filters,
        sizeof(filters) / sizeof(filters[0]));
}
