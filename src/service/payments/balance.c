/* GET /v1/balance: read from the ledger, never from a counter beside it. */
#include "flow.h"
#include "handlers.h"

#include "base/list.h"
#include "json/json.h"

#define BALANCE_SIZE_MAX 65536

struct balance_read {
    struct resource_op *op;
    struct port_ledger_request request;
    u128 *ids; /* per currency: pending, available */
    struct ledger_account *accounts;
    uint32_t currency_total;
};

static const struct ledger_account *
find(const struct balance_read *read, u128 id)
{
    for (uint32_t i = 0; i < read->request.out_count; i++) {
        if (read->accounts[i].id == id) {
            return &read->accounts[i];
        }
    }
    return NULL;
}

/* What the merchant is owed: these accounts are ours to pay, so credits count. What a payout holds
 * is on its way out. */
static int64_t
balance_of(const struct ledger_account *account)
{
    return (int64_t)(account->credits_posted - account->debits_posted - account->debits_pending);
}

static void
write_side(struct balance_read *read, struct json_writer *json, uint32_t side)
{
    json_array_begin(json);
    for (uint32_t i = 0; i < read->currency_total; i++) {
        const struct ledger_account *account = find(read, read->ids[i * 2 + side]);
        if (account == NULL) {
            continue;
        }
        const struct currency *currency = currency_at(i);
        struct money balance = {.amount = balance_of(account), .currency = currency};
        int64_t amount = money_to_api(balance);
        json_object_begin(json);
        json_member_i64(json, "amount", amount);
        json_member_cstr(json, "currency", currency->api_code);
        json_key(json, "source_types");
        json_object_begin(json);
        json_member_i64(json, "card", amount);
        json_object_end(json);
        json_object_end(json);
    }
    json_array_end(json);
}

static void
looked_up(struct port_ledger_request *request)
{
    struct balance_read *read = CONTAINER_OF(request, struct balance_read, request);
    if (request->error != ERR_OK) {
        resource_internal(read->op, request->error, "ledger");
        return;
    }
    struct buf body;
    struct json_writer json;
    buf_init(&body, BALANCE_SIZE_MAX);
    json_begin(&json, &body);
    json_object_begin(&json);
    json_member_cstr(&json, "object", "balance");
    json_key(&json, "available");
    write_side(read, &json, 1);
    json_member_bool(&json, "livemode", resource_op_caller(read->op)->live);
    json_key(&json, "pending");
    write_side(read, &json, 0);
    json_object_end(&json);
    resource_answer(read->op, 200, &body);
}

void
payments_balance_retrieve(struct resource_op *op)
{
    struct payments *payments = resource_op_service(op);
    struct arena *arena = resource_op_arena(op);
    struct balance_read *read = ARENA_NEW(arena, struct balance_read);
    uint32_t count = (uint32_t)currency_count();
    u128 *ids = ARENA_ARRAY(arena, u128, (size_t)count * 2);
    struct ledger_account *accounts = ARENA_ARRAY(arena, struct ledger_account, (size_t)count * 2);
    if (read == NULL || ids == NULL || accounts == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    const struct resource_caller *caller = resource_op_caller(op);
    for (uint32_t i = 0; i < count; i++) {
        const struct currency *currency = currency_at(i);
        ids[i * 2] = payments_merchant_account(payments, caller, BOOKS_MERCHANT_PENDING, currency);
        ids[i * 2 + 1] =
            payments_merchant_account(payments, caller, BOOKS_MERCHANT_AVAILABLE, currency);
    }
    read->op = op;
    read->ids = ids;
    read->accounts = accounts;
    read->currency_total = count;
    read->request.operation = PORT_LEDGER_LOOKUP_ACCOUNTS;
    read->request.count = count * 2;
    read->request.in.ids = ids;
    read->request.out.accounts = accounts;
    read->request.reply_to = resource_op_executor(op);
    read->request.done = looked_up;
    read->request.trace = resource_op_trace(op);
    payments->parts.ledger->submit(payments->parts.ledger, &read->request);
}
