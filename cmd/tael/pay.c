/* `tael pay`: one card payment. */
#include "amount.h"
#include "client.h"
#include "payment_view.h"

#include "form/form.h"

#include <stdio.h>
#include <string.h>

#define FORM_MAX        (1U << 16)
#define CARD_SIZE       64
#define IDEMPOTENT_SIZE 256

struct pay_options {
    struct client_options client;
    char amount[48];
    char currency[8];
    char card[CARD_SIZE];
    char expiry[16];
    char cvc[8];
    char capture[16];
    char customer[80];
    char description[1001];
    char idempotency_key[IDEMPOTENT_SIZE];
};

static const struct setting pay_settings[] = {
    OPTION_TEXT(struct pay_options, amount, "amount", "", AMOUNT_HELP),
    OPTION_TEXT(struct pay_options, currency, "currency", "usd", "ISO 4217 code."),
    OPTION_SECRET(
        struct pay_options,
        card,
        "card",
        "pm_card_visa",
        "A card number, - to read it from standard input, a payment method (pm_...), or a test "
        "token (tok_visa, pm_card_visa_chargeDeclinedInsufficientFunds)."),
    OPTION_TEXT(struct pay_options, expiry, "expiry", "12/34", "With a card number: MM/YY."),
    OPTION_SECRET(struct pay_options, cvc, "cvc", "123", "With a card number."),
    OPTION_TEXT(
        struct pay_options,
        capture,
        "capture",
        "automatic",
        "automatic, or manual: authorize now, capture later."),
    OPTION_TEXT(struct pay_options, customer, "customer", "", "A customer's id."),
    OPTION_TEXT(struct pay_options, description, "description", "", "Kept with the payment."),
    OPTION_TEXT(
        struct pay_options,
        idempotency_key,
        "idempotency-key",
        "",
        "The same key again gives the same payment, not another one. Default: a new one."),
    CLIENT_OPTIONS(struct pay_options),
};

/* One line, without what surrounds the digits. */
static bool
read_card(char card[CARD_SIZE])
{
    char line[CARD_SIZE];
    if (fgets(line, sizeof(line), stdin) == NULL) {
        return false;
    }
    struct span text =
        span_trim(span_slice(span_from_cstr(line), 0, span_find(span_from_cstr(line), '\n', 0)));
    memset(card, 0, CARD_SIZE);
    memcpy(card, text.data, text.size);
    explicit_bzero(line, sizeof(line));
    return text.size > 0;
}

static int
append_card(const struct command *command, struct pay_options *options, struct buf *form)
{
    if (strcmp(options->card, "-") == 0 && !read_card(options->card)) {
        return command_fail(command, "there is no card number on standard input");
    }
    struct span card = span_from_cstr(options->card);
    if (span_starts_with(card, SPAN("pm_"))) {
        form_append(form, "payment_method", card);
        return COMMAND_GO_ON;
    }
    form_append(form, "payment_method_data[type]", SPAN("card"));
    if (span_starts_with(card, SPAN("tok_"))) {
        form_append(form, "payment_method_data[card][token]", card);
        return COMMAND_GO_ON;
    }
    int64_t month;
    int64_t year;
    if (text_expiry_parse(span_from_cstr(options->expiry), &month, &year) != ERR_OK) {
        return command_misuse(command, "--expiry is MM/YY");
    }
    form_append(form, "payment_method_data[card][number]", card);
    form_append_i64(form, "payment_method_data[card][exp_month]", month);
    form_append_i64(form, "payment_method_data[card][exp_year]", year);
    form_append(form, "payment_method_data[card][cvc]", span_from_cstr(options->cvc));
    return COMMAND_GO_ON;
}

static void
append_optional(struct buf *form, const char *name, const char *value)
{
    if (value[0] != '\0') {
        form_append(form, name, span_from_cstr(value));
    }
}

static int
make_form(const struct command *command, struct pay_options *options, struct buf *form)
{
    int64_t amount;
    struct span code = span_from_cstr(options->currency);
    const struct currency *currency = currency_find(code);
    if (options->amount[0] == '\0') {
        return command_misuse(command, "--amount=AMOUNT is needed");
    }
    if (currency == NULL) {
        return command_misuse(command, "there is no currency '%s'", options->currency);
    }
    int status = amount_read(command, "amount", options->amount, currency, &amount);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    form_append_i64(form, "amount", amount);
    form_append(form, "currency", span_from_cstr(currency->api_code));
    form_append(form, "confirm", SPAN("true"));
    form_append(form, "capture_method", span_from_cstr(options->capture));
    append_optional(form, "customer", options->customer);
    append_optional(form, "description", options->description);
    if (!options->client.json) {
        payment_view_expand(form, "");
    }
    return append_card(command, options, form);
}

static int
send_form(const struct command *command, struct pay_options *options, struct buf *form)
{
    char new_key[CLIENT_IDEMPOTENCY_KEY_SIZE];
    struct client *client = NULL;
    int status = client_open(command, &options->client, &client);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    client_new_key(new_key);
    struct client_request request = {
        .method = HTTP_METHOD_POST,
        .target = SPAN("/v1/payment_intents"),
        .body = buf_span(form),
        .idempotency_key = options->idempotency_key[0] != '\0' ? options->idempotency_key : new_key,
    };
    struct client_answer answer;
    status = client_call(client, &request, &answer);
    if (status == COMMAND_GO_ON) {
        status = COMMAND_OK;
        if (options->client.json) {
            client_answer_print(&answer);
        } else if (!payment_view_print(answer.root)) {
            status = COMMAND_FAILED;
        }
    }
    client_answer_release(&answer);
    client_close(&client);
    return status;
}

static int
run_pay(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct pay_options values;
    const struct command_options options = {
        COMMAND_TABLE(pay_settings),
        .values = &values,
    };
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    struct buf form;
    buf_init(&form, FORM_MAX);
    status = make_form(command, &values, &form);
    if (status == COMMAND_GO_ON && buf_failed(&form)) {
        status = command_fail(command, "out of memory");
    }
    if (status == COMMAND_GO_ON) {
        status = send_form(command, &values, &form);
    }
    buf_wipe(&form);
    buf_release(&form);
    explicit_bzero(&values, sizeof(values));
    return status;
}

const struct command command_pay = {
    .name = "pay",
    .usage = "--amount=AMOUNT [OPTIONS]",
    .summary = "Takes one card payment",
    .manual = "A payment that is declined ends with status 1 and says why. A card number in a\n"
              "command line can be seen by others on this machine: --card=- reads it instead.",
    .run = run_pay,
};
