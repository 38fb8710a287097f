#include "image/qr.h"

#include "base/assert.h"

#include <errno.h>
#include <qrencode.h>
#include <string.h>

#define MODULE_DARK 0x01 /* libqrencode's bit; the others tell what a module is for */

static void
copy_modules(const QRcode *code, struct image_qr *ret_qr)
{
    size_t count = (size_t)code->width * (size_t)code->width;
    *ret_qr = (struct image_qr){.side = (uint32_t)code->width};
    for (size_t i = 0; i < count; i++) {
        if ((code->data[i] & MODULE_DARK) != 0) {
            ret_qr->dark[i / 8] = (uint8_t)(ret_qr->dark[i / 8] | (1U << (i % 8)));
        }
    }
}

err_t
image_qr_encode(struct span payload, struct image_qr *ret_qr)
{
    char text[IMAGE_QR_PAYLOAD_MAX + 1];
    if (payload.size == 0 || memchr(payload.data, 0, payload.size) != NULL) {
        return ERR_INVALID;
    }
    if (payload.size > IMAGE_QR_PAYLOAD_MAX) {
        return ERR_FULL;
    }
    memcpy(text, payload.data, payload.size);
    text[payload.size] = '\0';
    /* Digits and capitals are packed where that is shorter; everything else is bytes as they are.
     */
    QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 1);
    if (code == NULL) {
        return errno == ERANGE ? ERR_FULL : ERR_MEMORY;
    }
    ASSERT(code->width > 0 && code->width <= IMAGE_QR_SIDE_MAX);
    copy_modules(code, ret_qr);
    QRcode_free(code);
    return ERR_OK;
}

bool
image_qr_is_dark(const struct image_qr *qr, int64_t x, int64_t y)
{
    if (x < 0 || y < 0 || x >= qr->side || y >= qr->side) {
        return false;
    }
    size_t i = (size_t)y * qr->side + (size_t)x;
    return (((unsigned)qr->dark[i / 8] >> (i % 8)) & 1U) != 0;
}

uint32_t
image_qr_side_pixels(const struct image_qr *qr, uint32_t module_pixels)
{
    return (qr->side + 2 * IMAGE_QR_QUIET) * module_pixels;
}
