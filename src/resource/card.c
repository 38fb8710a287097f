/*
 * Card data in a request: it goes to the vault, and the number and the security code are gone from
 * the request before anything else looks at it (M6). On a public route it waits, out of the
 * parameters, until the handler has found out that the request may leave one.
 */
#include "runtime.h"

#include "base/assert.h"

#include <string.h>

static struct form_node *
card_node(const struct resource_op *op)
{
    if (op->request == NULL || (op->route->flags & RESOURCE_CARD_DATA) == 0) {
        return NULL;
    }
    struct form_node *node = form_find(op->request->params, op->route->card_parameter);
    return node != NULL && node->kind == FORM_HASH ? node : NULL;
}

static void
wipe_child(struct form_node *card, struct span name)
{
    struct form_node *node = form_child(card, name);
    if (node != NULL && node->kind == FORM_TEXT) {
        if (node->text.size > 0) {
            /* The decoded copy in the request's arena, which is writable. */
            explicit_bzero((void *)(uintptr_t)node->text.data, node->text.size);
        }
        form_remove(node);
    }
}

static void
wipe_held(struct span *text)
{
    if (text->size > 0) {
        explicit_bzero((void *)(uintptr_t)text->data, text->size);
    }
    *text = SPAN_EMPTY;
}

void
resource_card_wipe(struct resource_op *op)
{
    struct form_node *card = card_node(op);
    if (card != NULL) {
        wipe_child(card, SPAN("number"));
        wipe_child(card, SPAN("cvc"));
    }
    wipe_held(&op->tokenize.number);
    wipe_held(&op->tokenize.cvc);
}

/* A required integer of the card; false if the operation was answered. */
static bool
card_integer(
    struct resource_op *op, const struct form_node *card, const char *name, int64_t *ret_value)
{
    const struct form_node *node = form_child(card, span_from_cstr(name));
    char param[FORM_NAME_MAX + 32];
    struct buf text;
    buf_init_fixed(&text, param, sizeof(param) - 1);
    buf_append_format(&text, "%s[%s]", op->route->card_parameter, name);
    param[text.size] = '\0';
    if (node == NULL) {
        resource_invalid(op, "parameter_missing", param, "Missing required param: %s.", param);
        return false;
    }
    if (node->kind != FORM_TEXT || !span_parse_i64(node->text, ret_value)) {
        resource_invalid(op, "parameter_invalid_integer", param, "Invalid integer for %s.", param);
        return false;
    }
    return true;
}

static void
tokenized(struct port_vault_tokenize *request)
{
    struct resource_op *op = CONTAINER_OF(request, struct resource_op, tokenize);
    resource_card_wipe(op);
    if (request->error != ERR_OK) {
        resource_internal(op, request->error, "vault");
        return;
    }
    op->has_card = true;
    if (op->card_step != NULL) {
        op->card_step(op);
    } else {
        resource_op_checked(op);
    }
}

static bool
is_public(const struct resource_op *op)
{
    return (op->route->flags & RESOURCE_PUBLIC) != 0;
}

/* Takes the member out of the card, where no check and no error can come upon it. */
static struct span
hold_child(struct form_node *card, struct span name)
{
    struct form_node *node = form_child(card, name);
    if (node == NULL || node->kind != FORM_TEXT) {
        return SPAN_EMPTY;
    }
    form_remove(node);
    return node->text;
}

static void
ask_vault(struct resource_op *op)
{
    struct port_vault *vault = op->runtime->parts.vault;
    op->tokenize.reply_to = op->runtime->executor;
    op->tokenize.done = tokenized;
    op->tokenize.trace = op->span.context;
    op->tokenize.scope = op->caller.scope;
    vault->tokenize(vault, &op->tokenize);
}

bool
resource_card_begin(struct resource_op *op)
{
    struct form_node *card = card_node(op);
    if (card != NULL && is_public(op)) {
        op->tokenize.number = hold_child(card, SPAN("number"));
        op->tokenize.cvc = hold_child(card, SPAN("cvc"));
        return false;
    }
    const struct form_node *number = form_child(card, SPAN("number"));
    if (number == NULL || number->kind != FORM_TEXT) {
        return false;
    }
    struct port_vault_tokenize *request = &op->tokenize;
    if (!card_integer(op, card, "exp_month", &request->exp_month) ||
        !card_integer(op, card, "exp_year", &request->exp_year)) {
        return true;
    }
    const struct form_node *cvc = form_child(card, SPAN("cvc"));
    request->number = number->text;
    request->cvc = cvc != NULL && cvc->kind == FORM_TEXT ? cvc->text : SPAN_EMPTY;
    ask_vault(op);
    return true;
}

void
resource_card_given(const struct resource_op *op, bool *ret_number, bool *ret_cvc)
{
    *ret_number = op->has_card || op->tokenize.number.size != 0;
    *ret_cvc = op->has_card ? op->tokenize.card.cvc_provided : op->tokenize.cvc.size != 0;
}

void
resource_card_keep(struct resource_op *op, int64_t exp_month, int64_t exp_year, resource_step step)
{
    ASSERT(is_public(op));
    if (op->has_card) { /* the operation has begun anew since */
        step(op);
        return;
    }
    op->card_step = step;
    op->tokenize.exp_month = exp_month;
    op->tokenize.exp_year = exp_year;
    ask_vault(op);
}

enum port_vault_outcome
resource_card_outcome(const struct resource_op *op)
{
    ASSERT(op->has_card);
    return op->tokenize.outcome;
}

const struct port_vault_card *
resource_card(struct resource_op *op)
{
    return op->has_card ? &op->tokenize.card : NULL;
}

static void
refuse_card(struct resource_op *op, const char *code, const char *param, const char *message)
{
    struct resource_error error = {
        .status = 402,
        .type = "card_error",
        .code = code,
        .param = span_from_cstr(param),
        .message = span_from_cstr(message),
        .executed = true,
    };
    resource_fail(op, &error);
}

bool
resource_card_accept(struct resource_op *op, enum port_vault_outcome outcome)
{
    switch (outcome) {
    case PORT_VAULT_OK:
        return true;
    case PORT_VAULT_INVALID_NUMBER:
        refuse_card(
            op, "invalid_number", "number", "The card number is not a valid credit card number.");
        break;
    case PORT_VAULT_INCORRECT_NUMBER:
        refuse_card(op, "incorrect_number", "number", "Your card number is incorrect.");
        break;
    case PORT_VAULT_INVALID_MONTH:
        refuse_card(
            op, "invalid_expiry_month", "exp_month", "Your card's expiration month is invalid.");
        break;
    case PORT_VAULT_INVALID_YEAR:
        refuse_card(
            op, "invalid_expiry_year", "exp_year", "Your card's expiration year is invalid.");
        break;
    case PORT_VAULT_INVALID_CVC:
        refuse_card(op, "invalid_cvc", "cvc", "Your card's security code is invalid.");
        break;
    case PORT_VAULT_UNKNOWN_TOKEN: /* the caller's, who named the token */
        UNREACHABLE();
    }
    return false;
}

bool
resource_card_check(struct resource_op *op)
{
    return !op->has_card || is_public(op) || resource_card_accept(op, op->tokenize.outcome);
}
