/* `tael payments list, show, capture, cancel, refund`. */
#include "amount.h"
#include "object.h"
#include "payment_view.h"

#include "form/form.h"

#include <string.h>

#define FORM_MAX    (1U << 16)
#define TARGET_SIZE 1024

struct payments_options {
    struct client_options client;
    char amount[48];
    char reason[64];
    char customer[80];
    char after[80];
    char idempotency_key[256];
    int64_t limit;
};

#define KEY_OPTION                                                                                 \
    OPTION_TEXT(                                                                                   \
        struct payments_options,                                                                   \
        idempotency_key,                                                                           \
        "idempotency-key",                                                                         \
        "",                                                                                        \
        "The same key again does nothing twice. Default: a new one.")
#define AMOUNT_OPTION(help_)                                                                       \
    OPTION_TEXT(struct payments_options, amount, "amount", "", help_ " " AMOUNT_HELP)
#define REASON_OPTION(help_) OPTION_TEXT(struct payments_options, reason, "reason", "", help_)

static const struct setting list_settings[] = {
    OPTION_NUMBER(struct payments_options, limit, "limit", "10", 1, 100, "payments", "At most."),
    OPTION_TEXT(struct payments_options, customer, "customer", "", "Only of this customer."),
    OPTION_TEXT(
        struct payments_options, after, "after", "", "Only those listed behind this payment's id."),
    CLIENT_OPTIONS(struct payments_options),
};
static const struct setting show_settings[] = {CLIENT_OPTIONS(struct payments_options)};
static const struct setting capture_settings[] = {
    AMOUNT_OPTION("Less than what was authorized; the rest is released. Default: all of it."),
    KEY_OPTION,
    CLIENT_OPTIONS(struct payments_options),
};
static const struct setting cancel_settings[] = {
    REASON_OPTION("duplicate, fraudulent, requested_by_customer or abandoned."),
    KEY_OPTION,
    CLIENT_OPTIONS(struct payments_options),
};
static const struct setting refund_settings[] = {
    AMOUNT_OPTION("Default: what was not refunded yet."),
    REASON_OPTION("duplicate, fraudulent or requested_by_customer."),
    KEY_OPTION,
    CLIENT_OPTIONS(struct payments_options),
};

/* One run of a command, with a form. */
struct run {
    struct payments_options options;
    struct object_run object;
    struct buf form;
    char target_text[TARGET_SIZE];
};

static int
begin(struct run *run, const struct command *command, struct command_options options, char **argv)
{
    buf_init(&run->form, FORM_MAX);
    options.values = &run->options;
    return object_begin(&run->object, command, options, &run->options.client, argv);
}

static int
end(struct run *run, int status)
{
    client_close(&run->object.client);
    buf_release(&run->form);
    explicit_bzero(&run->options, sizeof(run->options));
    return status;
}

/* "/v1/payment_intents/pi_.../capture" */
static struct span
intent_target(struct run *run, const char *action)
{
    struct buf path;
    buf_init_fixed(&path, run->target_text, sizeof(run->target_text));
    buf_append_cstr(&path, "/v1/payment_intents/");
    buf_append_span(&path, run->object.id);
    buf_append_cstr(&path, action);
    return buf_span(&path);
}

/* Sends the form to the target, and prints the answer as `print` does. */
static int
post(struct run *run, struct span target, bool (*print)(const struct json_value *object))
{
    char new_key[CLIENT_IDEMPOTENCY_KEY_SIZE];
    const char *given = run->options.idempotency_key;
    client_new_key(new_key);
    struct client_request request = {
        .method = HTTP_METHOD_POST,
        .target = target,
        .body = buf_span(&run->form),
        .idempotency_key = given[0] != '\0' ? given : new_key,
    };
    struct client_answer answer;
    int status = client_call(run->object.client, &request, &answer);
    if (status == COMMAND_GO_ON) {
        status = object_print(&run->object, &answer, print);
    }
    client_answer_release(&answer);
    return status;
}

/* --amount in the payment's currency, which the server knows, as parameter `name`. */
static int
append_amount(struct run *run, const char *name)
{
    if (run->options.amount[0] == '\0') {
        return COMMAND_GO_ON;
    }
    struct client_answer answer;
    int status = object_get(&run->object, "/v1/payment_intents/", "", SPAN_EMPTY, &answer);
    if (status == COMMAND_GO_ON) {
        int64_t amount = 0;
        const struct currency *currency = currency_find(client_text(answer.root, "currency"));
        if (currency == NULL) {
            status = command_fail(run->object.command, "the payment's currency is unknown here");
        } else {
            status =
                amount_read(run->object.command, "amount", run->options.amount, currency, &amount);
            if (status == COMMAND_GO_ON) {
                form_append_i64(&run->form, name, amount);
            }
        }
    }
    client_answer_release(&answer);
    return status;
}

static void
expand_for_people(struct run *run)
{
    if (!run->options.client.json) {
        payment_view_expand(&run->form, "");
    }
}

static int
run_list(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct run run;
    int status = begin(&run, command, (struct command_options){COMMAND_TABLE(list_settings)}, argv);
    if (status != COMMAND_GO_ON) {
        return end(&run, status);
    }
    object_list_form(&run.form, run.options.limit, run.options.customer, run.options.after);
    if (!run.options.client.json) {
        payment_view_expand(&run.form, "data.");
    }
    struct client_answer answer;
    status = object_get(&run.object, "/v1/payment_intents", "", buf_span(&run.form), &answer);
    if (status == COMMAND_GO_ON) {
        status =
            object_print_list(&run.object, &answer, payment_view_list, "There are no payments.");
    }
    client_answer_release(&answer);
    return end(&run, status);
}

#define ONE_ID .positional_min = 1, .positional_max = 1

static int
run_show(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct run run;
    int status =
        begin(&run, command, (struct command_options){COMMAND_TABLE(show_settings), ONE_ID}, argv);
    if (status != COMMAND_GO_ON) {
        return end(&run, status);
    }
    expand_for_people(&run);
    struct client_answer answer;
    status = object_get(&run.object, "/v1/payment_intents/", "", buf_span(&run.form), &answer);
    if (status == COMMAND_GO_ON) {
        status = object_print(&run.object, &answer, payment_view_print);
    }
    client_answer_release(&answer);
    return end(&run, status);
}

static int
run_capture(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct run run;
    int status = begin(
        &run, command, (struct command_options){COMMAND_TABLE(capture_settings), ONE_ID}, argv);
    if (status == COMMAND_GO_ON) {
        status = append_amount(&run, "amount_to_capture");
    }
    if (status == COMMAND_GO_ON) {
        expand_for_people(&run);
        status = post(&run, intent_target(&run, "/capture"), payment_view_print);
    }
    return end(&run, status);
}

static int
run_cancel(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct run run;
    int status = begin(
        &run, command, (struct command_options){COMMAND_TABLE(cancel_settings), ONE_ID}, argv);
    if (status == COMMAND_GO_ON) {
        if (run.options.reason[0] != '\0') {
            form_append(&run.form, "cancellation_reason", span_from_cstr(run.options.reason));
        }
        expand_for_people(&run);
        status = post(&run, intent_target(&run, "/cancel"), payment_view_print);
    }
    return end(&run, status);
}

static int
run_refund(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct run run;
    int status = begin(
        &run, command, (struct command_options){COMMAND_TABLE(refund_settings), ONE_ID}, argv);
    if (status == COMMAND_GO_ON) {
        status = append_amount(&run, "amount");
    }
    if (status == COMMAND_GO_ON) {
        form_append(&run.form, "payment_intent", run.object.id);
        if (run.options.reason[0] != '\0') {
            form_append(&run.form, "reason", span_from_cstr(run.options.reason));
        }
        status = post(&run, SPAN("/v1/refunds"), payment_view_refund);
    }
    return end(&run, status);
}

static const struct command payments_list = {
    .name = "list",
    .usage = "[OPTIONS]",
    .summary = "The newest payments",
    .run = run_list,
    .parent = &command_payments,
};
static const struct command payments_show = {
    .name = "show",
    .usage = "PAYMENT [OPTIONS]",
    .summary = "One payment",
    .run = run_show,
    .parent = &command_payments,
};
static const struct command payments_capture = {
    .name = "capture",
    .usage = "PAYMENT [OPTIONS]",
    .summary = "Takes the money of an authorized payment",
    .run = run_capture,
    .parent = &command_payments,
};
static const struct command payments_cancel = {
    .name = "cancel",
    .usage = "PAYMENT [OPTIONS]",
    .summary = "Gives up a payment and releases what was authorized",
    .run = run_cancel,
    .parent = &command_payments,
};
static const struct command payments_refund = {
    .name = "refund",
    .usage = "PAYMENT [OPTIONS]",
    .summary = "Gives money of a payment back",
    .run = run_refund,
    .parent = &command_payments,
};

static const struct command *const payments_children[] = {
    &payments_list, &payments_show, &payments_capture, &payments_cancel, &payments_refund, NULL};

const struct command command_payments = {
    .name = "payments",
    .usage = "COMMAND",
    .summary = "Shows, captures, cancels and refunds payments",
    .children = payments_children,
};
