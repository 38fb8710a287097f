#include "bench_wallets.h"

#include "client.h"

#include "base/assert.h"
#include "form/form.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_SIZE   64
#define CODE_SIZE 513 /* the longest there are, and a zero */

struct maker {
    const struct command *command;
    struct client *client;
    struct bench_wallets *wallets;
    char qr_code[CODE_SIZE]; /* of the till: the payer enters the amount */
};

/* POSTs a form; the member `name` of the answer goes to `out`. */
static int
post(
    struct maker *maker,
    const char *target,
    const char *form,
    const char *name,
    char *out,
    size_t out_size)
{
    char key[CLIENT_IDEMPOTENCY_KEY_SIZE];
    client_new_key(key);
    const struct client_request request = {
        .method = HTTP_METHOD_POST,
        .target = span_from_cstr(target),
        .body = span_from_cstr(form),
        .idempotency_key = key,
    };
    struct client_answer answer;
    int status = client_call(maker->client, &request, &answer);
    if (status == COMMAND_GO_ON) {
        struct span text = client_text(answer.root, name);
        if (text.size == 0 || text.size >= out_size) {
            status = command_fail(maker->command, "%s: no %s in the answer", target, name);
        } else {
            memcpy(out, text.data, text.size);
            out[text.size] = '\0';
        }
    }
    client_answer_release(&answer);
    return status;
}

/* A customer's wallet with as much money in it as one card payment brings. */
static int
make_wallet(struct maker *maker, char wallet[ID_SIZE])
{
    char form[BENCH_WALLETS_FORM];
    char customer[ID_SIZE];
    char status_text[ID_SIZE];
    int status = post(maker, "/v1/customers", "name=bench", "id", customer, sizeof(customer));
    if (status == COMMAND_GO_ON) {
        (void)snprintf(form, sizeof(form), "customer=%s&currency=usd", customer);
        status = post(maker, "/v1/wallets", form, "id", wallet, ID_SIZE);
    }
    if (status == COMMAND_GO_ON) {
        (void)snprintf(
            form,
            sizeof(form),
            "amount=99999999&currency=usd&payment_method=pm_card_visa&confirm=true&"
            "transfer_data[destination]=%s",
            wallet);
        status =
            post(maker, "/v1/payment_intents", form, "status", status_text, sizeof(status_text));
    }
    if (status == COMMAND_GO_ON && strcmp(status_text, "succeeded") != 0) {
        status = command_fail(maker->command, "a top-up is %s", status_text);
    }
    return status;
}

static int
make_requests(struct maker *maker, uint32_t index)
{
    struct bench_wallets *wallets = maker->wallets;
    char wallet[ID_SIZE];
    char method[ID_SIZE];
    char form[BENCH_WALLETS_FORM];
    int status = make_wallet(maker, wallet);
    if (status == COMMAND_GO_ON) {
        (void)snprintf(form, sizeof(form), "type=wallet&wallet[id]=%s", wallet);
        status = post(maker, "/v1/payment_methods", form, "id", method, sizeof(method));
    }
    if (status != COMMAND_GO_ON) {
        return status;
    }
    (void)snprintf(
        wallets->forms[0][index],
        BENCH_WALLETS_FORM,
        "amount=100&currency=usd&payment_method=%s&confirm=true",
        method);
    struct buf scan;
    buf_init_fixed(&scan, wallets->forms[1][index], BENCH_WALLETS_FORM - 1);
    form_append_i64(&scan, "amount", 100);
    form_append(&scan, "wallet", span_from_cstr(wallet));
    form_append(&scan, "data", span_from_cstr(maker->qr_code));
    ASSERT(!buf_failed(&scan)); /* it has room for thrice the code */
    wallets->payments[index] = (struct bench_load_request){
        .target = "/v1/payment_intents",
        .form = wallets->forms[0][index],
        .expected = BENCH_PAYMENT_DONE,
    };
    wallets->qr_payments[index] = (struct bench_load_request){
        .target = "/v1/qr_payments",
        .form = wallets->forms[1][index],
        .expected = BENCH_PAYMENT_DONE,
    };
    return COMMAND_GO_ON;
}

int
bench_wallets_open(
    const struct command *command,
    const struct bench_load_settings *load,
    struct bench_wallets *wallets)
{
    struct client_options options = {.timeout_ms = 30000};
    struct maker maker = {.command = command, .wallets = wallets};
    (void)snprintf(
        options.url, sizeof(options.url), "http://%s:%u", load->host, (unsigned)load->port);
    (void)snprintf(options.key, sizeof(options.key), "%s", load->key);
    int status = client_open(command, &options, &maker.client);
    if (status == COMMAND_GO_ON) {
        status = post(
            &maker, "/v1/qr_codes", "currency=usd", "data", maker.qr_code, sizeof(maker.qr_code));
    }
    for (uint32_t i = 0; i < BENCH_WALLETS_COUNT && status == COMMAND_GO_ON; i++) {
        status = make_requests(&maker, i);
    }
    client_close(&maker.client);
    explicit_bzero(&options, sizeof(options)); /* the key */
    return status;
}
