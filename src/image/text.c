#include "image/qr.h"

#define BLACK_ON_WHITE "\x1b[0;30;107m"
#define PLAIN          "\x1b[0m"

err_t
image_qr_text(const struct image_qr *qr, bool colored, struct buf *out)
{
    static const char *const halves[] = {
        " ", "\xe2\x96\x80", "\xe2\x96\x84", "\xe2\x96\x88"}; /* none, upper, lower, both */
    int64_t end = (int64_t)qr->side + IMAGE_QR_QUIET;
    for (int64_t y = -IMAGE_QR_QUIET; y < end; y += 2) {
        if (colored) {
            buf_append_cstr(out, BLACK_ON_WHITE);
        }
        for (int64_t x = -IMAGE_QR_QUIET; x < end; x++) {
            size_t upper = image_qr_is_dark(qr, x, y) ? 1 : 0;
            size_t lower = image_qr_is_dark(qr, x, y + 1) ? 2 : 0;
            buf_append_cstr(out, halves[upper + lower]);
        }
        buf_append_cstr(out, colored ? PLAIN "\n" : "\n");
    }
    return buf_failed(out) ? ERR_FULL : ERR_OK;
}
