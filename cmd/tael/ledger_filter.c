/* What the options of `tael ledger accounts` and `transfers` ask the server. */
#include "ledger_list.h"

#include "chart.h"

#include "base/id.h"
#include "os/clock.h"
#include "json/json.h"

static int
read_account(
    const struct command *command,
    const struct ledger_list_options *options,
    const struct currency *currency,
    struct ledger_filter *filter)
{
    enum books_account role;
    struct span text = span_from_cstr(options->account);
    bool is_name = chart_account_find(text, &role);
    if (text.size == 0 || (!is_name && u128_parse(text, &filter->account))) {
        return options->merchant[0] == '\0'
                   ? COMMAND_GO_ON
                   : command_misuse(command, "--merchant needs --account=merchant-pending or such");
    }
    if (!is_name) {
        return command_misuse(command, "'%s' is no account's id or name", options->account);
    }
    if (currency == NULL) {
        return command_misuse(command, "--account=%s needs --currency", options->account);
    }
    if (chart_account_is_merchants(role) && options->merchant[0] == '\0') {
        return command_misuse(command, "--account=%s needs --merchant", options->account);
    }
    filter->account = books_account_id(role, options->merchant, currency, options->live);
    filter->role = (uint16_t)role;
    filter->merchant = options->merchant;
    bool is_wallet = role == BOOKS_WALLET;
    if (is_wallet && !id_parse("wal_", span_from_cstr(options->merchant), &filter->wallet)) {
        return command_misuse(command, "--account=wallet needs --merchant=wal_...");
    }
    return COMMAND_GO_ON;
}

static int
read_moment(const struct command *command, const char *name, const char *text, uint64_t *ret_ns)
{
    if (text[0] == '\0') {
        return COMMAND_GO_ON;
    }
    uint64_t now = os_wall_ns(os_clock_real());
    if (text_moment_parse(span_from_cstr(text), now, ret_ns) != ERR_OK) {
        return command_misuse(command, "--%s=%s is no time", name, text);
    }
    return COMMAND_GO_ON;
}

int
ledger_filter_read(
    const struct command *command,
    const struct ledger_list_options *options,
    struct ledger_filter *filter)
{
    const struct currency *currency = currency_find(span_from_cstr(options->currency));
    if (currency == NULL && options->currency[0] != '\0') {
        return command_misuse(command, "there is no currency '%s'", options->currency);
    }
    if (currency != NULL && options->ledger != 0) {
        return command_misuse(command, "--ledger and --currency exclude one another");
    }
    *filter = (struct ledger_filter){.ledger = (uint32_t)options->ledger};
    if (currency != NULL) {
        filter->ledger = books_ledger_number(currency, options->live);
    }
    int status = read_account(command, options, currency, filter);
    if (status == COMMAND_GO_ON) {
        status = read_moment(command, "since", options->since, &filter->since_ns);
    }
    if (status == COMMAND_GO_ON) {
        status = read_moment(command, "until", options->until, &filter->until_ns);
    }
    return status;
}

static void
write_flags(struct json_writer *json, const struct ledger_list_options *options, bool sides)
{
    json_key(json, "flags");
    json_array_begin(json);
    if (sides) {
        json_cstr(json, "debits");
        json_cstr(json, "credits");
    }
    if (options->reversed) {
        json_cstr(json, "reversed");
    }
    json_array_end(json);
}

void
ledger_filter_write(
    struct buf *out,
    const char *operation,
    const struct ledger_list_options *options,
    const struct ledger_filter *filter)
{
    struct json_writer json;
    bool of_account = filter->account != 0;
    json_begin(&json, out);
    json_object_begin(&json);
    json_member_cstr(&json, "op", operation);
    json_key(&json, "filter");
    json_object_begin(&json);
    if (of_account) {
        json_key(&json, "account_id");
        json_u128_text(&json, filter->account);
    } else {
        json_member_i64(&json, "ledger", filter->ledger);
    }
    json_member_i64(&json, "code", options->code);
    if (filter->wallet != 0) {
        json_key(&json, "user_data_128");
        json_u128_text(&json, filter->wallet);
    }
    json_key(&json, "timestamp_min");
    json_u64(&json, filter->since_ns);
    json_key(&json, "timestamp_max");
    json_u64(&json, filter->until_ns);
    json_member_i64(&json, "limit", options->limit);
    write_flags(&json, options, of_account);
    json_object_end(&json);
    json_object_end(&json);
}

int
ledger_post(
    struct client *client, const char *path, const struct buf *body, struct client_answer *answer)
{
    struct client_request request = {
        .method = HTTP_METHOD_POST,
        .target = span_from_cstr(path),
        .body = buf_span(body),
        .json = true,
    };
    return client_call(client, &request, answer);
}
