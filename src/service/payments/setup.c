/* Setup intents: a card is kept to be charged later. Create, retrieve, update, list, cancel, and
 * the door to confirmation. */
#include "setup_machine.h"

#include "flow.h"
#include "handlers.h"
#include "method.h"
#include "resource/pages.h"

/* ---------------------------------------------------------------------------------- loading --- */

bool
payments_setup_load(struct payments_flow *flow, struct span id)
{
    void *found;
    err_t error = resource_load(flow->op, &payments_setup_type, id, &found);
    if (error == ERR_NOT_FOUND) {
        resource_missing(flow->op, "setupintent", "intent", id);
        return false;
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "setup");
        return false;
    }
    flow->setup = found;
    if (flow->setup->latest_attempt.size == 0) {
        return true;
    }
    error =
        resource_load(flow->op, &payments_setup_attempt_type, flow->setup->latest_attempt, &found);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "attempt of a setup");
        return false;
    }
    flow->setup_attempt = found;
    return true;
}

static bool
load_captured(struct payments_flow *flow)
{
    return payments_setup_load(flow, resource_op_capture(flow->op, 0)) &&
           payments_may_touch(flow, flow->setup->client_secret, "SetupIntent");
}

static void
load_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    if (load_captured(flow)) {
        flow->locked_step(op);
    }
}

static void
with_lock(struct resource_op *op, resource_step step)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow != NULL) {
        flow->locked_step = step;
        resource_lock(op, resource_op_capture(op, 0), load_locked);
    }
}

void
payments_setup_fail_state(struct payments_flow *flow, const char *verb, const char *param)
{
    struct span shown =
        payments_attempt_is_open(&flow->setup->attempt) ? SPAN("processing") : flow->setup->status;
    struct resource_error error = {
        .status = 400,
        .type = "invalid_request_error",
        .code = "setup_intent_unexpected_state",
        .param = param != NULL ? span_from_cstr(param) : SPAN_EMPTY,
        .message = arena_format(
            resource_op_arena(flow->op),
            "You cannot %s%s%s%s this SetupIntent because it has a status of %.*s.",
            verb,
            param != NULL ? " the " : "",
            param != NULL ? param : "",
            param != NULL ? " of" : "",
            SPAN_PRINTF(shown)),
        .setup_intent_json = resource_render_shown(flow->op, &payments_setup_type, flow->setup),
    };
    resource_fail(flow->op, &error);
}

/* ------------------------------------------------------------------------- reading parameters ---
 */

/* What create and update have in common; false if answered. */
static bool
read_common(struct payments_flow *flow)
{
    struct payments_setup *setup = flow->setup;
    struct resource_op *op = flow->op;
    (void)resource_text(op, "description", &setup->description);
    if (resource_present(op, "payment_method_options")) {
        setup->payment_method_options = resource_json(op, "payment_method_options");
    }
    if (resource_text(op, "customer", &setup->customer) && setup->customer.size != 0 &&
        !payments_customer_check(op, setup->customer)) {
        return false;
    }
    return payments_card_option(
               op,
               "request_three_d_secure",
               payments_three_d_secure_values,
               &setup->request_three_d_secure) &&
           payments_method_types(op, &setup->payment_method_types) &&
           resource_metadata(op, setup->metadata, &setup->metadata) == ERR_OK;
}

/* ----------------------------------------------------------------------------------- create --- */

/* The public event list has none for an update: `event` is NULL then. */
static void
save_without_confirming(struct payments_flow *flow, const char *event)
{
    struct payments_setup *setup = flow->setup;
    err_t error = ERR_OK;
    if (flow->method != NULL) {
        if (payments_attempt_is_open(&setup->attempt) ||
            !payments_setup_move(&setup->status, PAYMENTS_SETUP_ATTACH)) {
            payments_setup_fail_state(flow, "update", "payment_method");
            return;
        }
        setup->payment_method = flow->method->header.id;
        setup->due = 0;
        payments_challenge_drop(&setup->challenge, "replaced");
        if (flow->method->header.version == 0) {
            error = resource_save(flow->op, &payments_method_type, flow->method);
        }
    }
    if (error == ERR_OK) {
        error = resource_save(flow->op, &payments_setup_type, setup);
    }
    if (error == ERR_OK && event != NULL) {
        error = resource_emit(flow->op, event, &payments_setup_type, setup, SPAN_EMPTY);
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "setup");
        return;
    }
    payments_setup_answer(flow);
}

static void
create_chosen(struct payments_flow *flow)
{
    bool confirm = false;
    (void)resource_boolean(flow->op, "confirm", &confirm);
    if (confirm) {
        payments_setup_begin(flow);
    } else {
        save_without_confirming(flow, "setup_intent.created");
    }
}

static void
create_locked(struct resource_op *op)
{
    payments_method_choose(payments_flow_of(op), create_chosen);
}

void
payments_setup_create(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow == NULL) {
        return;
    }
    struct payments_setup *setup = resource_new(op, &payments_setup_type);
    if (setup == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    flow->setup = setup;
    setup->status =
        span_from_cstr(payments_setup_status_name(PAYMENTS_SETUP_REQUIRES_PAYMENT_METHOD));
    setup->usage = SPAN("off_session");
    (void)resource_text(op, "usage", &setup->usage);
    struct span secret = resource_new_secret(op, 25);
    setup->client_secret = arena_format(
        resource_op_arena(op),
        "%.*s_secret_%.*s",
        SPAN_PRINTF(setup->header.id),
        SPAN_PRINTF(secret));
    if (read_common(flow) && payments_automatic_methods(op, &setup->automatic_payment_methods)) {
        resource_lock(op, setup->header.id, create_locked);
    }
}

/* ------------------------------------------------------------------------- the other routes --- */

static void
confirm_chosen(struct payments_flow *flow)
{
    struct resource_op *op = flow->op;
    if (resource_present(op, "payment_method_options")) {
        flow->setup->payment_method_options = resource_json(op, "payment_method_options");
    }
    if (payments_card_option(
            op,
            "request_three_d_secure",
            payments_three_d_secure_values,
            &flow->setup->request_three_d_secure)) {
        payments_setup_begin(flow);
    }
}

static void
confirm_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    struct span status = flow->setup->status;
    if (payments_attempt_is_open(&flow->setup->attempt) ||
        !payments_setup_move(&status, PAYMENTS_SETUP_ATTACH)) {
        payments_setup_fail_state(flow, "confirm", NULL);
        return;
    }
    if (resource_op_caller(op)->key_kind == RESOURCE_KEY_PUBLISHABLE &&
        resource_node(op, "payment_method_options") != NULL) {
        /* The merchant may have asked for a proof there, and a payer must not take that back. */
        resource_invalid(
            op,
            "secret_key_required",
            "payment_method_options",
            "Only a secret key may give payment_method_options when it confirms a SetupIntent.");
        return;
    }
    payments_method_choose(flow, confirm_chosen);
}

void
payments_setup_confirm(struct resource_op *op)
{
    with_lock(op, confirm_locked);
}

static void
update_chosen(struct payments_flow *flow)
{
    save_without_confirming(flow, NULL);
}

static void
unset_method(struct payments_flow *flow)
{
    struct payments_setup *setup = flow->setup;
    if (payments_attempt_is_open(&setup->attempt) ||
        !payments_setup_move(&setup->status, PAYMENTS_SETUP_UNSET)) {
        payments_setup_fail_state(flow, "update", "payment_method");
        return;
    }
    setup->payment_method = SPAN_EMPTY;
    setup->due = 0;
    payments_challenge_drop(&setup->challenge, "replaced");
    update_chosen(flow);
}

/* What the issuer is asked, and whose the card becomes, is settled when it was asked, or when the
 * setup was canceled. False: answered. */
static bool
may_change(struct payments_flow *flow)
{
    static const char *const names[] = {
        "payment_method",
        "payment_method_data",
        "payment_method_options",
        "payment_method_types",
        NULL};
    const struct payments_setup *setup = flow->setup;
    struct span customer = setup->customer;
    struct span status = setup->status;
    (void)resource_text(flow->op, "customer", &customer);
    const char *param = payments_first_given(flow->op, names);
    if (param == NULL && !span_equal(customer, setup->customer)) {
        param = "customer";
    }
    if (param == NULL || (!payments_attempt_is_open(&setup->attempt) &&
                          payments_setup_move(&status, PAYMENTS_SETUP_ATTACH))) {
        return true;
    }
    payments_setup_fail_state(flow, "update", param);
    return false;
}

static void
update_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    if (!may_change(flow) || !read_common(flow)) {
        return;
    }
    if (payments_method_is_unset(op)) {
        unset_method(flow);
    } else if (
        resource_present(op, "payment_method") || resource_present(op, "payment_method_data")) {
        payments_method_choose(flow, update_chosen);
    } else {
        update_chosen(flow);
    }
}

void
payments_setup_update(struct resource_op *op)
{
    with_lock(op, update_locked);
}

static err_t
save_canceled(struct payments_flow *flow)
{
    struct payments_setup *setup = flow->setup;
    struct payments_setup_attempt *attempt = flow->setup_attempt;
    setup->due = 0;
    payments_challenge_drop(&setup->challenge, "canceled");
    if (attempt != NULL && span_equal_cstr(attempt->status, "requires_action")) {
        attempt->status = SPAN("abandoned");
        TRY(resource_save(flow->op, &payments_setup_attempt_type, attempt));
    }
    TRY(resource_save(flow->op, &payments_setup_type, setup));
    return resource_emit(
        flow->op, "setup_intent.canceled", &payments_setup_type, setup, SPAN_EMPTY);
}

static void
cancel_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    struct payments_setup *setup = flow->setup;
    if (payments_attempt_is_open(&setup->attempt) ||
        !payments_setup_move(&setup->status, PAYMENTS_SETUP_CANCEL)) {
        payments_setup_fail_state(flow, "cancel", NULL);
        return;
    }
    (void)resource_text(op, "cancellation_reason", &setup->cancellation_reason);
    err_t error = save_canceled(flow);
    if (error != ERR_OK) {
        resource_internal(op, error, "setup");
        return;
    }
    payments_setup_answer(flow);
}

void
payments_setup_cancel(struct resource_op *op)
{
    with_lock(op, cancel_locked);
}

void
payments_setup_retrieve(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow != NULL && load_captured(flow)) {
        payments_setup_answer(flow);
    }
}

void
payments_setup_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {
        {"customer", PAYMENTS_SETUP_CUSTOMER},
        {"payment_method", PAYMENTS_SETUP_METHOD},
    };
    resource_answer_list(op, &payments_setup_type, "/v1/setup_intents", filters, 2);
}

void
payments_setup_attempt_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {
        {"setup_intent", PAYMENTS_SETUP_ATTEMPT_SETUP},
    };
    resource_answer_list(op, &payments_setup_attempt_type, "/v1/setup_attempts", filters, 1);
}
