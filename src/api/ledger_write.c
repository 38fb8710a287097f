/* The answers of the ledger's routes. */
#include "ledger.h"

#include "base/assert.h"

static void
write_account_or_null(struct json_writer *json, const struct ledger_account *account)
{
    if (account->id == 0) {
        json_null(json);
    } else {
        record_account_write(json, account);
    }
}

static void
write_transfer_result(struct json_writer *json, const struct api_ledger_job *job, uint32_t at)
{
    const struct ledger_result *result = &((const struct ledger_result *)job->out)[at];
    if (job->pairs == NULL) {
        record_transfer_result_write(json, result);
        return;
    }
    json_object_begin(json);
    json_member_cstr(json, "status", ledger_transfer_status_name(result->status));
    json_key(json, "timestamp");
    json_u128_text(json, result->timestamp);
    json_key(json, "debit_account");
    write_account_or_null(json, &job->pairs[at].debit);
    json_key(json, "credit_account");
    write_account_or_null(json, &job->pairs[at].credit);
    json_object_end(json);
}

static void
write_element(struct json_writer *json, const struct api_ledger_job *job, uint32_t at)
{
    switch (job->operation) {
    case PORT_LEDGER_CREATE_ACCOUNTS:
        record_account_result_write(json, &((const struct ledger_result *)job->out)[at]);
        return;
    case PORT_LEDGER_CREATE_TRANSFERS:
        write_transfer_result(json, job, at);
        return;
    case PORT_LEDGER_LOOKUP_ACCOUNTS:
    case PORT_LEDGER_LOOKUP_CONSISTENT:
    case PORT_LEDGER_QUERY_ACCOUNTS:
        record_account_write(json, &((const struct ledger_account *)job->out)[at]);
        return;
    case PORT_LEDGER_LOOKUP_TRANSFERS:
    case PORT_LEDGER_GET_ACCOUNT_TRANSFERS:
    case PORT_LEDGER_QUERY_TRANSFERS:
    case PORT_LEDGER_QUERY_IN_TRANSIT:
        record_transfer_write(json, &((const struct ledger_transfer *)job->out)[at]);
        return;
    case PORT_LEDGER_GET_ACCOUNT_BALANCES: {
        const struct port_ledger_balance *balance =
            &((const struct port_ledger_balance *)job->out)[at];
        record_balances_write(json, balance->timestamp, &balance->balances);
        return;
    }
    case PORT_LEDGER_GET_CHANGE_EVENTS: {
        const struct port_ledger_change *change =
            &((const struct port_ledger_change *)job->out)[at];
        record_change_write(json, &change->event, &change->debit, &change->credit);
        return;
    }
    case PORT_LEDGER_ADOPT:
    case PORT_LEDGER_GET_FAILED_IDS:
    case PORT_LEDGER_SHARD:
    case PORT_LEDGER_SETTLE:
        break;
    }
    UNREACHABLE();
}

/* The accounts that were asked for; behind them, if the read was to be consistent, those that hold
 * what is on its way between shards. */
static void
write_elements(struct json_writer *json, const struct api_ledger_job *job, uint32_t count)
{
    const struct api_parts *parts = &job->ledger->api->parts;
    const struct ledger_account *accounts = job->out;
    bool consistent = job->operation == PORT_LEDGER_LOOKUP_CONSISTENT;
    uint32_t own = count;
    while (consistent && parts->ledger_id_is_reserved != NULL && own > 0 &&
           parts->ledger_id_is_reserved(accounts[own - 1].id)) {
        own--;
    }
    json_key(json, job->answer_name);
    json_array_begin(json);
    for (uint32_t i = 0; i < own; i++) {
        write_element(json, job, i);
    }
    json_array_end(json);
    if (!consistent) {
        return;
    }
    json_key(json, "in_transit");
    json_array_begin(json);
    for (uint32_t i = own; i < count; i++) {
        write_element(json, job, i);
    }
    json_array_end(json);
}

void
api_ledger_write(struct api_ledger_job *job)
{
    buf_init(&job->body, API_LEDGER_BODY_MAX);
    bool creates = job->operation == PORT_LEDGER_CREATE_ACCOUNTS ||
                   job->operation == PORT_LEDGER_CREATE_TRANSFERS;
    uint32_t count = creates ? job->count : job->port.out_count;
    if (job->packed) {
        buf_append(&job->body, job->out, (size_t)count * sizeof(struct ledger_result));
    } else {
        struct json_writer json;
        json_begin(&json, &job->body);
        json_object_begin(&json);
        write_elements(&json, job, count);
        json_object_end(&json);
        ASSERT(json_is_complete(&json));
    }
    if (buf_failed(&job->body)) {
        /* Events are done all the same: their ids say so. */
        (void)api_ledger_refuse(
            job, 500, "", "The answer does not fit into memory. Look the events up by id.");
    }
}
