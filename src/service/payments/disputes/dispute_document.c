/* Disputes as they are stored and as they look outside. */
#include "dispute.h"

#include "base/assert.h"
#include "resource/fields.h"
#include "json/json.h"

#define X(name, maximum) #name,
const char *const payments_evidence_names[PAYMENTS_EVIDENCE_COUNT] = {PAYMENTS_EVIDENCE_TEXTS(X)};
#undef X

static const struct resource_field dispute_fields[] = {
    RESOURCE_INTEGER(payments_dispute, amount),
    RESOURCE_TEXT(payments_dispute, currency),
    RESOURCE_TEXT_COLUMN(payments_dispute, charge, PAYMENTS_DISPUTE_CHARGE),
    RESOURCE_TEXT_COLUMN(payments_dispute, payment_intent, PAYMENTS_DISPUTE_INTENT),
    RESOURCE_TEXT(payments_dispute, status),
    RESOURCE_TEXT(payments_dispute, reason),
    RESOURCE_TEXT(payments_dispute, network_code),
    RESOURCE_TEXT(payments_dispute, brand),
    RESOURCE_TEXT(payments_dispute, scheme),
    RESOURCE_TEXT(payments_dispute, network),
#define X(name, maximum)                                                                           \
    RESOURCE_NAMED(payments_dispute, "evidence_" #name, TEXT, evidence[PAYMENTS_EVIDENCE_##name]),
    PAYMENTS_EVIDENCE_TEXTS(X)
#undef X
        RESOURCE_JSON(payments_dispute, metadata),
    RESOURCE_INTEGER(payments_dispute, submissions),
    RESOURCE_INTEGER(payments_dispute, due_by),
    RESOURCE_INTEGER_COLUMN(payments_dispute, respond_by, PAYMENTS_DISPUTE_RESPOND),
    RESOURCE_BOOLEAN(payments_dispute, from_available),
    RESOURCE_INTEGER(payments_dispute, fee),
    RESOURCE_TEXT(payments_dispute, withdrawal),
    RESOURCE_TEXT(payments_dispute, reinstation),
    RESOURCE_TEXT(payments_dispute, decided),
    RESOURCE_INTEGER(payments_dispute, decided_amount),
    RESOURCE_INTEGER(payments_dispute, decided_due_by),
    RESOURCE_INTEGER_COLUMN(payments_dispute, due, PAYMENTS_DISPUTE_DUE),
    RESOURCE_NAMED(payments_dispute, "attempt_id", TEXT, attempt.id),
    RESOURCE_NAMED(payments_dispute, "attempt_kind", TEXT, attempt.kind),
    RESOURCE_NAMED(payments_dispute, "attempt_state", TEXT, attempt.state),
    RESOURCE_NAMED(payments_dispute, "attempt_key", TEXT, attempt.key),
    RESOURCE_NAMED(payments_dispute, "attempt_tries", INTEGER, attempt.tries),
    RESOURCE_NAMED(payments_dispute, "attempt_began", INTEGER, attempt.began),
};

static const struct resource_field cursor_fields[] = {
    RESOURCE_INTEGER(payments_feed_cursor, position),
    RESOURCE_INTEGER(payments_feed_cursor, unplaced),
};

const struct document_kind payments_dispute_kind = {
    .name = "dispute",
    .columns =
        {
            RESOURCE_INDEXED("charge"),
            RESOURCE_INDEXED("payment_intent"),
            RESOURCE_SWEPT("due"),
            RESOURCE_SWEPT("respond_by"),
        },
    .column_count = 4,
    .generation = 2, /* charges tell of them, and books */
};

const struct document_kind payments_feed_cursor_kind = {.name = "dispute_cursor"};

static void render_dispute(struct resource_render *render, const void *document);

const struct resource_type payments_dispute_type = {
    .object = "dispute",
    .prefix = "du_",
    .kind = &payments_dispute_kind,
    RESOURCE_FIELDS(dispute_fields),
    .struct_size = sizeof(struct payments_dispute),
    .render = render_dispute,
    .permission = "disputes",
};

const struct resource_type payments_feed_cursor_type = {
    .object = "dispute_cursor",
    .prefix = "dcu_",
    .kind = &payments_feed_cursor_kind,
    RESOURCE_FIELDS(cursor_fields),
    .struct_size = sizeof(struct payments_feed_cursor),
};

u128
payments_dispute_number_of(const struct port_rail_notice *notice)
{
    u128 number = resource_derived_id(notice->dispute, "dispute of the network");
    u128 floor = id_floor(notice->opened_ms);
    return floor | (number & (((u128)1 << 80) - 1));
}

u128
payments_dispute_number(const struct payments_dispute *dispute)
{
    return resource_number(&payments_dispute_type, dispute->header.id);
}

enum payments_dispute_status
payments_dispute_status_of(const struct payments_dispute *dispute)
{
    return payments_dispute_status_parse(dispute->status);
}

void
payments_dispute_goes(struct payments_dispute *dispute, enum payments_dispute_move move)
{
    enum payments_dispute_status to = PAYMENTS_DISPUTE_LOST;
    bool legal = payments_dispute_move(payments_dispute_status_of(dispute), move, &to);
    ASSERT(legal);
    dispute->status = span_from_cstr(payments_dispute_status_name(to));
    dispute->respond_by = payments_dispute_needs_response(to) ? dispute->due_by : 0;
}

/* ----------------------------------------------------------------------------------- showing ---
 */

struct span
payments_evidence_text(struct resource_op *op, const struct payments_dispute *dispute)
{
    enum {
        ESCAPED_MAX = 6,   /* bytes that JSON makes of one */
        NAMES_SIZE = 2048, /* and what is around the texts */
    };
    struct buf buf;
    struct json_writer json;
    size_t size = NAMES_SIZE;
    for (uint32_t i = 0; i < PAYMENTS_EVIDENCE_COUNT; i++) {
        size += ESCAPED_MAX * dispute->evidence[i].size;
    }
    void *memory = arena_alloc(resource_op_arena(op), size);
    buf_init_fixed(&buf, memory, memory == NULL ? 0 : size);
    json_begin(&json, &buf);
    json_object_begin(&json);
    for (uint32_t i = 0; i < PAYMENTS_EVIDENCE_COUNT; i++) {
        if (dispute->evidence[i].size != 0) {
            json_member_text(&json, payments_evidence_names[i], dispute->evidence[i]);
        }
    }
    json_object_end(&json);
    return buf_failed(&buf) ? SPAN_EMPTY : buf_span(&buf);
}

static bool
has_evidence(const struct payments_dispute *dispute)
{
    for (uint32_t i = 0; i < PAYMENTS_EVIDENCE_COUNT; i++) {
        if (dispute->evidence[i].size != 0) {
            return true;
        }
    }
    return false;
}

static void
write_evidence(struct json_writer *json, const struct payments_dispute *dispute)
{
    json_key(json, "evidence");
    json_object_begin(json);
    for (uint32_t i = 0; i < PAYMENTS_EVIDENCE_COUNT; i++) {
        json_member_text_or_null(json, payments_evidence_names[i], dispute->evidence[i]);
    }
#define X(name) json_member_null(json, #name);
    PAYMENTS_EVIDENCE_FILES(X)
#undef X
    json_key(json, "enhanced_evidence");
    json_raw(json, SPAN("{}"));
    json_object_end(json);
    json_key(json, "evidence_details");
    json_object_begin(json);
    json_member_i64(json, "due_by", dispute->due_by);
    json_key(json, "enhanced_eligibility");
    json_raw(json, SPAN("{}"));
    json_member_bool(json, "has_evidence", has_evidence(dispute));
    json_member_bool(json, "past_due", false); /* the network takes none then */
    json_member_i64(json, "submission_count", dispute->submissions);
    json_object_end(json);
}

static void
write_line(struct resource_render *render, struct span id)
{
    void *found;
    if (id.size != 0 &&
        resource_load(resource_render_op(render), &payments_balance_transaction_type, id, &found) ==
            ERR_OK) {
        payments_balance_transaction_write(render, found, true);
    }
}

static void
write_method(struct json_writer *json, const struct payments_dispute *dispute)
{
    bool inquiry = span_starts_with(dispute->status, SPAN("warning_"));
    json_key(json, "payment_method_details");
    json_object_begin(json);
    json_key(json, "card");
    json_object_begin(json);
    json_member_text(json, "brand", dispute->brand);
    json_member_cstr(json, "case_type", inquiry ? "inquiry" : "chargeback");
    json_member_text(json, "network", dispute->scheme);
    json_member_text_or_null(json, "network_reason_code", dispute->network_code);
    json_object_end(json);
    json_member_cstr(json, "type", "card");
    json_object_end(json);
}

static void
render_dispute(struct resource_render *render, const void *document)
{
    const struct payments_dispute *dispute = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &payments_dispute_type, dispute);
    json_member_i64(json, "amount", dispute->amount);
    json_key(json, "balance_transactions");
    json_array_begin(json);
    write_line(render, dispute->withdrawal);
    write_line(render, dispute->reinstation);
    json_array_end(json);
    resource_render_reference(render, "charge", &payments_charge_type, dispute->charge);
    json_member_text(json, "currency", dispute->currency);
    json_key(json, "enhanced_eligibility_types");
    json_raw(json, SPAN("[]"));
    write_evidence(json, dispute);
    /* The status may be none: what can be expanded is tried out on an object without members. */
    bool inquiry = dispute->status.size != 0 &&
                   payments_dispute_is_inquiry(payments_dispute_status_of(dispute));
    json_member_bool(json, "is_charge_refundable", inquiry);
    json_member_raw(json, "metadata", dispute->metadata.size != 0 ? dispute->metadata : SPAN("{}"));
    resource_render_reference(
        render, "payment_intent", &payments_intent_type, dispute->payment_intent);
    write_method(json, dispute);
    json_member_text(json, "reason", dispute->reason);
    json_member_text(json, "status", dispute->status);
    json_object_end(json);
}
