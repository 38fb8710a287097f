/* What is known of a payment, or a setup, when it begins. */
#include "risk.h"

#include "json/json_in.h"

#define BILLING_VALUES_MAX 64

static bool
wants(uint64_t wanted, enum payments_risk_attribute attribute)
{
    return (wanted >> attribute & 1) != 0;
}

static void
set_text(struct payments_risk_facts *facts, enum payments_risk_attribute at, struct span text)
{
    facts->facts[at] = (struct rule_fact){.present = text.size != 0, .text = text};
}

static void
set_number(struct payments_risk_facts *facts, enum payments_risk_attribute at, int64_t number)
{
    facts->facts[at] = (struct rule_fact){.present = true, .number = number};
}

/* A person's browser asks: where that is, the front has seen, and nobody says. */
static bool
is_browser(const struct resource_op *op)
{
    enum resource_key_kind kind = resource_op_caller(op)->key_kind;
    return kind == RESOURCE_KEY_PUBLISHABLE || kind == RESOURCE_KEY_NONE;
}

/* Empty: none, or nonsense that a gateway passed on. */
static struct span
browser_address(struct resource_op *op)
{
    struct span value;
    struct span seen = resource_op_request(op)->address;
    return payments_risk_value(PAYMENTS_RISK_IP_ADDRESS, seen, resource_op_arena(op), &value)
               ? seen
               : SPAN_EMPTY;
}

bool
payments_risk_address(struct resource_op *op, struct span *ret_address)
{
    static const char param[] = "radar_options[ip_address]";
    const struct form_node *options = resource_node(op, "radar_options");
    const struct form_node *given = options != NULL && options->kind == FORM_HASH
                                        ? form_child(options, SPAN("ip_address"))
                                        : NULL;
    struct span value;
    bool browser = is_browser(op);
    *ret_address = SPAN_EMPTY;
    if (given == NULL) {
        *ret_address = browser ? browser_address(op) : SPAN_EMPTY;
        return true;
    }
    if (browser) {
        resource_invalid(op, NULL, param, "Only a secret key says where a payment comes from.");
        return false;
    }
    bool is =
        given->kind == FORM_TEXT &&
        payments_risk_value(PAYMENTS_RISK_IP_ADDRESS, given->text, resource_op_arena(op), &value);
    if (!is) {
        resource_invalid(op, NULL, param, "This is not an address of IPv4 or IPv6.");
        return false;
    }
    *ret_address = given->text;
    return true;
}

/* The first that is there: the payment's, the receipt's, the customer's. */
static err_t
find_email(struct payments_flow *flow, struct span customer, struct span *ret_email)
{
    struct arena *arena = resource_op_arena(flow->op);
    struct json_value *root = NULL;
    struct json_problem problem;
    *ret_email = SPAN_EMPTY;
    if (flow->method->billing_details.size != 0) {
        TRY(json_read(flow->method->billing_details, arena, BILLING_VALUES_MAX, &root, &problem));
        if (json_value_text(json_value_member(root, SPAN("email")), ret_email) != ERR_OK) {
            *ret_email = SPAN_EMPTY;
        }
    }
    if (ret_email->size == 0 && flow->intent != NULL) {
        *ret_email = flow->intent->receipt_email;
    }
    if (ret_email->size == 0 && customer.size != 0) {
        void *found;
        err_t error = resource_load(flow->op, &payments_customer_type, customer, &found);
        if (error != ERR_OK) {
            return error == ERR_NOT_FOUND ? ERR_OK : error;
        }
        *ret_email = ((struct payments_customer *)found)->email;
    }
    return ERR_OK;
}

static err_t
read_email(
    struct payments_flow *flow,
    uint64_t wanted,
    struct span customer,
    struct payments_risk_facts *facts)
{
    struct span email;
    if (!wants(wanted, PAYMENTS_RISK_EMAIL_ADDRESS) && !wants(wanted, PAYMENTS_RISK_EMAIL_DOMAIN)) {
        return ERR_OK;
    }
    TRY(find_email(flow, customer, &email));
    set_text(facts, PAYMENTS_RISK_EMAIL_ADDRESS, email);
    size_t at = span_find(email, '@', 0);
    set_text(facts, PAYMENTS_RISK_EMAIL_DOMAIN, span_slice(email, at + 1, email.size));
    return ERR_OK;
}

/* In one form for all that are equal. */
static struct span
subject(struct payments_flow *flow, enum payments_risk_item item, const struct rule_fact *fact)
{
    struct span value = SPAN_EMPTY;
    struct arena *arena = resource_op_arena(flow->op);
    return fact->present && payments_risk_value(item, fact->text, arena, &value) ? value
                                                                                 : SPAN_EMPTY;
}

static void
read_card(const struct payments_method *method, struct payments_risk_facts *facts)
{
    set_text(facts, PAYMENTS_RISK_BIN, method->bin);
    set_text(facts, PAYMENTS_RISK_BRAND, method->brand);
    set_text(facts, PAYMENTS_RISK_CARD_COUNTRY, method->country);
    set_text(facts, PAYMENTS_RISK_FINGERPRINT, method->fingerprint);
    set_text(facts, PAYMENTS_RISK_FUNDING, method->funding);
}

err_t
payments_risk_facts_read(
    struct payments_flow *flow, uint64_t wanted, struct payments_risk_facts *ret_facts)
{
    const struct payments_intent *intent = flow->intent;
    struct rule_fact *facts = ret_facts->facts;
    struct span customer = intent != NULL ? intent->customer : flow->setup->customer;
    *ret_facts = (struct payments_risk_facts){.currency = SPAN_EMPTY};
    read_card(flow->method, ret_facts);
    set_text(ret_facts, PAYMENTS_RISK_CUSTOMER, customer);
    if (intent != NULL) {
        ret_facts->amount = payments_split_rest(flow);
        ret_facts->currency = intent->currency;
        set_number(ret_facts, PAYMENTS_RISK_AMOUNT, intent->attempt.amount);
        set_text(ret_facts, PAYMENTS_RISK_CURRENCY, intent->currency);
        set_number(ret_facts, PAYMENTS_RISK_PROVEN, intent->attempt.proof.size != 0);
        set_number(ret_facts, PAYMENTS_RISK_OFF_SESSION, payments_is_off_session(flow->op));
    }
    set_text(ret_facts, PAYMENTS_RISK_IP, flow->risk.address);
    TRY(read_email(flow, wanted, customer, ret_facts));
    ret_facts->subjects[PAYMENTS_RISK_OF_CARD] =
        subject(flow, PAYMENTS_RISK_CARD_FINGERPRINT, &facts[PAYMENTS_RISK_FINGERPRINT]);
    ret_facts->subjects[PAYMENTS_RISK_OF_CUSTOMER] =
        subject(flow, PAYMENTS_RISK_CUSTOMER_ID, &facts[PAYMENTS_RISK_CUSTOMER]);
    ret_facts->subjects[PAYMENTS_RISK_OF_EMAIL] =
        subject(flow, PAYMENTS_RISK_STRING, &facts[PAYMENTS_RISK_EMAIL_ADDRESS]);
    ret_facts->subjects[PAYMENTS_RISK_OF_IP] =
        subject(flow, PAYMENTS_RISK_IP_ADDRESS, &facts[PAYMENTS_RISK_IP]);
    return ERR_OK;
}
