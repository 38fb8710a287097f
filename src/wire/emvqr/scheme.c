#include "emvqr/scheme.h"

#include "emvqr_private.h"

#include "base/assert.h"

#define THIS_ACCOUNT 0    /* a field's template: the account itself */
#define NOT_NESTED   0xff /* a field that is a value, not within one */

struct field_row {
    const char *name; /* NULL ends the list */
    uint8_t template_id;
    uint8_t id;
    uint8_t inner; /* an object within the value */
};

struct scheme_row {
    enum emvqr_scheme scheme;
    const char *identifier; /* NULL: qris_issuer() */
    bool is_label;          /* of a unified code: the accounts beside it are what is paid to */
    struct field_row fields[EMVQR_SCHEME_FIELDS_MAX];
};

/* Sources: Bank of Thailand's Thai QR standard; Banco Central do Brasil, "Manual de Padroes para
 * Iniciacao do Pix"; ABS, PayNow and SGQR specifications; PayNet's DuitNow QR; Bank Indonesia's
 * QRIS; NAPAS's VietQR; HKICL's common QR code specification. */
static const struct scheme_row schemes[] = {
    {
        .scheme = EMVQR_SCHEME_TAEL,
        .identifier = EMVQR_TAEL_IDENTIFIER,
        .fields = {{"reference", THIS_ACCOUNT, EMVQR_TAEL_REFERENCE, NOT_NESTED}},
    },
    {
        .scheme = EMVQR_SCHEME_PROMPTPAY,
        .identifier = "A000000677010111",
        .fields =
            {
                {"phone", THIS_ACCOUNT, 1, NOT_NESTED},
                {"national_id", THIS_ACCOUNT, 2, NOT_NESTED},
                {"e_wallet", THIS_ACCOUNT, 3, NOT_NESTED},
                {"bank_account", THIS_ACCOUNT, 4, NOT_NESTED},
            },
    },
    {
        .scheme = EMVQR_SCHEME_PROMPTPAY_BILL,
        .identifier = "A000000677010112",
        .fields =
            {
                {"biller", THIS_ACCOUNT, 1, NOT_NESTED},
                {"reference_1", THIS_ACCOUNT, 2, NOT_NESTED},
                {"reference_2", THIS_ACCOUNT, 3, NOT_NESTED},
            },
    },
    {
        .scheme = EMVQR_SCHEME_PIX,
        .identifier = "br.gov.bcb.pix",
        .fields =
            {
                {"key", THIS_ACCOUNT, 1, NOT_NESTED},
                {"description", THIS_ACCOUNT, 2, NOT_NESTED},
                {"url", THIS_ACCOUNT, 25, NOT_NESTED},
                {"transaction_id", ID_ADDITIONAL, EMVQR_REFERENCE_LABEL, NOT_NESTED},
            },
    },
    {
        .scheme = EMVQR_SCHEME_PAYNOW,
        .identifier = "SG.PAYNOW",
        .fields =
            {
                {"proxy_type", THIS_ACCOUNT, 1, NOT_NESTED},
                {"proxy", THIS_ACCOUNT, 2, NOT_NESTED},
                {"editable", THIS_ACCOUNT, 3, NOT_NESTED},
                {"expiry", THIS_ACCOUNT, 4, NOT_NESTED},
            },
    },
    {
        .scheme = EMVQR_SCHEME_SGQR,
        .identifier = "SG.SGQR",
        .is_label = true,
        .fields =
            {
                {"sgqr_id", THIS_ACCOUNT, 1, NOT_NESTED},
                {"version", THIS_ACCOUNT, 2, NOT_NESTED},
                {"postal_code", THIS_ACCOUNT, 3, NOT_NESTED},
                {"level", THIS_ACCOUNT, 4, NOT_NESTED},
                {"unit", THIS_ACCOUNT, 5, NOT_NESTED},
                {"miscellaneous", THIS_ACCOUNT, 6, NOT_NESTED},
                {"version_date", THIS_ACCOUNT, 7, NOT_NESTED},
            },
    },
    {
        .scheme = EMVQR_SCHEME_DUITNOW,
        .identifier = "A0000006150001",
        .fields =
            {
                {"acquirer", THIS_ACCOUNT, 1, NOT_NESTED},
                {"merchant_id", THIS_ACCOUNT, 2, NOT_NESTED},
            },
    },
    {
        .scheme = EMVQR_SCHEME_QRIS,
        .identifier = "ID.CO.QRIS.WWW",
        .is_label = true,
        .fields =
            {
                {"national_merchant_id", THIS_ACCOUNT, 2, NOT_NESTED},
                {"criteria", THIS_ACCOUNT, 3, NOT_NESTED},
            },
    },
    {
        .scheme = EMVQR_SCHEME_VIETQR,
        .identifier = "A000000727",
        .fields =
            {
                {"bank", THIS_ACCOUNT, 1, 0},
                {"account", THIS_ACCOUNT, 1, 1},
                {"service", THIS_ACCOUNT, 2, NOT_NESTED},
            },
    },
    {
        .scheme = EMVQR_SCHEME_FPS,
        .identifier = "HK.COM.HKICL",
        .fields =
            {
                {"clearing_code", THIS_ACCOUNT, 1, NOT_NESTED},
                {"fps_id", THIS_ACCOUNT, 2, NOT_NESTED},
                {"phone", THIS_ACCOUNT, 3, NOT_NESTED},
                {"email", THIS_ACCOUNT, 4, NOT_NESTED},
                {"expiry", THIS_ACCOUNT, 5, NOT_NESTED},
            },
    },
    {
        .scheme = EMVQR_SCHEME_QRIS,
        .identifier = NULL,
        .fields =
            {
                {"merchant_pan", THIS_ACCOUNT, 1, NOT_NESTED},
                {"merchant_id", THIS_ACCOUNT, 2, NOT_NESTED},
                {"criteria", THIS_ACCOUNT, 3, NOT_NESTED},
            },
    },
};

const char *
emvqr_scheme_name(enum emvqr_scheme scheme)
{
    static const char *const names[] = {
#define SCHEME_NAME(name, code) code,
        EMVQR_SCHEME_TABLE(SCHEME_NAME)
#undef SCHEME_NAME
    };
    ASSERT((size_t)scheme < sizeof(names) / sizeof(names[0]));
    return names[scheme];
}

/* In an Indonesian code, an account under an issuer's reversed domain ("ID.CO.BANK.WWW"), which is
 * how QRIS has them beside its label. */
static bool
qris_issuer(const struct emvqr_code *code, struct span identifier)
{
    const struct emvqr_node *country = emvqr_find(code, NULL, ID_COUNTRY);
    struct span end =
        span_slice(identifier, identifier.size < 4 ? 0 : identifier.size - 4, identifier.size);
    return country != NULL && span_equal_cstr(country->value, "ID") &&
           span_equal_nocase(end, SPAN(".WWW"));
}

static const struct scheme_row *
find_row(const struct emvqr_code *code, struct span identifier)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        const char *wanted = schemes[i].identifier;
        bool matches = wanted == NULL ? qris_issuer(code, identifier)
                                      : span_equal_nocase(identifier, span_from_cstr(wanted));
        if (matches) {
            return &schemes[i];
        }
    }
    return NULL;
}

/* An object within a value that only its scheme knows to hold objects; empty if it holds none. */
static struct span
inner_value(const struct emvqr_code *code, struct span value, uint8_t id)
{
    while (value.size > 0) {
        uint8_t found = 0;
        struct span inner;
        enum emvqr_problem problem;
        if (emvqr_object_take(&value, code->length_unit, &found, &inner, &problem) != ERR_OK) {
            break;
        }
        if (found == id) {
            return inner;
        }
    }
    return SPAN_EMPTY;
}

static struct span
field_value(
    const struct emvqr_code *code, const struct emvqr_node *account, const struct field_row *row)
{
    const struct emvqr_node *holder =
        row->template_id == THIS_ACCOUNT ? account : emvqr_find(code, NULL, row->template_id);
    const struct emvqr_node *node = holder == NULL ? NULL : emvqr_find(code, holder, row->id);
    if (node == NULL) {
        return SPAN_EMPTY;
    }
    return row->inner == NOT_NESTED ? node->value : inner_value(code, node->value, row->inner);
}

bool
emvqr_account_read(
    const struct emvqr_code *code, const struct emvqr_node *node, struct emvqr_account *ret_account)
{
    if (node->parent != EMVQR_NO_NODE || node->id < ID_ACCOUNT_TEMPLATE_FIRST ||
        node->id > ID_ACCOUNT_LAST) {
        return false;
    }
    const struct emvqr_node *identifier = emvqr_find(code, node, ID_IDENTIFIER);
    *ret_account = (struct emvqr_account){.scheme = EMVQR_SCHEME_UNKNOWN, .id = node->id};
    if (identifier == NULL) {
        return true;
    }
    ret_account->identifier = identifier->value;
    const struct scheme_row *row = find_row(code, identifier->value);
    if (row == NULL) {
        return true;
    }
    ret_account->scheme = row->scheme;
    for (size_t i = 0; i < EMVQR_SCHEME_FIELDS_MAX && row->fields[i].name != NULL; i++) {
        struct span value = field_value(code, node, &row->fields[i]);
        if (value.size > 0) {
            ret_account->fields[ret_account->field_count++] =
                (struct emvqr_scheme_field){.name = row->fields[i].name, .value = value};
        }
    }
    return true;
}

struct span
emvqr_account_field(const struct emvqr_account *account, const char *name)
{
    for (uint32_t i = 0; i < account->field_count; i++) {
        if (span_equal_cstr(span_from_cstr(account->fields[i].name), name)) {
            return account->fields[i].value;
        }
    }
    return SPAN_EMPTY;
}

/* Worth of an account as an answer to "what is this code": ours, a scheme, a label, nothing. */
static int
rank(const struct emvqr_code *code, const struct emvqr_node *node, enum emvqr_scheme *ret_scheme)
{
    enum {
        NOTHING,
        LABEL,
        PAYABLE,
        OURS
    };

    const struct emvqr_node *identifier = NULL;
    if (node->parent == EMVQR_NO_NODE && node->id >= ID_ACCOUNT_TEMPLATE_FIRST &&
        node->id <= ID_ACCOUNT_LAST) {
        identifier = emvqr_find(code, node, ID_IDENTIFIER);
    }
    const struct scheme_row *row = identifier == NULL ? NULL : find_row(code, identifier->value);
    if (row == NULL) {
        return NOTHING;
    }
    *ret_scheme = row->scheme;
    if (row->scheme == EMVQR_SCHEME_TAEL) {
        return OURS;
    }
    return row->is_label ? LABEL : PAYABLE;
}

enum emvqr_scheme
emvqr_code_scheme(const struct emvqr_code *code)
{
    enum emvqr_scheme best = EMVQR_SCHEME_UNKNOWN;
    int best_rank = 0;
    for (uint32_t i = 0; i < code->node_count; i++) {
        enum emvqr_scheme scheme = EMVQR_SCHEME_UNKNOWN;
        int found = rank(code, &code->nodes[i], &scheme);
        if (found > best_rank) {
            best = scheme;
            best_rank = found;
        }
    }
    return best;
}

/* ------------------------------------------------------------------------------------- Tael */

void
emvqr_tael_draft(struct span reference, struct emvqr_leaf leaves[2], struct emvqr_draft *ret_draft)
{
    leaves[0] = (struct emvqr_leaf){
        .path = {EMVQR_TAEL_TEMPLATE, ID_IDENTIFIER},
        .depth = 2,
        .value = SPAN(EMVQR_TAEL_IDENTIFIER)};
    leaves[1] = (struct emvqr_leaf){
        .path = {EMVQR_TAEL_TEMPLATE, EMVQR_TAEL_REFERENCE}, .depth = 2, .value = reference};
    *ret_draft =
        (struct emvqr_draft){.length_unit = EMVQR_CHARACTERS, .leaves = leaves, .leaf_count = 2};
}

bool
emvqr_tael_reference(const struct emvqr_code *code, struct span *ret_reference)
{
    for (uint32_t i = 0; i < code->node_count; i++) {
        struct emvqr_account account;
        if (emvqr_account_read(code, &code->nodes[i], &account) &&
            account.scheme == EMVQR_SCHEME_TAEL) {
            *ret_reference = emvqr_account_field(&account, "reference");
            return true;
        }
    }
    return false;
}
