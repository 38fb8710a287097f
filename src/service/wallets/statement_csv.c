/* The statement as a file for spreadsheets: oldest first, whole. */
#include "csv.h"
#include "statement.h"

#define CSV_SIZE_MAX (8u << 20)

static void
write_line(struct wallets_statement *statement, struct buf *out, const struct wallets_line *line)
{
    const struct currency *currency = statement->currency;
    struct money amount = {.amount = line->amount, .currency = currency};
    struct money balance = {.amount = line->balance, .currency = currency};
    buf_append_span(out, wallets_line_id(statement->flow.op, line->timestamp));
    buf_append_byte(out, ',');
    wallets_csv_time(out, (int64_t)(line->timestamp / OS_NS_PER_S));
    buf_append_byte(out, ',');
    buf_append_cstr(out, line->kind);
    buf_append_byte(out, ',');
    wallets_csv_amount(out, amount);
    buf_append_byte(out, ',');
    wallets_csv_amount(out, balance);
    buf_append_format(out, ",%s,", currency->code);
    buf_append_span(out, line->source);
    buf_append_byte(out, ',');
    wallets_csv_text(out, line->description);
    buf_append_cstr(out, "\r\n");
}

void
wallets_statement_answer_csv(struct wallets_statement *statement)
{
    struct buf body;
    struct resource_op *op = statement->flow.op;
    if (statement->count == statement->wanted) {
        resource_invalid(
            op,
            "statement_too_long",
            "created",
            "This statement has more than %u lines. Ask for a shorter time, or for JSON.",
            statement->wanted - 1);
        return;
    }
    buf_init(&body, CSV_SIZE_MAX);
    buf_append_cstr(&body, "id,created,kind,amount,balance,currency,source,description\r\n");
    for (uint32_t i = 0; i < statement->count; i++) {
        write_line(statement, &body, &statement->lines[i]);
    }
    resource_answer_typed(op, 200, "text/csv; charset=utf-8", &body);
}
