/* How a split shows: what each part is, of an intent, a charge and a refund; and suspense items. */
#include "documents.h"

#include "flow.h"
#include "json/json.h"

void
payments_intent_split_write(struct json_writer *json, const struct payments_intent *intent)
{
    if (!payments_is_split(intent)) {
        return;
    }
    json_key(json, "split");
    json_object_begin(json);
    json_member_i64(json, "amount", intent->split_amount);
    json_member_text(json, "wallet", intent->split_wallet);
    json_object_end(json);
}

static void
part_begin(struct json_writer *json, const char *name, int64_t amount)
{
    json_key(json, name);
    json_object_begin(json);
    json_member_i64(json, "amount", amount);
}

void
payments_charge_split_write(struct json_writer *json, const struct payments_charge *charge)
{
    if (charge->split_wallet.size == 0) {
        return;
    }
    json_key(json, "split");
    json_object_begin(json);
    part_begin(json, "card", charge->amount - charge->split_amount);
    json_member_i64(json, "amount_captured", charge->amount_captured - charge->split_captured);
    json_member_i64(json, "amount_refunded", charge->amount_refunded - charge->split_refunded);
    json_object_end(json);
    part_begin(json, "wallet", charge->split_amount);
    json_member_i64(json, "amount_captured", charge->split_captured);
    json_member_i64(json, "amount_refunded", charge->split_refunded);
    json_member_text_or_null(json, "balance_transaction", charge->split_transaction);
    json_member_text(json, "id", charge->split_wallet);
    json_member_text_or_null(json, "suspense_item", charge->suspense_item);
    json_object_end(json);
    json_object_end(json);
}

void
payments_refund_split_write(struct json_writer *json, const struct payments_refund *refund)
{
    if (refund->split_wallet.size == 0) {
        return;
    }
    json_key(json, "split");
    json_object_begin(json);
    part_begin(json, "card", payments_split_rest_refunded(refund));
    json_object_end(json);
    part_begin(json, "wallet", refund->split_amount);
    json_member_text_or_null(json, "balance_transaction", refund->split_transaction);
    json_member_text(json, "id", refund->split_wallet);
    json_member_text_or_null(json, "suspense_item", refund->suspense_item);
    json_object_end(json);
    json_object_end(json);
}

void
payments_suspense_render(struct resource_render *render, const void *document)
{
    const struct payments_suspense *item = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &payments_suspense_type, item);
    json_member_i64(json, "amount", item->amount);
    resource_render_reference(render, "charge", &payments_charge_type, item->charge);
    json_member_text(json, "currency", item->currency);
    json_member_text_or_null(json, "note", item->note);
    resource_render_reference(
        render, "payment_intent", &payments_intent_type, item->payment_intent);
    json_member_text(json, "reason", item->reason);
    resource_render_reference(render, "refund", &payments_refund_type, item->refund);
    json_member_text_or_null(json, "resolution", item->resolution);
    json_key(json, "resolved_at");
    if (item->resolved_at != 0) {
        json_i64(json, item->resolved_at);
    } else {
        json_null(json);
    }
    json_member_text(json, "status", item->status);
    json_member_text_or_null(json, "wallet", item->wallet);
    json_object_end(json);
}
