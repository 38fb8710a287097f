#include "image/qr.h"

#define TITLE_DEFAULT "QR code"

/* Text as XML content; what XML 1.0 cannot carry becomes a space. */
static void
append_escaped(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '&') {
            buf_append_cstr(out, "&amp;");
        } else if (byte == '<') {
            buf_append_cstr(out, "&lt;");
        } else if (byte == '>') {
            buf_append_cstr(out, "&gt;");
        } else {
            buf_append_byte(out, (unsigned char)byte < 0x20 || byte == 0x7f ? ' ' : byte);
        }
    }
}

/* The dark modules of one row as rectangles, each as wide as it can be. */
static void
append_row(struct buf *out, const struct image_qr *qr, uint32_t y)
{
    for (uint32_t x = 0; x < qr->side;) {
        uint32_t end = x;
        while (image_qr_is_dark(qr, end, y)) {
            end++;
        }
        if (end > x) {
            buf_append_format(
                out,
                "M%u %uh%uv1h-%uz",
                (unsigned)(x + IMAGE_QR_QUIET),
                (unsigned)(y + IMAGE_QR_QUIET),
                (unsigned)(end - x),
                (unsigned)(end - x));
        }
        x = end + 1;
    }
}

err_t
image_qr_svg(const struct image_qr *qr, const struct image_qr_style *style, struct buf *out)
{
    unsigned modules = (unsigned)image_qr_side_pixels(qr, 1);
    struct span title = style->title.size > 0 ? style->title : SPAN(TITLE_DEFAULT);
    if (style->module_pixels == 0 || style->module_pixels > IMAGE_QR_PIXELS_MAX) {
        return ERR_RANGE;
    }
    if (title.size > IMAGE_QR_TITLE_MAX || !span_is_utf8(title)) {
        return ERR_INVALID;
    }
    unsigned pixels = (unsigned)image_qr_side_pixels(qr, style->module_pixels);
    buf_append_format(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
        "viewBox=\"0 0 %u %u\" role=\"img\" shape-rendering=\"crispEdges\">\n<title>",
        pixels,
        pixels,
        modules,
        modules);
    append_escaped(out, title);
    buf_append_format(
        out,
        "</title>\n<rect width=\"%u\" height=\"%u\" fill=\"#fff\"/>\n<path fill=\"#000\" d=\"",
        modules,
        modules);
    for (uint32_t y = 0; y < qr->side; y++) {
        append_row(out, qr, y);
    }
    buf_append_cstr(out, "\"/>\n</svg>\n");
    return buf_failed(out) ? ERR_FULL : ERR_OK;
}
