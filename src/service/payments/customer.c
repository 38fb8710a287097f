/* Customers: who pays, for merchants that remember them. */
#include "flow.h"
#include "handlers.h"
#include "method.h"
#include "resource/pages.h"

/* `attached`: the method that the customer is created with, or NULL. False: answered. */
static bool
read_default_method(
    struct resource_op *op,
    struct payments_customer *customer,
    const struct payments_method *attached)
{
    static const char param[] = "invoice_settings[default_payment_method]";
    struct span id = SPAN_EMPTY;
    struct span given = SPAN_EMPTY;
    void *found = NULL;
    if (!resource_text(op, param, &id)) {
        return true;
    }
    (void)resource_text(op, "payment_method", &given);
    if (attached != NULL && span_equal(id, given)) {
        id = attached->header.id; /* a test token's name is not its id */
    } else if (id.size != 0) {
        err_t error = resource_load(op, &payments_method_type, id, &found);
        if (error != ERR_OK && error != ERR_NOT_FOUND) {
            resource_internal(op, error, "payment method");
            return false;
        }
        const struct payments_method *method = found;
        if (method == NULL || !span_equal(method->customer, customer->header.id)) {
            resource_invalid(
                op,
                "resource_missing",
                param,
                "The customer does not have a payment method with the ID %.*s. The payment method "
                "must be attached to the customer.",
                SPAN_PRINTF(id));
            return false;
        }
    }
    customer->default_payment_method = id;
    return true;
}

static bool
read_members(
    struct resource_op *op,
    struct payments_customer *customer,
    const struct payments_method *attached)
{
    (void)resource_text(op, "name", &customer->name);
    (void)resource_text(op, "email", &customer->email);
    (void)resource_text(op, "phone", &customer->phone);
    (void)resource_text(op, "description", &customer->description);
    payments_address_read(op, &customer->address);
    payments_shipping_read(op, &customer->shipping);
    if (resource_present(op, "preferred_locales")) {
        customer->preferred_locales = resource_json(op, "preferred_locales");
    }
    return read_default_method(op, customer, attached) &&
           resource_metadata(op, customer->metadata, &customer->metadata) == ERR_OK;
}

static void
save_and_answer(struct resource_op *op, struct payments_customer *customer, const char *event)
{
    resource_answer_saved(op, &payments_customer_type, customer, "customer", event);
}

bool
payments_customer_check(struct resource_op *op, struct span id)
{
    return resource_require(op, &payments_customer_type, "customer", id) != NULL;
}

err_t
payments_customer_lose_method(struct resource_op *op, struct span id, struct span method)
{
    void *found;
    err_t error = resource_load(op, &payments_customer_type, id, &found);
    if (error != ERR_OK) {
        return error == ERR_NOT_FOUND ? ERR_OK : error;
    }
    struct payments_customer *customer = found;
    if (!span_equal(customer->default_payment_method, method)) {
        return ERR_OK;
    }
    customer->default_payment_method = SPAN_EMPTY;
    TRY(resource_save(op, &payments_customer_type, customer));
    return resource_emit(op, "customer.updated", &payments_customer_type, customer, SPAN_EMPTY);
}

/* NULL: answered. A deleted customer still answers a retrieval, with `deleted`. */
static struct payments_customer *
load(struct resource_op *op, bool show_deleted)
{
    struct span id = resource_op_capture(op, 0);
    void *found;
    err_t error = resource_load(op, &payments_customer_type, id, &found);
    if (error == ERR_OK) {
        return found;
    }
    if (error == ERR_NOT_FOUND && show_deleted) {
        error = resource_load(op, &payments_deleted_customer_type, id, &found);
        if (error == ERR_OK) {
            resource_answer_object(op, &payments_deleted_customer_type, found);
            return NULL;
        }
    }
    if (error == ERR_NOT_FOUND) {
        resource_missing(op, "customer", "id", id);
    } else {
        resource_internal(op, error, "customer");
    }
    return NULL;
}

static void
create_verified(struct payments_flow *flow)
{
    struct payments_customer *customer = resource_new(flow->op, &payments_customer_type);
    if (customer == NULL) {
        resource_internal(flow->op, ERR_FULL, "request memory");
        return;
    }
    if (!read_members(flow->op, customer, flow->method)) {
        return;
    }
    if (flow->method != NULL) {
        flow->method->customer = customer->header.id;
        err_t error = resource_save(flow->op, &payments_method_type, flow->method);
        if (error == ERR_OK) {
            error = resource_emit(
                flow->op,
                "payment_method.attached",
                &payments_method_type,
                flow->method,
                SPAN_EMPTY);
        }
        if (error != ERR_OK) {
            resource_internal(flow->op, error, "payment method");
            return;
        }
    }
    save_and_answer(flow->op, customer, "customer.created");
}

static void
create_chosen(struct payments_flow *flow)
{
    if (flow->method == NULL) {
        create_verified(flow);
    } else if (flow->method->customer.size != 0) {
        resource_invalid(
            flow->op,
            NULL,
            "payment_method",
            "The payment method you provided has already been attached to a customer.");
    } else {
        payments_method_verify(flow, create_verified);
    }
}

void
payments_customer_create(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow != NULL) {
        payments_method_choose(flow, create_chosen);
    }
}

void
payments_customer_retrieve(struct resource_op *op)
{
    struct payments_customer *customer = load(op, true);
    if (customer != NULL) {
        resource_answer_object(op, &payments_customer_type, customer);
    }
}

static void
update_locked(struct resource_op *op)
{
    struct payments_customer *customer = load(op, false);
    if (customer != NULL && read_members(op, customer, NULL)) {
        save_and_answer(op, customer, "customer.updated");
    }
}

void
payments_customer_update(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), update_locked);
}

/* Detaches what is attached, so that no saved card outlives its owner. One at a time: saving while
 * reading would disturb the reading. */
static err_t
detach_all(struct resource_op *op, struct span customer)
{
    for (;;) {
        void *found;
        TRY(resource_find_first(
            op, &payments_method_type, PAYMENTS_METHOD_CUSTOMER, customer, &found));
        struct payments_method *method = found;
        if (method == NULL) {
            return ERR_OK;
        }
        payments_method_detached(method);
        TRY(resource_save(op, &payments_method_type, method));
        TRY(resource_emit(
            op, "payment_method.detached", &payments_method_type, method, SPAN_EMPTY));
    }
}

static void
delete_locked(struct resource_op *op)
{
    struct payments_customer *customer = load(op, true);
    if (customer == NULL) {
        return;
    }
    struct payments_deleted_customer *deleted = resource_new(op, &payments_deleted_customer_type);
    if (deleted == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    deleted->header.id = customer->header.id;
    err_t error =
        resource_emit(op, "customer.deleted", &payments_customer_type, customer, SPAN_EMPTY);
    if (error == ERR_OK) {
        error = detach_all(op, customer->header.id);
    }
    if (error == ERR_OK) {
        error = resource_remove(op, &payments_customer_type, customer);
    }
    if (error == ERR_OK) {
        error = resource_save(op, &payments_deleted_customer_type, deleted);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "customer");
        return;
    }
    resource_answer_object(op, &payments_deleted_customer_type, deleted);
}

void
payments_customer_delete(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), delete_locked);
}

void
payments_customer_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {{"email", PAYMENTS_CUSTOMER_EMAIL}};
    resource_answer_list(op, &payments_customer_type, "/v1/customers", filters, 1);
}

void
payments_customer_method_list(struct resource_op *op)
{
    struct span customer = resource_op_capture(op, 0);
    if (load(op, false) == NULL) {
        return;
    }
    struct span url = arena_format(
        resource_op_arena(op), "/v1/customers/%.*s/payment_methods", SPAN_PRINTF(customer));
    payments_method_list_of(op, customer, url);
}

void
payments_customer_method_retrieve(struct resource_op *op)
{
    struct span id = resource_op_capture(op, 1);
    void *found;
    err_t error = resource_load(op, &payments_method_type, id, &found);
    if (error == ERR_OK &&
        !span_equal(((struct payments_method *)found)->customer, resource_op_capture(op, 0))) {
        error = ERR_NOT_FOUND;
    }
    if (error == ERR_NOT_FOUND) {
        resource_missing(op, "PaymentMethod", "payment_method", id);
    } else if (error != ERR_OK) {
        resource_internal(op, error, "payment method");
    } else {
        resource_answer_object(op, &payments_method_type, found);
    }
}
