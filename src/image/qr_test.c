#include "image/qr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SVG_END "\"/>\n</svg>\n"

static struct image_qr qr;

static void
t_payload(void **state)
{
    (void)state;
    char payload[IMAGE_QR_PAYLOAD_MAX + 1];
    /* Bytes that cannot be packed: the longest payload is a version 40, one more does not fit. */
    memset(payload, 'a', sizeof(payload));
    assert_int_equal(image_qr_encode(SPAN("a"), &qr), ERR_OK);
    assert_int_equal(qr.side, 21);
    assert_int_equal(image_qr_encode(span_of(payload, IMAGE_QR_PAYLOAD_MAX), &qr), ERR_OK);
    assert_int_equal(qr.side, IMAGE_QR_SIDE_MAX);
    assert_int_equal(image_qr_encode(span_of(payload, sizeof(payload)), &qr), ERR_FULL);
    assert_int_equal(image_qr_encode(SPAN_EMPTY, &qr), ERR_INVALID);
    assert_int_equal(image_qr_encode(SPAN("a\0b"), &qr), ERR_INVALID);
    /* Version 1 at level M holds 34 digits, 20 capitals, 14 bytes: ISO/IEC 18004 table 7. */
    assert_int_equal(image_qr_encode(SPAN("1234567890123456789012345678901234"), &qr), ERR_OK);
    assert_int_equal(qr.side, 21);
    assert_int_equal(image_qr_encode(SPAN("ABCDEFGHIJKLMNOPQRST"), &qr), ERR_OK);
    assert_int_equal(qr.side, 21);
    assert_int_equal(image_qr_encode(SPAN("abcdefghijklmno"), &qr), ERR_OK);
    assert_int_equal(qr.side, 25);
}

/* A dark ring of seven, a light one, a dark square of three; and light around it. */
static void
t_finder(int64_t left, int64_t top)
{
    for (int64_t y = -1; y <= 7; y++) {
        for (int64_t x = -1; x <= 7; x++) {
            bool outer = x >= 0 && x <= 6 && y >= 0 && y <= 6;
            bool middle = x >= 1 && x <= 5 && y >= 1 && y <= 5;
            bool inner = x >= 2 && x <= 4 && y >= 2 && y <= 4;
            bool dark = inner || (outer && !middle);
            assert_true(image_qr_is_dark(&qr, left + x, top + y) == dark);
        }
    }
}

static void
t_modules(void **state)
{
    (void)state;
    assert_int_equal(image_qr_encode(SPAN("00020101021229"), &qr), ERR_OK);
    t_finder(0, 0);
    t_finder((int64_t)qr.side - 7, 0);
    t_finder(0, (int64_t)qr.side - 7);
    assert_false(image_qr_is_dark(&qr, -1, 0));
    assert_false(image_qr_is_dark(&qr, 0, qr.side));
    struct image_qr again;
    assert_int_equal(image_qr_encode(SPAN("00020101021229"), &again), ERR_OK);
    assert_memory_equal(&qr, &again, sizeof(qr));
}

static void
t_svg(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, IMAGE_QR_SVG_MAX);
    struct image_qr_style style = {
        .module_pixels = 8, .title = SPAN("Pay <Al & \"Bo\">\n\xc3\xa9")};
    assert_int_equal(image_qr_encode(SPAN("a"), &qr), ERR_OK);
    assert_int_equal(image_qr_svg(&qr, &style, &out), ERR_OK);
    struct span start = SPAN("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"232\" "
                             "height=\"232\" viewBox=\"0 0 29 29\" "
                             "role=\"img\" shape-rendering=\"crispEdges\">\n"
                             "<title>Pay &lt;Al &amp; \"Bo\"&gt; \xc3\xa9</title>\n"
                             "<rect width=\"29\" height=\"29\" fill=\"#fff\"/>\n"
                             "<path fill=\"#000\" d=\"M4 4h7v1h-7z");
    assert_true(span_starts_with(buf_span(&out), start));
    assert_true(span_ends_with(buf_span(&out), SPAN(SVG_END)));
    buf_clear(&out);
    style.title = SPAN_EMPTY;
    assert_int_equal(image_qr_svg(&qr, &style, &out), ERR_OK);
    buf_append_byte(&out, '\0');
    assert_non_null(strstr(out.data, "<title>QR code</title>"));
    buf_release(&out);
}

static uint32_t
t_u32(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void
t_png(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, IMAGE_QR_PNG_MAX);
    const struct image_qr_style style = {.module_pixels = 10};
    assert_int_equal(image_qr_encode(SPAN("a"), &qr), ERR_OK);
    assert_int_equal(image_qr_png(&qr, &style, &out), ERR_OK);
    assert_memory_equal(out.data, "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", 16);
    assert_int_equal(t_u32(out.data + 16), 290);
    assert_int_equal(t_u32(out.data + 20), 290);
    assert_int_equal(out.data[24], 1); /* bit a pixel, of a palette */
    assert_int_equal(out.data[25], 3);
    assert_true(out.size < 1500);
    buf_release(&out);
}

/* The largest of everything is within the limits of the header. */
static void
t_largest(void **state)
{
    (void)state;
    char payload[IMAGE_QR_PAYLOAD_MAX];
    char title[IMAGE_QR_TITLE_MAX + 1];
    struct buf out;
    memset(title, '&', sizeof(title));
    for (size_t i = 0; i < sizeof(payload); i++) {
        payload[i] = (char)(0x80 + (i * 37) % 101);
    }
    assert_int_equal(image_qr_encode(span_of(payload, sizeof(payload)), &qr), ERR_OK);
    struct image_qr_style style = {
        .module_pixels = IMAGE_QR_PIXELS_MAX, .title = span_of(title, IMAGE_QR_TITLE_MAX)};
    buf_init(&out, IMAGE_QR_SVG_MAX);
    assert_int_equal(image_qr_svg(&qr, &style, &out), ERR_OK);
    buf_release(&out);
    style.module_pixels = IMAGE_QR_PNG_SIDE / (IMAGE_QR_SIDE_MAX + 2 * IMAGE_QR_QUIET);
    buf_init(&out, IMAGE_QR_PNG_MAX);
    assert_int_equal(image_qr_png(&qr, &style, &out), ERR_OK);
    buf_release(&out);
    buf_init(&out, IMAGE_QR_TEXT_MAX);
    assert_int_equal(image_qr_text(&qr, true, &out), ERR_OK);
    buf_release(&out);
    buf_init(&out, IMAGE_QR_PNG_MAX);
    style.module_pixels++;
    assert_int_equal(image_qr_png(&qr, &style, &out), ERR_RANGE);
    style.module_pixels = IMAGE_QR_PIXELS_MAX + 1;
    assert_int_equal(image_qr_svg(&qr, &style, &out), ERR_RANGE);
    style.module_pixels = 0;
    assert_int_equal(image_qr_svg(&qr, &style, &out), ERR_RANGE);
    assert_int_equal(image_qr_png(&qr, &style, &out), ERR_RANGE);
    style.module_pixels = 1;
    style.title = span_of(title, sizeof(title));
    assert_int_equal(image_qr_svg(&qr, &style, &out), ERR_INVALID);
    style.title = SPAN("\xff");
    assert_int_equal(image_qr_svg(&qr, &style, &out), ERR_INVALID);
    assert_int_equal(out.size, 0);
    buf_release(&out);
}

static void
t_small_buffer(void **state)
{
    (void)state;
    char memory[100];
    struct buf out;
    const struct image_qr_style style = {.module_pixels = 1};
    assert_int_equal(image_qr_encode(SPAN("a"), &qr), ERR_OK);
    buf_init_fixed(&out, memory, sizeof(memory));
    assert_int_equal(image_qr_svg(&qr, &style, &out), ERR_FULL);
    buf_init_fixed(&out, memory, sizeof(memory));
    assert_int_equal(image_qr_png(&qr, &style, &out), ERR_FULL);
    buf_init_fixed(&out, memory, sizeof(memory));
    assert_int_equal(image_qr_text(&qr, false, &out), ERR_FULL);
}

static void
t_text(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, IMAGE_QR_TEXT_MAX);
    assert_int_equal(image_qr_encode(SPAN("a"), &qr), ERR_OK);
    assert_int_equal(image_qr_text(&qr, false, &out), ERR_OK);
    struct span rest = buf_span(&out);
    size_t lines = 0;
    while (rest.size > 0) {
        struct span line = span_cut(&rest, '\n');
        assert_true(span_starts_with(line, SPAN("    ")));
        lines++;
    }
    assert_int_equal(lines, (21 + 2 * IMAGE_QR_QUIET + 1) / 2);
    /* The third line is the top of the finders: a full block, half blocks, a full block. */
    rest = buf_span(&out);
    (void)span_cut(&rest, '\n');
    (void)span_cut(&rest, '\n');
    assert_true(span_starts_with(span_cut(&rest, '\n'), SPAN("    █▀▀▀▀▀█")));
    buf_release(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_payload),
        cmocka_unit_test(t_modules),
        cmocka_unit_test(t_svg),
        cmocka_unit_test(t_png),
        cmocka_unit_test(t_largest),
        cmocka_unit_test(t_small_buffer),
        cmocka_unit_test(t_text),
    };
    return cmocka_run_group_tests_name("image qr", tests, NULL, NULL);
}
