/* `tael qr image`. */
#include "qr.h"

#include "option.h"
#include "show.h"

#include "image/qr.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct image_options {
    char format[8];
    char title[IMAGE_QR_TITLE_MAX + 1];
    int64_t module_pixels;
};

static const struct setting image_settings[] = {
    OPTION_TEXT(
        struct image_options,
        format,
        "format",
        "auto",
        "svg, png or text; auto is text on a terminal, and svg elsewhere."),
    OPTION_NUMBER(
        struct image_options,
        module_pixels,
        "module-pixels",
        "8",
        1,
        IMAGE_QR_PIXELS_MAX,
        "pixels",
        "Of the smallest square."),
    OPTION_TEXT(struct image_options, title, "title", "", "Of an svg, for who cannot see it."),
};

static int
fail_image(const struct command *command, err_t error)
{
    if (error == ERR_RANGE) {
        return command_fail(command, "a png has at most %d pixels a side", IMAGE_QR_PNG_SIDE);
    }
    if (error == ERR_INVALID) {
        return command_fail(command, "the title is not UTF-8");
    }
    return command_fail(command, "%s", err_text(error));
}

static err_t
draw(
    const struct image_options *options,
    bool on_terminal,
    const struct image_qr *qr,
    struct buf *out)
{
    const struct image_qr_style style = {
        .module_pixels = (uint32_t)options->module_pixels,
        .title = span_from_cstr(options->title),
    };
    if (strcmp(options->format, "png") == 0) {
        return image_qr_png(qr, &style, out);
    }
    bool as_text = strcmp(options->format, "text") == 0 ||
                   (strcmp(options->format, "auto") == 0 && on_terminal);
    return as_text ? image_qr_text(qr, show_colored(stdout), out) : image_qr_svg(qr, &style, out);
}

static int
print_image(const struct command *command, const struct image_options *options, struct span text)
{
    struct image_qr qr;
    bool on_terminal = isatty(STDOUT_FILENO) == 1;
    if (on_terminal && strcmp(options->format, "png") == 0) {
        return command_misuse(command, "a png is not for a terminal: send it to a file");
    }
    err_t result = image_qr_encode(text, &qr);
    if (result == ERR_INVALID) {
        return command_fail(command, "there is no text, or a zero byte in it");
    }
    if (result == ERR_FULL) {
        return command_fail(
            command, "the text is longer than the %d bytes of a QR code", IMAGE_QR_PAYLOAD_MAX);
    }
    if (result != ERR_OK) {
        return command_fail(command, "%s", err_text(result));
    }
    struct buf out;
    buf_init(&out, IMAGE_QR_PNG_MAX);
    result = draw(options, on_terminal, &qr, &out);
    int status = COMMAND_OK;
    if (result == ERR_OK) {
        (void)fwrite(out.data, 1, out.size, stdout);
    } else {
        status = fail_image(command, result);
    }
    buf_release(&out);
    return status;
}

static int
run_image(const struct command *command, int argc, char **argv)
{
    (void)argc;
    static const char *const formats[] = {"auto", "svg", "png", "text"};
    struct image_options values;
    const struct command_options options = {
        COMMAND_TABLE(image_settings), .values = &values, .positional_min = 1, .positional_max = 1};
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    bool is_known = false;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        is_known = is_known || strcmp(values.format, formats[i]) == 0;
    }
    if (!is_known) {
        return command_misuse(command, "--format is svg, png, text or auto");
    }
    char memory[QR_TEXT_SIZE];
    struct span text = SPAN_EMPTY;
    status = qr_read_text(command, argv[1], memory, &text);
    return status == COMMAND_GO_ON ? print_image(command, &values, text) : status;
}

const struct command command_qr_image = {
    .name = "image",
    .usage = "TEXT|- [OPTIONS]",
    .summary = "Draws a QR code to standard output",
    .manual =
        "TEXT may be anything; what it means is not checked. '-' reads it from standard input.",
    .run = run_image,
    .parent = &command_qr,
};
