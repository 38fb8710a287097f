#include "statement.h"

#include "base/assert.h"
#include "base/list.h"
#include "json/json.h"

#include <string.h>

#define LINE_PREFIX        "wln_"
#define LIMIT_DEFAULT      10
#define STATEMENT_SIZE_MAX (1u << 20)

struct span
wallets_line_id(struct resource_op *op, uint64_t timestamp)
{
    char text[ID_TEXT_SIZE];
    size_t size = id_format(LINE_PREFIX, (u128)timestamp, text);
    return arena_copy(resource_op_arena(op), span_of(text, size));
}

/* ---------------------------------------------------------------------------- what it was for --
 */

enum origin {
    NOBODY,
    CHARGE,
    REFUND,
    TRANSFER,
    HOLD,
    WITHDRAWAL,
};

/* By the transfer's code. The number inside the source's id is its user_data_128. */
static const struct source {
    const char *kind;
    enum origin origin;
} sources[] = {
    [BOOKS_PAYMENT] = {"payment", CHARGE},
    [BOOKS_HOLD] = {"payment", CHARGE},
    [BOOKS_REFUND] = {"refund", REFUND},
    [BOOKS_REFUND_FAILURE] = {"refund_failure", REFUND},
    [BOOKS_TOP_UP] = {"top_up", CHARGE},
    [BOOKS_TOP_UP_REVERSAL] = {"top_up_reversal", REFUND},
    [BOOKS_WALLET_TRANSFER] = {"transfer", TRANSFER},
    [BOOKS_WALLET_HOLD] = {"hold", HOLD},
    [BOOKS_WITHDRAWAL] = {"withdrawal", WITHDRAWAL},
    [BOOKS_WITHDRAWAL_RETURN] = {"withdrawal_return", WITHDRAWAL},
    [BOOKS_DEPOSIT] = {"deposit", TRANSFER},
};

/* Where the document is, and its own words inside it (0: they are not ours to read). */
static const struct resource_type *
type_of(const struct wallets_statement *statement, enum origin origin, size_t *ret_description)
{
    const struct wallets_parts *parts = &statement->flow.wallets->parts;
    *ret_description = 0;
    switch (origin) {
    case NOBODY:
        return NULL;
    case CHARGE:
        return parts->charge_type;
    case REFUND:
        return parts->refund_type;
    case TRANSFER:
        *ret_description = offsetof(struct wallets_transfer, description);
        return &wallets_transfer_type;
    case HOLD:
        *ret_description = offsetof(struct wallets_hold, description);
        return &wallets_hold_type;
    case WITHDRAWAL:
        *ret_description = offsetof(struct wallets_withdrawal, description);
        return &wallets_withdrawal_type;
    }
    UNREACHABLE();
}

/* Names the document that the movement was for, if it is there. */
static err_t
name_source(
    struct wallets_statement *statement, struct wallets_line *line, enum origin origin, u128 number)
{
    char id[ID_TEXT_SIZE];
    size_t description;
    void *found = NULL;
    struct resource_op *op = statement->flow.op;
    const struct resource_type *type = type_of(statement, origin, &description);
    if (type == NULL) {
        return ERR_OK;
    }
    struct span text = span_of(id, id_format(type->prefix, number, id));
    err_t error = resource_load(op, type, text, &found);
    if (error != ERR_OK) {
        return error == ERR_NOT_FOUND ? ERR_OK : error;
    }
    line->source = arena_copy(resource_op_arena(op), text);
    if (description != 0) {
        memcpy(&line->description, (const char *)found + description, sizeof(line->description));
    }
    return ERR_OK;
}

static err_t
add_line(
    struct wallets_statement *statement,
    const struct ledger_transfer *transfer,
    const struct ledger_balances *balances)
{
    struct wallets_line *line = &statement->lines[statement->count++];
    bool out = transfer->debit_account_id == statement->account;
    int64_t amount = (int64_t)transfer->amount;
    *line = (struct wallets_line){
        .timestamp = transfer->timestamp,
        .amount = out ? -amount : amount,
        .balance = (int64_t)(balances->credits_posted - balances->debits_posted),
        .kind = "other",
    };
    if (transfer->code >= sizeof(sources) / sizeof(sources[0]) ||
        sources[transfer->code].kind == NULL) {
        return ERR_OK;
    }
    line->kind = sources[transfer->code].kind;
    return name_source(statement, line, sources[transfer->code].origin, transfer->user_data_128);
}

/* -------------------------------------------------------------------------------- answers --- */

static void
render_line(struct wallets_statement *statement, struct json_writer *json, uint32_t index)
{
    const struct wallets_line *line = &statement->lines[index];
    const struct currency *currency = statement->currency;
    struct money amount = {.amount = line->amount, .currency = currency};
    struct money balance = {.amount = line->balance, .currency = currency};
    json_object_begin(json);
    json_member_text(json, "id", wallets_line_id(statement->flow.op, line->timestamp));
    json_member_cstr(json, "object", "wallet_statement_line");
    json_member_i64(json, "amount", money_to_api(amount));
    json_member_i64(json, "balance", money_to_api(balance));
    json_member_i64(json, "created", (int64_t)(line->timestamp / OS_NS_PER_S));
    json_member_cstr(json, "currency", currency->api_code);
    json_member_text_or_null(json, "description", line->description);
    json_member_cstr(json, "kind", line->kind);
    json_member_text_or_null(json, "source", line->source);
    json_object_end(json);
}

static void
answer_json(struct wallets_statement *statement)
{
    struct buf body;
    struct json_writer json;
    struct resource_op *op = statement->flow.op;
    bool more = statement->count == statement->wanted;
    uint32_t shown = more ? statement->count - 1 : statement->count;
    buf_init(&body, STATEMENT_SIZE_MAX);
    json_begin(&json, &body);
    json_object_begin(&json);
    json_member_cstr(&json, "object", "list");
    json_key(&json, "data");
    json_array_begin(&json);
    for (uint32_t i = 0; i < shown; i++) {
        render_line(statement, &json, statement->reverse_lines ? shown - 1 - i : i);
    }
    json_array_end(&json);
    json_member_bool(&json, "has_more", more);
    json_member_text(
        &json,
        "url",
        arena_format(
            resource_op_arena(op),
            "/v1/wallets/%.*s/statement",
            SPAN_PRINTF(resource_op_capture(op, 0))));
    json_object_end(&json);
    resource_answer(op, 200, &body);
}

static void
answer_statement(struct wallets_statement *statement)
{
    if (statement->csv) {
        wallets_statement_answer_csv(statement);
    } else {
        answer_json(statement);
    }
}

/* -------------------------------------------------------------------------- page after page --- */

static void read_page(struct wallets_statement *statement);

/* A pending transfer moves nothing yet, and its voiding nothing at all. */
static bool
moves(const struct ledger_transfer *transfer)
{
    const unsigned still = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    return (transfer->flags & still) == 0 && transfer->amount != 0;
}

static err_t
add_page(struct wallets_statement *statement)
{
    uint32_t balance = 0;
    uint32_t balance_count = statement->flow.ledger.out_count;
    for (uint32_t i = 0; i < statement->transfer_count && statement->count < statement->wanted;
         i++) {
        const struct ledger_transfer *transfer = &statement->transfers[i];
        /* Both answers have the same order; the second may know of events beyond the first's. */
        while (balance < balance_count &&
               statement->balances[balance].timestamp != transfer->timestamp) {
            balance++;
        }
        if (balance == balance_count) {
            return ERR_CORRUPT;
        }
        if (moves(transfer)) {
            TRY(add_line(statement, transfer, &statement->balances[balance].balances));
        }
    }
    return ERR_OK;
}

static void
balances_done(struct port_ledger_request *request)
{
    struct wallets_flow *flow = CONTAINER_OF(request, struct wallets_flow, ledger);
    struct wallets_statement *statement = CONTAINER_OF(flow, struct wallets_statement, flow);
    err_t error = request->error != ERR_OK ? request->error : add_page(statement);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "statement");
        return;
    }
    bool last = statement->transfer_count < WALLETS_STATEMENT_PAGE;
    if (last || statement->count == statement->wanted) {
        answer_statement(statement);
        return;
    }
    uint64_t seen = statement->transfers[statement->transfer_count - 1].timestamp;
    if (statement->filter.reversed) {
        statement->filter.timestamp_max = seen - 1;
    } else {
        statement->filter.timestamp_min = seen + 1;
    }
    read_page(statement);
}

static void
submit(struct wallets_statement *statement, void (*done)(struct port_ledger_request *request))
{
    struct wallets_flow *flow = &statement->flow;
    flow->ledger.in.filter = &statement->filter;
    flow->ledger.reply_to = resource_op_executor(flow->op);
    flow->ledger.done = done;
    flow->ledger.trace = resource_op_trace(flow->op);
    flow->wallets->parts.ledger->submit(flow->wallets->parts.ledger, &flow->ledger);
}

static void
transfers_done(struct port_ledger_request *request)
{
    struct wallets_flow *flow = CONTAINER_OF(request, struct wallets_flow, ledger);
    struct wallets_statement *statement = CONTAINER_OF(flow, struct wallets_statement, flow);
    if (request->error != ERR_OK) {
        resource_internal(flow->op, request->error, "statement");
        return;
    }
    statement->transfer_count = request->out_count;
    if (request->out_count == 0) {
        answer_statement(statement);
        return;
    }
    if (statement->filter.reversed) {
        /* What happens from now on is not on this page. */
        statement->filter.timestamp_max = statement->transfers[0].timestamp;
    }
    request->operation = PORT_LEDGER_GET_ACCOUNT_BALANCES;
    request->out.balances = statement->balances;
    submit(statement, balances_done);
}

static void
read_page(struct wallets_statement *statement)
{
    struct port_ledger_request *request = &statement->flow.ledger;
    request->operation = PORT_LEDGER_GET_ACCOUNT_TRANSFERS;
    request->out.transfers = statement->transfers;
    request->pairs = NULL;
    submit(statement, transfers_done);
}

/* --------------------------------------------------------------------------- what is asked --- */

static void
raise_minimum(struct wallets_statement *statement, uint64_t timestamp)
{
    if (timestamp > statement->filter.timestamp_min) {
        statement->filter.timestamp_min = timestamp;
    }
}

static void
lower_maximum(struct wallets_statement *statement, uint64_t timestamp)
{
    if (statement->filter.timestamp_max == 0 || timestamp < statement->filter.timestamp_max) {
        statement->filter.timestamp_max = timestamp;
    }
}

/* The first nanosecond of a second; a later second than the ledger can have is as good as none. */
static uint64_t
start_of(int64_t second)
{
    const int64_t last = (int64_t)(LEDGER_TIMESTAMP_MAX / OS_NS_PER_S);
    return (uint64_t)(second > last ? last : second) * OS_NS_PER_S;
}

static int64_t
after(int64_t second)
{
    return second < INT64_MAX ? second + 1 : second;
}

/* Nothing is before the first nanosecond: 0 would leave that end open. */
static uint64_t
before(uint64_t timestamp)
{
    return timestamp > 1 ? timestamp - 1 : 1;
}

static void
read_created(struct wallets_statement *statement)
{
    int64_t second;
    struct resource_op *op = statement->flow.op;
    if (resource_integer(op, "created", &second)) {
        raise_minimum(statement, start_of(second));
        lower_maximum(statement, before(start_of(after(second))));
    }
    if (resource_integer(op, "created[gte]", &second)) {
        raise_minimum(statement, start_of(second));
    }
    if (resource_integer(op, "created[gt]", &second)) {
        raise_minimum(statement, start_of(after(second)));
    }
    if (resource_integer(op, "created[lt]", &second)) {
        lower_maximum(statement, before(start_of(second)));
    }
    if (resource_integer(op, "created[lte]", &second)) {
        lower_maximum(statement, before(start_of(after(second))));
    }
}

static bool
read_cursor(struct resource_op *op, const char *param, uint64_t *ret_timestamp)
{
    struct span text;
    u128 number = 0;
    *ret_timestamp = 0;
    if (!resource_text(op, param, &text) || text.size == 0) {
        return true;
    }
    if (!id_parse(LINE_PREFIX, text, &number) || number == 0 || number > LEDGER_TIMESTAMP_MAX) {
        resource_missing(op, "wallet_statement_line", param, text);
        return false;
    }
    *ret_timestamp = (uint64_t)number;
    return true;
}

static bool
read_cursors(struct wallets_statement *statement)
{
    uint64_t later;
    uint64_t earlier;
    struct resource_op *op = statement->flow.op;
    if (!read_cursor(op, "starting_after", &later) || !read_cursor(op, "ending_before", &earlier)) {
        return false;
    }
    if (later != 0 && earlier != 0) {
        resource_invalid(
            op,
            "parameters_exclusive",
            "starting_after",
            "You may only specify one of these parameters: ending_before, starting_after.");
        return false;
    }
    /* Newest first: behind a line is what happened before it. */
    if (later != 0) {
        lower_maximum(statement, before(later));
    }
    if (earlier != 0) {
        raise_minimum(statement, earlier + 1);
        statement->reverse_lines = true;
    }
    return true;
}

static bool
read_request(struct wallets_statement *statement)
{
    struct span format;
    struct resource_op *op = statement->flow.op;
    int64_t limit = LIMIT_DEFAULT;
    statement->csv = resource_text(op, "format", &format) && span_equal_cstr(format, "csv");
    if (statement->csv && resource_present(op, "limit")) {
        resource_invalid(
            op,
            "parameters_exclusive",
            "limit",
            "A statement in CSV is whole; choose its time with created.");
        return false;
    }
    (void)resource_integer(op, "limit", &limit);
    limit = statement->csv ? WALLETS_STATEMENT_LINES_MAX : limit;
    statement->wanted = (uint32_t)limit + 1;
    read_created(statement);
    if (!read_cursors(statement)) {
        return false;
    }
    /* A file is read from the top: oldest first. */
    statement->filter.reversed = !statement->csv && !statement->reverse_lines;
    statement->lines = ARENA_ARRAY(resource_op_arena(op), struct wallets_line, statement->wanted);
    if (statement->lines == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return false;
    }
    return true;
}

void
wallets_statement_retrieve(struct resource_op *op)
{
    struct wallets_statement *statement =
        ARENA_NEW(resource_op_arena(op), struct wallets_statement);
    if (statement == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    statement->flow.wallets = resource_op_service(op);
    statement->flow.op = op;
    const struct wallets_wallet *wallet = wallets_wallet_of_path(op);
    if (wallet == NULL || !read_request(statement)) {
        return;
    }
    statement->currency = wallets_currency(wallet->currency);
    statement->account = wallets_account(&statement->flow, wallet->header.id, wallet->currency);
    statement->filter.account_id = statement->account;
    statement->filter.debits = true;
    statement->filter.credits = true;
    statement->filter.limit = WALLETS_STATEMENT_PAGE;
    bool nothing = statement->filter.timestamp_max != 0 &&
                   statement->filter.timestamp_min > statement->filter.timestamp_max;
    if (nothing) {
        answer_statement(statement);
    } else {
        read_page(statement);
    }
}
