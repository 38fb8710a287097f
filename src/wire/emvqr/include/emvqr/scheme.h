/*
 * Which payment schemes a code belongs to, and who is to be paid: the merchant account templates
 * (26 to 51) by the identifier in their object 00. And the account of Tael's own codes.
 *
 * Identifiers compare without case, and the template's number does not matter: schemes are found
 * under other numbers than their documents say.
 */
#ifndef EMVQR_SCHEME_H
#define EMVQR_SCHEME_H

#include "emvqr/build.h"

/* Name, identifier for machines. */
#define EMVQR_SCHEME_TABLE(X)                                                                      \
    X(EMVQR_SCHEME_UNKNOWN, "unknown")                                                             \
    X(EMVQR_SCHEME_TAEL, "tael")                                                                   \
    X(EMVQR_SCHEME_PROMPTPAY, "promptpay")                                                         \
    X(EMVQR_SCHEME_PROMPTPAY_BILL, "promptpay_bill")                                               \
    X(EMVQR_SCHEME_PIX, "pix")                                                                     \
    X(EMVQR_SCHEME_PAYNOW, "paynow")                                                               \
    X(EMVQR_SCHEME_SGQR, "sgqr")                                                                   \
    X(EMVQR_SCHEME_DUITNOW, "duitnow")                                                             \
    X(EMVQR_SCHEME_QRIS, "qris")                                                                   \
    X(EMVQR_SCHEME_VIETQR, "vietqr")                                                               \
    X(EMVQR_SCHEME_FPS, "fps")

enum emvqr_scheme {
#define EMVQR_SCHEME_ENUM(name, code) name,
    EMVQR_SCHEME_TABLE(EMVQR_SCHEME_ENUM)
#undef EMVQR_SCHEME_ENUM
};

/* "promptpay". Static, never NULL. */
const char *emvqr_scheme_name(enum emvqr_scheme scheme);

#define EMVQR_SCHEME_FIELDS_MAX 8

struct emvqr_scheme_field {
    const char *name; /* "phone", "key", "transaction_id"; static */
    struct span value;
};

struct emvqr_account {
    enum emvqr_scheme scheme;
    uint8_t id;             /* of the template */
    struct span identifier; /* its object 00 */
    uint32_t field_count;   /* what the scheme's document names and the code has */
    struct emvqr_scheme_field fields[EMVQR_SCHEME_FIELDS_MAX];
};

/* What a node of code->nodes is as a merchant account; false if it is no template of 26 to 51. */
bool emvqr_account_read(
    const struct emvqr_code *code,
    const struct emvqr_node *node,
    struct emvqr_account *ret_account);

/* The value of a field by its name; empty if the account has none. */
struct span emvqr_account_field(const struct emvqr_account *account, const char *name);

/* The scheme that the code can be paid by: Tael's if it is ours, else the first account's that is
 * known and not only a label of a unified code (SGQR, QRIS), else that label. */
enum emvqr_scheme emvqr_code_scheme(const struct emvqr_code *code);

/* ---- Tael's own codes: README.md, "Tael's account" ---- */

#define EMVQR_TAEL_IDENTIFIER "org.tael"
#define EMVQR_TAEL_TEMPLATE   26 /* where Tael writes it; read from any of 26 to 51 */
#define EMVQR_TAEL_REFERENCE  1

/* The draft of a code that Tael issues, with its account in `leaves`, which the caller keeps as
 * long as the draft. `reference` is a public id ("pi_" and 22 digits); the other members (currency,
 * amount, category, country, name, city, initiation) are the caller's to fill in. */
void emvqr_tael_draft(
    struct span reference, struct emvqr_leaf leaves[2], struct emvqr_draft *ret_draft);

/* The reference of a code that Tael issued, which has the form of a public id (emvqr_parse refuses
 * others); false for a code of somebody else. */
bool emvqr_tael_reference(const struct emvqr_code *code, struct span *ret_reference);

#endif
