/* What the specification says about fields, once a code has been taken apart: a table of forms and
 * lengths (sections 4.3 to 4.8), then what must be there and what goes together. */
#include "emvqr/scheme.h"
#include "emvqr_private.h"

#include "base/assert.h"
#include "base/id.h"

#define TIP_PROMPT     "01"
#define TIP_FIXED      "02"
#define TIP_PERCENTAGE "03"

struct rules {
    struct span text;
    struct emvqr_code *code;
    struct emvqr_refusal *refusal;
};

enum form {
    FORM_ANY,
    FORM_DIGITS,
    FORM_CAPITALS,
    FORM_LETTERS,
    FORM_REQUEST, /* of A, M and E, none twice */
};

struct field_rule {
    uint8_t first; /* ids from here */
    uint8_t last;
    uint8_t minimum; /* characters */
    uint8_t maximum;
    enum form form;
};

static const struct field_rule code_rules[] = {
    {ID_FORMAT, ID_FORMAT, 2, 2, FORM_DIGITS},
    {ID_INITIATION, ID_INITIATION, 2, 2, FORM_DIGITS},
    {ID_CATEGORY, ID_CATEGORY, 4, 4, FORM_DIGITS},
    {ID_CURRENCY, ID_CURRENCY, 3, 3, FORM_DIGITS},
    {ID_AMOUNT, ID_AMOUNT, 1, EMVQR_AMOUNT_MAX, FORM_ANY},
    {ID_TIP, ID_TIP, 2, 2, FORM_DIGITS},
    {ID_TIP_FIXED, ID_TIP_FIXED, 1, EMVQR_AMOUNT_MAX, FORM_ANY},
    {ID_TIP_PERCENTAGE, ID_TIP_PERCENTAGE, 1, 5, FORM_ANY},
    {ID_COUNTRY, ID_COUNTRY, 2, 2, FORM_CAPITALS},
    {ID_NAME, ID_NAME, 1, 25, FORM_ANY},
    {ID_CITY, ID_CITY, 1, 15, FORM_ANY},
    {ID_POSTAL_CODE, ID_POSTAL_CODE, 1, 10, FORM_ANY},
};
static const struct field_rule identified_rules[] = {
    {ID_IDENTIFIER, ID_IDENTIFIER, 1, 32, FORM_ANY},
};
static const struct field_rule additional_rules[] = {
    {EMVQR_BILL_NUMBER, EMVQR_PURPOSE, 1, 25, FORM_ANY},
    {EMVQR_CONSUMER_DATA_REQUEST, EMVQR_CONSUMER_DATA_REQUEST, 1, 3, FORM_REQUEST},
    {EMVQR_MERCHANT_TAX_ID, EMVQR_MERCHANT_TAX_ID, 1, 20, FORM_ANY},
    {EMVQR_MERCHANT_CHANNEL, EMVQR_MERCHANT_CHANNEL, 3, 3, FORM_DIGITS},
};
static const struct field_rule language_rules[] = {
    {ID_LANGUAGE_CODE, ID_LANGUAGE_CODE, 2, 2, FORM_LETTERS},
    {ID_LANGUAGE_NAME, ID_LANGUAGE_NAME, 1, 25, FORM_ANY},
    {ID_LANGUAGE_CITY, ID_LANGUAGE_CITY, 1, 15, FORM_ANY},
};

static err_t
refuse_node(const struct rules *rules, enum emvqr_problem problem, const struct emvqr_node *node)
{
    size_t position = (size_t)(node->value.data - rules->text.data);
    return emvqr_refuse(rules->refusal, problem, position, rules->code, node);
}

/* An object that should be in a template, or in the code if `parent` is NULL. */
static err_t
refuse_missing(const struct rules *rules, const struct emvqr_node *parent, uint8_t id)
{
    size_t position =
        parent == NULL ? rules->text.size : (size_t)(parent->value.data - rules->text.data);
    const struct emvqr_node absent = {
        .id = id,
        .parent = parent == NULL ? EMVQR_NO_NODE : (uint8_t)(parent - rules->code->nodes)};
    return emvqr_refuse(rules->refusal, EMVQR_FIELD_MISSING, position, rules->code, &absent);
}

/* ------------------------------------------------------------------------- forms and lengths */

static bool
every_byte(struct span text, char low, char high, char other_low, char other_high)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (!(byte >= low && byte <= high) && !(byte >= other_low && byte <= other_high)) {
            return false;
        }
    }
    return true;
}

static bool
is_request(struct span text)
{
    static const char letters[] = "AME";
    for (size_t i = 0; i < text.size; i++) {
        bool is_letter = span_find(SPAN("AME"), text.data[i], 0) < sizeof(letters) - 1;
        if (!is_letter || span_find(text, text.data[i], i + 1) < text.size) {
            return false;
        }
    }
    return true;
}

static bool
has_form(struct span text, enum form form)
{
    switch (form) {
    case FORM_ANY:
        return true;
    case FORM_DIGITS:
        return every_byte(text, '0', '9', '0', '9');
    case FORM_CAPITALS:
        return every_byte(text, 'A', 'Z', 'A', 'Z');
    case FORM_LETTERS:
        return every_byte(text, 'A', 'Z', 'a', 'z');
    case FORM_REQUEST:
        return is_request(text);
    }
    UNREACHABLE();
}

static const struct field_rule *
rules_of_level(const struct rules *rules, const struct emvqr_node *node, size_t *ret_count)
{
    const struct emvqr_code *code = rules->code;
    if (node->parent == EMVQR_NO_NODE) {
        *ret_count = sizeof(code_rules) / sizeof(code_rules[0]);
        return code_rules;
    }
    const struct emvqr_node *parent = &code->nodes[node->parent];
    if (emvqr_has_identifier(code, parent)) {
        *ret_count = sizeof(identified_rules) / sizeof(identified_rules[0]);
        return identified_rules;
    }
    ASSERT(parent->id == ID_ADDITIONAL || parent->id == ID_LANGUAGE);
    if (parent->id == ID_ADDITIONAL) {
        *ret_count = sizeof(additional_rules) / sizeof(additional_rules[0]);
        return additional_rules;
    }
    *ret_count = sizeof(language_rules) / sizeof(language_rules[0]);
    return language_rules;
}

static err_t
check_form(const struct rules *rules, const struct emvqr_node *node)
{
    size_t count = 0;
    const struct field_rule *rule = rules_of_level(rules, node, &count);
    for (; count > 0; rule++, count--) {
        if (node->id < rule->first || node->id > rule->last) {
            continue;
        }
        size_t characters = emvqr_character_count(node->value);
        if (characters < rule->minimum || characters > rule->maximum) {
            return refuse_node(rules, EMVQR_VALUE_LENGTH, node);
        }
        if (!has_form(node->value, rule->form)) {
            return refuse_node(rules, EMVQR_VALUE_INVALID, node);
        }
    }
    return ERR_OK;
}

/* ----------------------------------------------------------------------------- single fields */

static err_t
read_initiation(struct rules *rules, const struct emvqr_node *node)
{
    if (node == NULL) {
        return ERR_OK;
    }
    if (span_equal_cstr(node->value, "11")) {
        rules->code->initiation = EMVQR_STATIC;
    } else if (span_equal_cstr(node->value, "12")) {
        rules->code->initiation = EMVQR_DYNAMIC;
    } else {
        return refuse_node(rules, EMVQR_VALUE_INVALID, node);
    }
    return ERR_OK;
}

static err_t
read_currency(struct rules *rules, const struct emvqr_node *node)
{
    if (node == NULL) {
        return refuse_missing(rules, NULL, ID_CURRENCY);
    }
    uint64_t number = 0;
    bool is_number = span_parse_u64(node->value, &number);
    ASSERT(is_number && number <= 999);
    rules->code->currency = currency_by_number((uint16_t)number);
    return rules->code->currency == NULL ? refuse_node(rules, EMVQR_CURRENCY_UNKNOWN, node)
                                         : ERR_OK;
}

/* An amount that must not be zero. */
static err_t
read_amount(const struct rules *rules, const struct emvqr_node *node, int64_t *ret_amount)
{
    enum emvqr_problem problem = EMVQR_FINE;
    err_t result = emvqr_amount_parse(node->value, rules->code->currency, ret_amount, &problem);
    if (result != ERR_OK) {
        return refuse_node(rules, problem, node);
    }
    return *ret_amount == 0 ? refuse_node(rules, EMVQR_AMOUNT_ZERO, node) : ERR_OK;
}

/* "5", "3.25", "00.01": hundredths of a percent. */
static bool
percentage_parse(struct span text, uint16_t *ret_basis_points)
{
    struct span fraction = text;
    struct span whole = span_cut(&fraction, '.');
    bool has_point = whole.size < text.size;
    uint64_t units = 0;
    uint64_t below = 0;
    if (whole.size > 2 || !span_parse_u64(whole, &units)) {
        return false;
    }
    if (has_point && (fraction.size > 2 || !span_parse_u64(fraction, &below))) {
        return false;
    }
    uint64_t basis_points = units * 100 + (fraction.size == 1 ? below * 10 : below);
    if (basis_points == 0) {
        return false;
    }
    ASSERT(basis_points <= EMVQR_BASIS_POINT_MAX);
    *ret_basis_points = (uint16_t)basis_points;
    return true;
}

/* A field that is there exactly if `wanted`. */
static err_t
check_companion(const struct rules *rules, const struct emvqr_node *node, uint8_t id, bool wanted)
{
    if (node == NULL) {
        return wanted ? refuse_missing(rules, NULL, id) : ERR_OK;
    }
    return wanted ? ERR_OK : refuse_node(rules, EMVQR_FIELD_UNEXPECTED, node);
}

static err_t
read_tip(struct rules *rules)
{
    struct emvqr_code *code = rules->code;
    const struct emvqr_node *tip = emvqr_find(code, NULL, ID_TIP);
    const struct emvqr_node *fixed = emvqr_find(code, NULL, ID_TIP_FIXED);
    const struct emvqr_node *percentage = emvqr_find(code, NULL, ID_TIP_PERCENTAGE);
    if (tip != NULL) {
        if (span_equal_cstr(tip->value, TIP_PROMPT)) {
            code->tip = EMVQR_TIP_PROMPT;
        } else if (span_equal_cstr(tip->value, TIP_FIXED)) {
            code->tip = EMVQR_TIP_FIXED;
        } else if (span_equal_cstr(tip->value, TIP_PERCENTAGE)) {
            code->tip = EMVQR_TIP_PERCENTAGE;
        } else {
            return refuse_node(rules, EMVQR_VALUE_INVALID, tip);
        }
    }
    TRY(check_companion(rules, fixed, ID_TIP_FIXED, code->tip == EMVQR_TIP_FIXED));
    TRY(check_companion(rules, percentage, ID_TIP_PERCENTAGE, code->tip == EMVQR_TIP_PERCENTAGE));
    if (fixed != NULL) {
        TRY(read_amount(rules, fixed, &code->tip_amount));
    }
    if (percentage != NULL && !percentage_parse(percentage->value, &code->tip_basis_points)) {
        return refuse_node(rules, EMVQR_PERCENTAGE, percentage);
    }
    return ERR_OK;
}

/* -------------------------------------------------------------------------------- templates */

static struct span
value_of(const struct emvqr_code *code, const struct emvqr_node *parent, uint8_t id)
{
    const struct emvqr_node *node = emvqr_find(code, parent, id);
    return node == NULL ? SPAN_EMPTY : node->value;
}

static err_t
read_language(struct rules *rules)
{
    struct emvqr_code *code = rules->code;
    const struct emvqr_node *language = emvqr_find(code, NULL, ID_LANGUAGE);
    if (language == NULL) {
        return ERR_OK;
    }
    code->language = value_of(code, language, ID_LANGUAGE_CODE);
    code->language_name = value_of(code, language, ID_LANGUAGE_NAME);
    code->language_city = value_of(code, language, ID_LANGUAGE_CITY);
    if (code->language.size == 0) {
        return refuse_missing(rules, language, ID_LANGUAGE_CODE);
    }
    if (code->language_name.size == 0) {
        return refuse_missing(rules, language, ID_LANGUAGE_NAME);
    }
    return ERR_OK;
}

static void
read_additional(struct emvqr_code *code)
{
    const struct emvqr_node *additional = emvqr_find(code, NULL, ID_ADDITIONAL);
    for (int id = 1; additional != NULL && id < EMVQR_ADDITIONAL_COUNT; id++) {
        code->additional[id] = value_of(code, additional, (uint8_t)id);
    }
}

/* ---------------------------------------------------------------------------- whole codes */

/* A public id, as base/id.h writes it: letters, an underscore, 22 base-62 digits. */
static bool
is_public_id(struct span text)
{
    size_t prefix = span_find(text, '_', 0);
    if (prefix == 0 || prefix >= ID_PREFIX_MAX ||
        !every_byte(span_slice(text, 0, prefix), 'a', 'z', 'a', 'z')) {
        return false;
    }
    char name[ID_PREFIX_MAX + 1] = {0};
    for (size_t i = 0; i <= prefix; i++) {
        name[i] = text.data[i];
    }
    u128 id = 0;
    return id_parse(name, text, &id);
}

static err_t
check_accounts(const struct rules *rules)
{
    const struct emvqr_code *code = rules->code;
    bool is_payable = false;
    for (uint32_t i = 0; i < code->node_count; i++) {
        const struct emvqr_node *node = &code->nodes[i];
        if (emvqr_has_identifier(code, node) && !emvqr_is_own_template(code, node) &&
            emvqr_find(code, node, ID_IDENTIFIER) == NULL) {
            return refuse_missing(rules, node, ID_IDENTIFIER);
        }
        is_payable = is_payable || (node->parent == EMVQR_NO_NODE && node->id >= ID_ACCOUNT_FIRST &&
                                    node->id <= ID_ACCOUNT_LAST);
        struct emvqr_account account;
        if (!emvqr_account_read(code, node, &account) || account.scheme != EMVQR_SCHEME_TAEL) {
            continue;
        }
        const struct emvqr_node *reference = emvqr_find(code, node, EMVQR_TAEL_REFERENCE);
        if (reference == NULL) {
            return refuse_missing(rules, node, EMVQR_TAEL_REFERENCE);
        }
        if (!is_public_id(reference->value)) {
            return refuse_node(rules, EMVQR_REFERENCE, reference);
        }
    }
    return is_payable
               ? ERR_OK
               : emvqr_refuse(rules->refusal, EMVQR_ACCOUNT_MISSING, rules->text.size, code, NULL);
}

/* PromptPay and VietQR between persons: the account says it all, and their documents leave the
 * merchant's category, name and city away. */
static bool
may_be_anonymous(const struct emvqr_code *code)
{
    enum emvqr_scheme scheme = emvqr_code_scheme(code);
    return scheme == EMVQR_SCHEME_PROMPTPAY || scheme == EMVQR_SCHEME_PROMPTPAY_BILL ||
           scheme == EMVQR_SCHEME_VIETQR;
}

static err_t
check_mandatory(const struct rules *rules)
{
    static const uint8_t of_a_merchant[] = {ID_CATEGORY, ID_NAME, ID_CITY};
    const struct emvqr_code *code = rules->code;
    if (code->country.size == 0) {
        return refuse_missing(rules, NULL, ID_COUNTRY);
    }
    bool anonymous = may_be_anonymous(code);
    for (size_t i = 0; i < sizeof(of_a_merchant) && !anonymous; i++) {
        if (emvqr_find(code, NULL, of_a_merchant[i]) == NULL) {
            return refuse_missing(rules, NULL, of_a_merchant[i]);
        }
    }
    return ERR_OK;
}

/* "01"; Malaysian codes carry "02" and are otherwise the same. */
static err_t
check_format(const struct rules *rules)
{
    const struct emvqr_node *format = &rules->code->nodes[0];
    ASSERT(format->id == ID_FORMAT);
    bool is_known = span_equal_cstr(format->value, "01") || span_equal_cstr(format->value, "02");
    return is_known ? ERR_OK : refuse_node(rules, EMVQR_FORMAT_UNKNOWN, format);
}

err_t
emvqr_apply_rules(struct span text, struct emvqr_code *code, struct emvqr_refusal *refusal)
{
    struct rules rules = {.text = text, .code = code, .refusal = refusal};
    for (uint32_t i = 0; i < code->node_count; i++) {
        TRY(check_form(&rules, &code->nodes[i]));
    }
    TRY(check_format(&rules));
    TRY(read_initiation(&rules, emvqr_find(code, NULL, ID_INITIATION)));
    TRY(read_currency(&rules, emvqr_find(code, NULL, ID_CURRENCY)));
    const struct emvqr_node *amount = emvqr_find(code, NULL, ID_AMOUNT);
    if (amount != NULL) {
        TRY(read_amount(&rules, amount, &code->amount));
        code->has_amount = true;
    }
    TRY(read_tip(&rules));
    code->category = value_of(code, NULL, ID_CATEGORY);
    code->country = value_of(code, NULL, ID_COUNTRY);
    code->name = value_of(code, NULL, ID_NAME);
    code->city = value_of(code, NULL, ID_CITY);
    code->postal_code = value_of(code, NULL, ID_POSTAL_CODE);
    TRY(read_language(&rules));
    read_additional(code);
    TRY(check_accounts(&rules));
    return check_mandatory(&rules);
}
