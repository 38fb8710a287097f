/* Codes to scan, as texts: what Tael writes into them, and what it reads out. */
#ifndef PAYMENTS_QR_H
#define PAYMENTS_QR_H

#include "flow.h"

/* What a code says. */
struct payments_qr_content {
    struct span reference; /* pi_... or qrc_... */
    const struct currency *currency;
    bool has_amount;
    int64_t amount; /* ISO minor units */
};

/* The code's text, in the arena. It names the caller's merchant, as far as 25 characters go. */
MUST_USE err_t payments_qr_write(
    struct payments_flow *flow, const struct payments_qr_content *content, struct span *ret_code);

/* Reads the parameter `data`. False if answered: a code that is damaged, or of another scheme. */
bool payments_qr_read(struct resource_op *op, struct payments_qr_content *ret_content);

/* "https://host/qr/SCOPE/ID_SECRET": the page; with .png or .svg behind it, the pictures. */
struct span payments_qr_url(struct payments_flow *flow, struct span id, struct span secret);

/* What an address asks for by its end. */
enum payments_qr_form {
    PAYMENTS_QR_PAGE,
    PAYMENTS_QR_PNG,
    PAYMENTS_QR_SVG
};

/* Takes ".png" or ".svg" off the token. */
enum payments_qr_form payments_qr_form_read(struct span *token);

/* Answers with the picture of a code that says `data`; `title` is for who cannot see it. */
void payments_qr_picture_answer(
    struct resource_op *op, struct span data, struct span title, enum payments_qr_form form);

/* Members `data`, `image_url_png`, `image_url_svg` and `hosted_instructions_url`. */
void payments_qr_render(struct json_writer *json, struct span data, struct span url);

#endif
