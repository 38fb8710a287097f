/*
 * Reading UPI's codes, which are no objects but an address (NPCI, "UPI Linking Specification"):
 *
 *     upi://pay?pa=shop@bank&pn=Corner%20Shop&am=125.50&cu=INR&tr=order-7
 *
 * There is no checksum; `sign` is the issuer's to check. Pure; any thread.
 */
#ifndef EMVQR_UPI_H
#define EMVQR_UPI_H

#include "emvqr/emvqr.h"

#define EMVQR_UPI_BYTES_MAX 1024

struct emvqr_upi {
    struct span payee; /* pa: name@handle; never empty */
    struct span payee_name;
    struct span category;
    struct span terminal_transaction; /* tid */
    struct span reference;            /* tr */
    struct span note;
    struct span url;
    struct span mode;
    struct span purpose;
    struct span organisation;
    struct span sign;
    bool has_amount;
    int64_t amount; /* paise */
    bool has_minimum;
    int64_t minimum; /* paise; the payer may pay less than the amount, but not less than this */
};

/* Texts are decoded into `memory`, which must live as long as they. ERR_INVALID with *ret_refusal.
 * Parameters of other names are passed over. */
MUST_USE err_t emvqr_upi_parse(
    struct span text,
    char memory[EMVQR_UPI_BYTES_MAX],
    struct emvqr_upi *ret_upi,
    struct emvqr_refusal *ret_refusal);

/* What kind of code a text looks like by how it begins; nothing else is checked. */
enum emvqr_kind {
    EMVQR_KIND_UNKNOWN,
    EMVQR_KIND_MERCHANT, /* "0002" */
    EMVQR_KIND_CONSUMER, /* base64 of 85 05 "CPV" */
    EMVQR_KIND_UPI,      /* "upi://" in any case */
};

enum emvqr_kind emvqr_kind_of(struct span text);

#endif
