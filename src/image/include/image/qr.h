/*
 * Pictures of QR codes (ISO/IEC 18004): modules from libqrencode, written as SVG, as PNG (libpng)
 * or as text for a terminal.
 *
 *     struct image_qr qr;
 *     struct image_qr_style style = {.module_pixels = 8, .title = SPAN("Pay 12.50 EUR")};
 *     TRY(image_qr_encode(payload, &qr));
 *     TRY(image_qr_svg(&qr, &style, &out));
 *
 * Error correction is level M, which EMVCo asks for; the smallest version that holds the payload is
 * taken. Around the modules is the quiet zone of four that the standard asks for, always.
 *
 * IMAGE-1  A picture is a function of payload and style: no clock, no randomness, no file.
 * IMAGE-2  What is written is bounded by the limits below, whatever the payload and the title.
 *
 * Allocates while it works; any thread; blocks nothing but the processor (a PNG of 500 pixels takes
 * about a millisecond).
 */
#ifndef IMAGE_QR_H
#define IMAGE_QR_H

#include "base/buf.h"
#include "base/err.h"

#define IMAGE_QR_PAYLOAD_MAX 2331 /* bytes: version 40 at level M */
#define IMAGE_QR_SIDE_MAX    177  /* modules: version 40 */
#define IMAGE_QR_QUIET       4    /* modules on each side */
#define IMAGE_QR_PIXELS_MAX  32   /* of a module */
#define IMAGE_QR_PNG_SIDE    2048 /* pixels, with the quiet zone */
#define IMAGE_QR_TITLE_MAX   256  /* bytes */
/* Sizes that always suffice for `out`. */
#define IMAGE_QR_SVG_MAX  (1U << 19)
#define IMAGE_QR_PNG_MAX  (1U << 20)
#define IMAGE_QR_TEXT_MAX (1U << 17)

struct image_qr {
    uint32_t side; /* modules, without the quiet zone: 21 to IMAGE_QR_SIDE_MAX */
    uint8_t dark[(IMAGE_QR_SIDE_MAX * IMAGE_QR_SIDE_MAX + 7) / 8]; /* a bit each, row by row */
};

struct image_qr_style {
    uint32_t module_pixels; /* 1 to IMAGE_QR_PIXELS_MAX */
    struct span title;      /* of the SVG, for who cannot see it: UTF-8; empty for "QR code" */
};

/* ERR_INVALID for an empty payload or one with a zero byte, ERR_FULL for one that is too long,
 * ERR_MEMORY. */
MUST_USE err_t image_qr_encode(struct span payload, struct image_qr *ret_qr);

/* By column and row from 0; false for a place outside, which is the quiet zone. */
bool image_qr_is_dark(const struct image_qr *qr, int64_t x, int64_t y);

/* Pixels of a picture's side, with the quiet zone. */
uint32_t image_qr_side_pixels(const struct image_qr *qr, uint32_t module_pixels);

/* Each appends a whole document. ERR_RANGE for a size outside the limits (a PNG also by its side),
 * ERR_INVALID for a title that is too long or not UTF-8, ERR_FULL if `out` cannot hold it,
 * ERR_MEMORY. */
MUST_USE err_t
image_qr_svg(const struct image_qr *qr, const struct image_qr_style *style, struct buf *out);
MUST_USE err_t
image_qr_png(const struct image_qr *qr, const struct image_qr_style *style, struct buf *out);

/* Two rows of modules to a line, for a terminal; `colored` says black on white with escape
 * sequences, without it dark is a block and light a space. ERR_FULL. */
MUST_USE err_t image_qr_text(const struct image_qr *qr, bool colored, struct buf *out);

#endif
