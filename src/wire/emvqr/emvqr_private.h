/* What the files of this codec share. */
#ifndef EMVQR_PRIVATE_H
#define EMVQR_PRIVATE_H

#include "emvqr/emvqr.h"

enum {
    ID_FORMAT = 0,
    ID_INITIATION = 1,
    ID_ACCOUNT_FIRST = 2, /* 2 to 25 are a card scheme's own, 26 to 51 templates */
    ID_ACCOUNT_TEMPLATE_FIRST = 26,
    ID_ACCOUNT_LAST = 51,
    ID_CATEGORY = 52,
    ID_CURRENCY = 53,
    ID_AMOUNT = 54,
    ID_TIP = 55,
    ID_TIP_FIXED = 56,
    ID_TIP_PERCENTAGE = 57,
    ID_COUNTRY = 58,
    ID_NAME = 59,
    ID_CITY = 60,
    ID_POSTAL_CODE = 61,
    ID_ADDITIONAL = 62,
    ID_CRC = 63,
    ID_LANGUAGE = 64,
    ID_UNRESERVED_FIRST = 80, /* templates of whoever wants one */
    ID_LAST = 99,
    ID_ADDITIONAL_OWN_FIRST = 50, /* within 62: templates of payment systems */
    ID_IDENTIFIER = 0,            /* within templates that are somebody's: whose */
    ID_LANGUAGE_CODE = 0,         /* within 64 */
    ID_LANGUAGE_NAME = 1,
    ID_LANGUAGE_CITY = 2,
};

#define EMVQR_HEADER_SIZE     4 /* id and length */
#define EMVQR_CRC_SIZE        4
#define EMVQR_AMOUNT_MAX      13
#define EMVQR_UTF8_CHARACTER  4 /* bytes at most */
#define EMVQR_BASIS_POINT_MAX 9999

/* Characters of valid UTF-8. */
size_t emvqr_character_count(struct span text);

/* Takes the next object off `rest`, which is valid UTF-8 and not empty. On ERR_INVALID, *ret_id is
 * set if it could be read, and `rest` is as before. */
MUST_USE err_t emvqr_object_take(
    struct span *rest,
    enum emvqr_length_unit unit,
    uint8_t *ret_id,
    struct span *ret_value,
    enum emvqr_problem *ret_problem);

/* Fills in a refusal and returns ERR_INVALID. `node` may be NULL: the code as a whole. */
MUST_USE err_t emvqr_refuse(
    struct emvqr_refusal *refusal,
    enum emvqr_problem problem,
    size_t position,
    const struct emvqr_code *code,
    const struct emvqr_node *node);

/* One of those whose content is its owner's: 80 to 99, 62-50 to 62-99. */
bool emvqr_is_own_template(const struct emvqr_code *code, const struct emvqr_node *node);
/* Whether its object 00 says whose it is: those, and accounts. */
bool emvqr_has_identifier(const struct emvqr_code *code, const struct emvqr_node *node);

/* The rules about whole codes: forms of the fields, what must be there, what goes together; fills
 * in everything of the code but its nodes, unit and checksum. */
MUST_USE err_t
emvqr_apply_rules(struct span text, struct emvqr_code *code, struct emvqr_refusal *refusal);

#endif
