#include "record_fields.h"

#include <string.h>

static u128
field_value(const struct record_field *field, const void *record)
{
    u128 value = 0;
    memcpy(&value, (const char *)record + field->offset, field->size);
    return value;
}

static void
flags_write(struct json_writer *json, const struct record_flag *flags, u128 value)
{
    json_array_begin(json);
    for (; flags->name != NULL; flags++) {
        if ((value & flags->bit) != 0) {
            json_cstr(json, flags->name);
        }
    }
    json_array_end(json);
}

static void
object_write(struct json_writer *json, const struct record_table *table, const void *record)
{
    json_object_begin(json);
    for (uint32_t i = 0; i < table->field_count; i++) {
        const struct record_field *field = &table->fields[i];
        if (field->hidden) {
            continue;
        }
        json_key(json, field->name);
        u128 value = field_value(field, record);
        if (field->flags != NULL) {
            flags_write(json, field->flags, value);
        } else {
            json_u128_text(json, value);
        }
    }
    json_object_end(json);
}

void
record_account_write(struct json_writer *json, const struct ledger_account *account)
{
    object_write(json, &record_account_table, account);
}

void
record_transfer_write(struct json_writer *json, const struct ledger_transfer *transfer)
{
    object_write(json, &record_transfer_table, transfer);
}

static void
member_u128(struct json_writer *json, const char *name, u128 value)
{
    json_key(json, name);
    json_u128_text(json, value);
}

void
record_balances_write(
    struct json_writer *json, uint64_t timestamp, const struct ledger_balances *balances)
{
    json_object_begin(json);
    member_u128(json, "timestamp", timestamp);
    member_u128(json, "debits_pending", balances->debits_pending);
    member_u128(json, "debits_posted", balances->debits_posted);
    member_u128(json, "credits_pending", balances->credits_pending);
    member_u128(json, "credits_posted", balances->credits_posted);
    json_object_end(json);
}

static void
result_write(struct json_writer *json, const char *name, uint64_t timestamp)
{
    ASSERT(name != NULL);
    json_object_begin(json);
    json_member_cstr(json, "status", name);
    member_u128(json, "timestamp", timestamp);
    json_object_end(json);
}

void
record_account_result_write(struct json_writer *json, const struct ledger_result *result)
{
    result_write(json, ledger_account_status_name(result->status), result->timestamp);
}

void
record_transfer_result_write(struct json_writer *json, const struct ledger_result *result)
{
    result_write(json, ledger_transfer_status_name(result->status), result->timestamp);
}

const char *
record_event_kind_name(enum ledger_event_kind kind)
{
    switch (kind) {
    case LEDGER_EVENT_SINGLE_PHASE:
        return "single_phase";
    case LEDGER_EVENT_TWO_PHASE_PENDING:
        return "two_phase_pending";
    case LEDGER_EVENT_TWO_PHASE_POSTED:
        return "two_phase_posted";
    case LEDGER_EVENT_TWO_PHASE_VOIDED:
        return "two_phase_voided";
    case LEDGER_EVENT_TWO_PHASE_EXPIRED:
        return "two_phase_expired";
    }
    UNREACHABLE();
}

void
record_change_write(
    struct json_writer *json,
    const struct ledger_event *event,
    const struct ledger_account *debit,
    const struct ledger_account *credit)
{
    json_object_begin(json);
    json_member_cstr(json, "type", record_event_kind_name((enum ledger_event_kind)event->kind));
    member_u128(json, "timestamp", event->timestamp);
    json_key(json, "transfer");
    record_transfer_write(json, &event->transfer);
    json_key(json, "debit_account");
    record_account_write(json, debit);
    json_key(json, "credit_account");
    record_account_write(json, credit);
    json_object_end(json);
}
