/*
 * Building payment codes that a merchant shows.
 *
 *     struct emvqr_leaf account[] = {
 *         {.path = {29, 0}, .depth = 2, .value = SPAN("A000000677010111")},
 *         {.path = {29, 1}, .depth = 2, .value = SPAN("0066812223333")},
 *     };
 *     struct emvqr_draft draft = {.currency = ..., .country = SPAN("TH"), .leaves = account, ...};
 *     TRY(emvqr_build(&draft, &out, &refusal));
 *
 * EMVQR-5  What is built is what emvqr_parse accepts: each code is read again before it is handed
 *          out, so a draft is refused for the same reasons, and by the same names, as a code.
 */
#ifndef EMVQR_BUILD_H
#define EMVQR_BUILD_H

#include "emvqr/emvqr.h"

/* An object that the draft has no member for: an account (2 to 51), an own template of the
 * additional data (62-50 to 62-99) or of the code (80 to 99). */
struct emvqr_leaf {
    uint8_t path[EMVQR_DEPTH_MAX]; /* {29, 1} is object 01 of template 29 */
    uint8_t depth;                 /* how many of `path`: 1 to EMVQR_DEPTH_MAX */
    struct span value;
};

/* All members have the meaning that they have in struct emvqr_code. Empty spans are left out. */
struct emvqr_draft {
    enum emvqr_length_unit length_unit;
    enum emvqr_initiation initiation;
    const struct currency *currency;
    bool has_amount;
    int64_t amount;
    enum emvqr_tip tip;
    int64_t tip_amount;
    uint16_t tip_basis_points;
    struct span category;
    struct span country;
    struct span name;
    struct span city;
    struct span postal_code;
    struct span language;
    struct span language_name;
    struct span language_city;
    struct span additional[EMVQR_ADDITIONAL_COUNT];
    const struct emvqr_leaf *leaves; /* in any order; objects are written by ascending id */
    size_t leaf_count;
};

/* Appends the code with its checksum. ERR_INVALID with *ret_refusal (position 0), ERR_FULL if
 * `out` cannot hold it; `out` is then as before. EMVQR_BYTES_MAX bytes always suffice. */
MUST_USE err_t
emvqr_build(const struct emvqr_draft *draft, struct buf *out, struct emvqr_refusal *ret_refusal);

#endif
