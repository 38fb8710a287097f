#include "image/qr.h"

#include "base/assert.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

#define COLORS      2
#define COLOR_LIGHT 0
#define COLOR_DARK  1
#define PNG_EXTRA   4096U /* signature, chunks and what deflate adds to what it cannot shrink */

/* Palette entries, RGB. */
static const png_byte palette[COLORS * 3] = {0xff, 0xff, 0xff, 0x00, 0x00, 0x00};

/* A byte for each pixel: libpng packs eight of them into one. */
static void
draw(const struct image_qr *qr, uint32_t module_pixels, uint32_t side, png_byte *pixels)
{
    for (uint32_t y = 0; y < side; y++) {
        int64_t row = (int64_t)(y / module_pixels) - IMAGE_QR_QUIET;
        png_byte *line = pixels + (size_t)y * side;
        if (y % module_pixels != 0) {
            memcpy(line, line - side, side);
            continue;
        }
        for (uint32_t x = 0; x < side; x++) {
            int64_t column = (int64_t)(x / module_pixels) - IMAGE_QR_QUIET;
            line[x] = image_qr_is_dark(qr, column, row) ? COLOR_DARK : COLOR_LIGHT;
        }
    }
}

/* Through libpng's simplified interface, which needs no setjmp of ours. */
static err_t
write_png(uint32_t side, const png_byte *pixels, void *memory, size_t room, struct buf *out)
{
    png_image image = {
        .version = PNG_IMAGE_VERSION,
        .width = side,
        .height = side,
        .format = PNG_FORMAT_RGB_COLORMAP,
        .colormap_entries = COLORS,
    };
    png_alloc_size_t size = room;
    if (png_image_write_to_memory(&image, memory, &size, 0, pixels, 0, palette) == 0) {
        png_image_free(&image);
        return ERR_MEMORY;
    }
    ASSERT(size <= room);
    buf_append(out, memory, size);
    return buf_failed(out) ? ERR_FULL : ERR_OK;
}

err_t
image_qr_png(const struct image_qr *qr, const struct image_qr_style *style, struct buf *out)
{
    if (style->module_pixels == 0 || style->module_pixels > IMAGE_QR_PIXELS_MAX) {
        return ERR_RANGE;
    }
    uint32_t side = image_qr_side_pixels(qr, style->module_pixels);
    if (side > IMAGE_QR_PNG_SIDE) {
        return ERR_RANGE;
    }
    size_t pixel_count = (size_t)side * side;
    size_t room = pixel_count / 8 + (size_t)side * 2 + PNG_EXTRA;
    static_assert(
        IMAGE_QR_PNG_SIDE * IMAGE_QR_PNG_SIDE / 8 + IMAGE_QR_PNG_SIDE * 2 + PNG_EXTRA <
            IMAGE_QR_PNG_MAX,
        "the promise of the header");
    png_byte *pixels = malloc(pixel_count + room);
    if (pixels == NULL) {
        return ERR_MEMORY;
    }
    draw(qr, style->module_pixels, side, pixels);
    err_t result = write_png(side, pixels, pixels + pixel_count, room, out);
    free(pixels);
    return result;
}
