#include "documents.h"

#include "base/assert.h"
#include "machine.h"
#include "resource/fields.h"
#include "json/json.h"

static const struct resource_field participant_fields[] = {
    RESOURCE_TEXT(coordinator_participant, name),
    RESOURCE_JSON(coordinator_participant, metadata),
    RESOURCE_BOOLEAN(coordinator_participant, disabled),
    RECIPIENT_FIELDS(coordinator_participant, recipient),
};

/* Flat members with a prefix. */
#define MEMBER_FIELD(index, kind, member)                                                          \
    RESOURCE_NAMED(                                                                                \
        coordinator_transaction, "member" #index "_" #member, kind, members[index].member)
#define MEMBER(index)                                                                              \
    MEMBER_FIELD(index, TEXT, participant), MEMBER_FIELD(index, TEXT, name),                       \
        MEMBER_FIELD(index, TEXT, data), MEMBER_FIELD(index, TEXT, state),                         \
        MEMBER_FIELD(index, TEXT, reason), MEMBER_FIELD(index, INTEGER, requests)

static const struct resource_field transaction_fields[] = {
    RESOURCE_TEXT_COLUMN(coordinator_transaction, owner, COORDINATOR_TRANSACTION_OWNER),
    RESOURCE_TEXT_COLUMN(coordinator_transaction, status, COORDINATOR_TRANSACTION_STATUS),
    RESOURCE_INTEGER(coordinator_transaction, amount),
    RESOURCE_TEXT(coordinator_transaction, currency),
    RESOURCE_INTEGER(coordinator_transaction, decided_at),
    RESOURCE_INTEGER(coordinator_transaction, told_since),
    RESOURCE_INTEGER(coordinator_transaction, tries),
    RESOURCE_TEXT(coordinator_transaction, note),
    RESOURCE_TEXT_COLUMN(coordinator_transaction, open, COORDINATOR_TRANSACTION_OPEN),
    RESOURCE_INTEGER_COLUMN(coordinator_transaction, due, COORDINATOR_TRANSACTION_DUE),
    RESOURCE_INTEGER_COLUMN(
        coordinator_transaction, open_since, COORDINATOR_TRANSACTION_OPEN_SINCE),
    RESOURCE_INTEGER_COLUMN(
        coordinator_transaction, stuck_since, COORDINATOR_TRANSACTION_STUCK_SINCE),
    RESOURCE_TEXT(coordinator_transaction, trace),
    MEMBER(0),
    MEMBER(1),
    MEMBER(2),
    MEMBER(3),
};
static_assert(COORDINATOR_MEMBERS_MAX == 4, "each has its fields");

static const struct document_kind participant_kind = {.name = "participant"};

static const struct document_kind transaction_kind = {
    .name = "transaction",
    .columns =
        {
            RESOURCE_INDEXED("owner"),
            RESOURCE_INDEXED("status"),
            RESOURCE_INDEXED("open"),
            RESOURCE_SWEPT("due"),
            RESOURCE_SWEPT("open_since"),
            RESOURCE_SWEPT("stuck_since"),
        },
    .column_count = 6,
};

const struct document_kind *const coordinator_kinds[] = {
    &participant_kind,
    &transaction_kind,
};
const uint32_t coordinator_kind_count = sizeof(coordinator_kinds) / sizeof(coordinator_kinds[0]);

uint32_t
coordinator_member_count(const struct coordinator_transaction *transaction)
{
    uint32_t count = 0;
    while (count < COORDINATOR_MEMBERS_MAX && transaction->members[count].participant.size != 0) {
        count++;
    }
    return count;
}

/* --------------------------------------------------------------------------------- rendering ---
 */

static void
participant_render(struct resource_render *render, const void *document)
{
    const struct coordinator_participant *participant = document;
    struct json_writer *json = resource_render_json(render);
    struct span metadata = participant->metadata;
    json_object_begin(json);
    resource_render_header(render, &coordinator_participant_type, participant);
    json_member_raw(json, "metadata", metadata.size > 0 ? metadata : SPAN("{}"));
    json_member_text(json, "name", participant->name);
    if (participant->recipient.shown_secret.size > 0) {
        json_member_text(json, "secret", participant->recipient.shown_secret);
    }
    json_member_cstr(json, "status", participant->disabled ? "disabled" : "enabled");
    json_member_text(json, "url", participant->recipient.url);
    json_object_end(json);
}

static void
member_render(struct resource_render *render, const struct coordinator_member *member)
{
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    json_member_text(json, "data", member->data);
    json_member_text(json, "name", member->name);
    resource_render_reference(
        render, "participant", &coordinator_participant_type, member->participant);
    json_member_text_or_null(json, "reason", member->reason);
    json_member_i64(json, "requests", member->requests);
    json_member_text_or_null(json, "state", member->state);
    json_object_end(json);
}

static void
member_moment(struct json_writer *json, const char *name, int64_t seconds)
{
    if (seconds != 0) {
        json_member_i64(json, name, seconds);
    } else {
        json_member_null(json, name);
    }
}

static void
transaction_render(struct resource_render *render, const void *document)
{
    const struct coordinator_transaction *transaction = document;
    struct json_writer *json = resource_render_json(render);
    uint32_t count = coordinator_member_count(transaction);
    json_object_begin(json);
    resource_render_header(render, &coordinator_transaction_type, transaction);
    json_member_i64(json, "amount", transaction->amount);
    json_member_text(json, "currency", transaction->currency);
    member_moment(json, "decided_at", transaction->decided_at);
    json_key(json, "members");
    json_array_begin(json);
    for (uint32_t i = 0; i < count; i++) {
        member_render(render, &transaction->members[i]);
    }
    json_array_end(json);
    member_moment(json, "next_attempt", transaction->due);
    json_member_text_or_null(json, "note", transaction->note);
    json_member_text(json, "owner", transaction->owner);
    json_member_text(json, "status", transaction->status);
    member_moment(json, "stuck_since", transaction->stuck_since);
    json_object_end(json);
}

const struct resource_type coordinator_participant_type = {
    .object = "participant",
    .prefix = "part_",
    .kind = &participant_kind,
    RESOURCE_FIELDS(participant_fields),
    .struct_size = sizeof(struct coordinator_participant),
    .render = participant_render,
    .permission = "participants",
};

struct recipient *
coordinator_participant_recipient(void *document)
{
    return &((struct coordinator_participant *)document)->recipient;
}

const struct resource_type coordinator_transaction_type = {
    .object = "transaction",
    .prefix = "dtx_",
    .kind = &transaction_kind,
    RESOURCE_FIELDS(transaction_fields),
    .struct_size = sizeof(struct coordinator_transaction),
    .render = transaction_render,
};
