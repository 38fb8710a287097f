/*
 * Reading payment codes that a merchant shows: EMV QR Code Specification for Payment Systems,
 * Merchant-Presented Mode 1.1 ("00020101021229...6304A13A").
 *
 *     struct emvqr_code code;
 *     struct emvqr_refusal refusal;
 *     if (emvqr_parse(text, &code, &refusal) == ERR_OK && code.has_amount) { ... }
 *
 * A code is a list of objects: two digits of id, two of length, the value; some values are lists
 * again (templates). Everything found is a span of the text, which must live as long as the code.
 *
 * EMVQR-1  The checksum holds and is the last object, or the code is refused: no code with one
 *          byte changed, added or taken away is accepted. (Of the characters of three bytes, one in
 *          65,535 has the same sixteen bits as another.) It is no signature: whoever changes a code
 *          on purpose writes a new checksum, so what a code says about money is compared with what
 *          its issuer knows.
 * EMVQR-2  A code has one reading. Lengths count characters (section 3.2); only where that leads
 *          nowhere are they taken for bytes of UTF-8, as some issuers write them; `length_unit`
 *          says which. For ASCII both are the same.
 * EMVQR-3  Ids are unique at their level, values are UTF-8 without control characters, and nothing
 *          follows the last object.
 * EMVQR-4  Amounts are integers in ISO minor units; no floating point, nothing rounded.
 *
 * Pure: no memory but the caller's, no clock, any thread. Building is emvqr/build.h, the schemes
 * behind the accounts emvqr/scheme.h, codes that a payer shows emvqr/consumer.h.
 */
#ifndef EMVQR_EMVQR_H
#define EMVQR_EMVQR_H

#include "base/buf.h"
#include "base/err.h"
#include "base/money.h"

#define EMVQR_CHARACTERS_MAX 512 /* section 3.1 */
#define EMVQR_BYTES_MAX      2048
#define EMVQR_VALUE_MAX      99  /* characters (or bytes) of one value: its length has two digits */
#define EMVQR_NODES_MAX      128 /* each costs four characters of its own */
#define EMVQR_DEPTH_MAX      3   /* 62-50-01 */
#define EMVQR_PATH_SIZE      9   /* "62-50-01" and a zero */
#define EMVQR_NO_NODE        0xff /* parent of the objects of the code itself */
#define EMVQR_PROMPT         "***" /* a value that the payer's app asks for, or leaves to the issuer */

/* Name, text for people. Of all codecs of this folder. */
#define EMVQR_PROBLEM_TABLE(X)                                                                     \
    X(EMVQR_FINE, "fine", "nothing is wrong")                                                      \
    X(EMVQR_EMPTY, "empty", "there is no text")                                                    \
    X(EMVQR_TOO_LONG, "too_long", "the code is longer than 512 characters or 2048 bytes")          \
    X(EMVQR_UTF8_INVALID, "utf8_invalid", "the code is not valid UTF-8")                           \
    X(EMVQR_CONTROL_CHARACTER, "control_character", "there is a control character in the code")    \
    X(EMVQR_ID_INVALID, "id_invalid", "an object does not begin with two digits")                  \
    X(EMVQR_ID_DUPLICATE, "id_duplicate", "an id occurs twice")                                    \
    X(EMVQR_LENGTH_INVALID, "length_invalid", "the length is not two digits from 01 to 99")        \
    X(EMVQR_LENGTH_OVERRUN, "length_overrun", "the length goes beyond the end")                    \
    X(EMVQR_VALUE_LENGTH, "value_length", "the value is too short or too long for its field")      \
    X(EMVQR_VALUE_INVALID, "value_invalid", "the value is not of its field's form")                \
    X(EMVQR_NOT_A_CODE, "not_a_code", "the code does not begin as a payment code does")            \
    X(EMVQR_FORMAT_UNKNOWN, "format_unknown", "the format indicator is of no known version")       \
    X(EMVQR_CRC_MISSING, "crc_missing", "the checksum is missing")                                 \
    X(EMVQR_CRC_NOT_LAST, "crc_not_last", "something follows the checksum")                        \
    X(EMVQR_CRC_WRONG, "crc_wrong", "the checksum is wrong: the code is damaged or was changed")   \
    X(EMVQR_FIELD_MISSING, "field_missing", "a mandatory field is missing")                        \
    X(EMVQR_ACCOUNT_MISSING, "account_missing", "there is no account in the code")                 \
    X(EMVQR_FIELD_UNEXPECTED, "field_unexpected", "the field does not go with the others")         \
    X(EMVQR_CURRENCY_UNKNOWN, "currency_unknown", "there is no currency of this number")           \
    X(EMVQR_AMOUNT_SYNTAX, "amount_syntax", "an amount is digits with at most one point")          \
    X(EMVQR_AMOUNT_DECIMALS, "amount_decimals", "the amount is finer than its currency")           \
    X(EMVQR_AMOUNT_ZERO, "amount_zero", "the amount is zero")                                      \
    X(EMVQR_AMOUNT_RANGE, "amount_range", "the amount is not positive, or over 13 characters")     \
    X(EMVQR_PERCENTAGE, "percentage", "the percentage is not from 00.01 to 99.99")                 \
    X(EMVQR_REFERENCE, "reference", "Tael's reference is not a prefix and 22 base-62 digits")      \
    X(EMVQR_TOO_MANY, "too_many", "there are more objects than a code can hold")                   \
    X(EMVQR_BASE64_INVALID, "base64_invalid", "the code is not base64 in its one canonical form")  \
    X(EMVQR_TAG_INVALID, "tag_invalid", "a tag is malformed or not allowed here")                  \
    X(EMVQR_DEPTH, "depth", "templates are nested too deeply")                                     \
    X(EMVQR_ADDRESS_INVALID, "address_invalid", "the UPI address is malformed")

enum emvqr_problem {
#define EMVQR_PROBLEM_ENUM(name, code, text) name,
    EMVQR_PROBLEM_TABLE(EMVQR_PROBLEM_ENUM)
#undef EMVQR_PROBLEM_ENUM
};

/* "crc_wrong": for machines. Static, never NULL. */
const char *emvqr_problem_name(enum emvqr_problem problem);
/* A clause for people, without capital and full stop. Static, never NULL. */
const char *emvqr_problem_text(enum emvqr_problem problem);

struct emvqr_refusal {
    enum emvqr_problem problem;
    size_t position;            /* byte of the text where it shows */
    char path[EMVQR_PATH_SIZE]; /* of the object: "54", "62-50-00"; "" for the code as a whole */
};

enum emvqr_length_unit {
    EMVQR_CHARACTERS,
    EMVQR_BYTES,
};

enum emvqr_initiation {
    EMVQR_INITIATION_UNSAID,
    EMVQR_STATIC,  /* 11: the same code for many payments */
    EMVQR_DYNAMIC, /* 12: a code for one payment */
};

enum emvqr_tip {
    EMVQR_TIP_NONE,
    EMVQR_TIP_PROMPT,     /* the payer's app asks for a tip */
    EMVQR_TIP_FIXED,      /* a fee of tip_amount is added */
    EMVQR_TIP_PERCENTAGE, /* a fee of tip_basis_points of the amount is added */
};

/* Fields of the additional data template (62), by their id. */
enum emvqr_additional {
    EMVQR_BILL_NUMBER = 1,
    EMVQR_MOBILE_NUMBER = 2,
    EMVQR_STORE_LABEL = 3,
    EMVQR_LOYALTY_NUMBER = 4,
    EMVQR_REFERENCE_LABEL = 5,
    EMVQR_CUSTOMER_LABEL = 6,
    EMVQR_TERMINAL_LABEL = 7,
    EMVQR_PURPOSE = 8,
    EMVQR_CONSUMER_DATA_REQUEST = 9, /* of the letters A (address), M (mobile), E (e-mail) */
    EMVQR_MERCHANT_TAX_ID = 10,
    EMVQR_MERCHANT_CHANNEL = 11,
    EMVQR_ADDITIONAL_COUNT = 12,
};

/* "bill_number" and so on; NULL for 0. Static. */
const char *emvqr_additional_name(enum emvqr_additional field);

struct emvqr_node {
    struct span value;
    uint8_t id;          /* 0 to 99 */
    uint8_t parent;      /* index of the template that it is in, or EMVQR_NO_NODE */
    uint8_t first_child; /* the children of a template are next to each other */
    uint8_t child_count; /* 0 for what is no template, or none that is made as one */
};

struct emvqr_code {
    enum emvqr_length_unit length_unit;
    enum emvqr_initiation initiation;
    const struct currency *currency;
    bool has_amount; /* without one the payer enters it */
    int64_t amount;  /* ISO minor units of the currency */
    enum emvqr_tip tip;
    int64_t tip_amount;        /* ISO minor units, EMVQR_TIP_FIXED */
    uint16_t tip_basis_points; /* 1 to 9999, EMVQR_TIP_PERCENTAGE */
    uint16_t crc;
    /* Empty where the code has none. Some national schemes leave out category, name and city. */
    struct span category; /* MCC, four digits */
    struct span country;  /* two capital letters */
    struct span name;
    struct span city;
    struct span postal_code;
    struct span language; /* two letters: of the alternatives that follow */
    struct span language_name;
    struct span language_city;
    struct span additional[EMVQR_ADDITIONAL_COUNT]; /* by enum emvqr_additional */
    /* Every object, in the order of the text, those of the code itself first. */
    uint32_t node_count;
    struct emvqr_node nodes[EMVQR_NODES_MAX];
};

/* ERR_INVALID with *ret_refusal for a code that is refused; *ret_code then says nothing. */
MUST_USE err_t
emvqr_parse(struct span text, struct emvqr_code *ret_code, struct emvqr_refusal *ret_refusal);

/* The object with this id within a template, or in the code itself if `parent` is NULL; or NULL. */
const struct emvqr_node *emvqr_find(
    const struct emvqr_code *code, const struct emvqr_node *parent, uint8_t id);

/* The node's place: "62-50-00". */
void emvqr_node_path(
    const struct emvqr_code *code, const struct emvqr_node *node, char out[EMVQR_PATH_SIZE]);

/* A decimal amount ("523.72", "98", "98.") in minor units. More decimals than the currency has are
 * accepted if they are zeros. ERR_INVALID with the problem otherwise. Zero is an amount here. */
MUST_USE err_t emvqr_amount_parse(
    struct span text,
    const struct currency *currency,
    int64_t *ret_amount,
    enum emvqr_problem *ret_problem);
/* With all the decimals of the currency; `amount` is not negative. */
void emvqr_amount_append(struct buf *out, int64_t amount, const struct currency *currency);

/* The checksum: CRC-16 with polynomial 1021, start FFFF, no reflection (ISO/IEC 13239). */
uint16_t emvqr_crc(struct span bytes);

/* The beginning of a UTF-8 text, at most so many characters and never half of one: how a name is
 * made to fit its field. */
struct span emvqr_fit(struct span text, size_t character_count_max);

#endif
