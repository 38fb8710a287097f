/* `tael qr` and `tael qr parse`. */
#include "qr.h"

#include "option.h"

#include "json/json.h"

#include <stdio.h>
#include <string.h>

struct parse_options {
    bool json;
};

static const struct setting parse_settings[] = {
    OPTION_SWITCH(struct parse_options, json, "json", "Prints the fields, or the error, as JSON."),
};

int
qr_read_text(
    const struct command *command,
    const char *word,
    char memory[QR_TEXT_SIZE],
    struct span *ret_text)
{
    if (strcmp(word, "-") != 0) {
        *ret_text = span_from_cstr(word);
        return COMMAND_GO_ON;
    }
    size_t size = fread(memory, 1, QR_TEXT_SIZE, stdin);
    if (ferror(stdin) != 0) {
        return command_fail(command, "standard input cannot be read");
    }
    if (size == QR_TEXT_SIZE) {
        return command_fail(command, "standard input is longer than a code can be");
    }
    if (size > 0 && memory[size - 1] == '\n') {
        size--;
    }
    if (size > 0 && memory[size - 1] == '\r') {
        size--;
    }
    *ret_text = span_of(memory, size);
    return COMMAND_GO_ON;
}

int
qr_show_refusal(const struct command *command, const struct emvqr_refusal *refusal, bool as_json)
{
    const char *message = emvqr_problem_text(refusal->problem);
    if (!as_json) {
        return command_fail(
            command, "%s%s%s", message, refusal->path[0] != '\0' ? "; in " : "", refusal->path);
    }
    char text[1024];
    struct buf out;
    struct json_writer json;
    buf_init_fixed(&out, text, sizeof(text));
    json_begin(&json, &out);
    json_object_begin(&json);
    json_key(&json, "error");
    json_object_begin(&json);
    json_member_cstr(&json, "code", emvqr_problem_name(refusal->problem));
    json_member_cstr(&json, "message", message);
    json_member_text_or_null(&json, "path", span_from_cstr(refusal->path));
    json_member_i64(&json, "position", (int64_t)refusal->position);
    json_object_end(&json);
    json_object_end(&json);
    (void)printf("%.*s\n", SPAN_PRINTF(buf_span(&out)));
    return COMMAND_FAILED;
}

static int
printed(const struct command *command, bool good)
{
    return good ? COMMAND_OK : command_fail(command, "out of memory");
}

static int
show_merchant(const struct command *command, struct span text, bool as_json)
{
    struct emvqr_code code;
    struct emvqr_refusal refusal;
    if (emvqr_parse(text, &code, &refusal) != ERR_OK) {
        return qr_show_refusal(command, &refusal, as_json);
    }
    return printed(
        command, as_json ? qr_print_merchant_json(text, &code) : qr_print_merchant(text, &code));
}

static int
show_consumer(const struct command *command, struct span text, bool as_json)
{
    uint8_t memory[EMVQR_CONSUMER_BYTES_MAX];
    struct emvqr_consumer code;
    struct emvqr_refusal refusal;
    int status;
    if (emvqr_consumer_parse(text, memory, &code, &refusal) != ERR_OK) {
        status = qr_show_refusal(command, &refusal, as_json);
    } else {
        bool good = as_json ? qr_print_consumer_json(&code) : qr_print_consumer(&code);
        status = printed(command, good);
    }
    explicit_bzero(memory, sizeof(memory)); /* it may hold a card number */
    return status;
}

static int
show_upi(const struct command *command, struct span text, bool as_json)
{
    char memory[EMVQR_UPI_BYTES_MAX];
    struct emvqr_upi upi;
    struct emvqr_refusal refusal;
    if (emvqr_upi_parse(text, memory, &upi, &refusal) != ERR_OK) {
        return qr_show_refusal(command, &refusal, as_json);
    }
    return printed(command, as_json ? qr_print_upi_json(&upi) : qr_print_upi(&upi));
}

int
qr_show(const struct command *command, struct span text, bool as_json)
{
    switch (emvqr_kind_of(text)) {
    case EMVQR_KIND_CONSUMER:
        return show_consumer(command, text, as_json);
    case EMVQR_KIND_UPI:
        return show_upi(command, text, as_json);
    case EMVQR_KIND_MERCHANT:
    case EMVQR_KIND_UNKNOWN: /* refused, with a reason */
        break;
    }
    return show_merchant(command, text, as_json);
}

static int
run_parse(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct parse_options values;
    const struct command_options options = {
        COMMAND_TABLE(parse_settings), .values = &values, .positional_min = 1, .positional_max = 1};
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    char memory[QR_TEXT_SIZE];
    struct span text = SPAN_EMPTY;
    status = qr_read_text(command, argv[1], memory, &text);
    if (status == COMMAND_GO_ON) {
        status = qr_show(command, text, values.json);
    }
    explicit_bzero(memory, sizeof(memory));
    return status;
}

const struct command command_qr_parse = {
    .name = "parse",
    .usage = "CODE|- [OPTIONS]",
    .summary = "Says what is in a payment code",
    .manual =
        "CODE is what a QR code reads as: an EMV code that a merchant shows (\"000201...\"), one\n"
        "that a payer shows (base64) or a UPI address. '-' reads it from standard input. A code\n"
        "that is damaged or breaks a rule is refused, with the rule, and ends with status 1.\n"
        "Amounts in JSON are in the API's smallest unit. Card numbers are not shown whole.",
    .run = run_parse,
    .parent = &command_qr,
};

static const struct command *const qr_children[] = {
    &command_qr_parse, &command_qr_build, &command_qr_image, NULL};

const struct command command_qr = {
    .name = "qr",
    .usage = "COMMAND",
    .summary = "Reads, builds and draws payment codes, without a server",
    .children = qr_children,
};
