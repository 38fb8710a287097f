#include "amount.h"

#include "text.h"

#include <stdio.h>
#include <unistd.h>

#define SHOWN_SIZE 64

/* Scripts know what they wrote, and their logs are not for this. */
static void
tell_plain(const char *name, const char *text, const struct currency *currency, int64_t api_amount)
{
    if (!text_amount_is_plain(span_from_cstr(text), currency) || isatty(STDERR_FILENO) != 1) {
        return;
    }
    char memory[SHOWN_SIZE];
    struct buf shown;
    buf_init_fixed(&shown, memory, sizeof(memory));
    text_amount_append(&shown, api_amount, span_from_cstr(currency->code));
    (void)fprintf(stderr, "--%s=%s is %.*s\n", name, text, (int)shown.size, memory);
}

int
amount_read(
    const struct command *command,
    const char *name,
    const char *text,
    const struct currency *currency,
    int64_t *ret_api_amount)
{
    if (text_amount_parse(span_from_cstr(text), currency, ret_api_amount) != ERR_OK) {
        return command_misuse(
            command,
            "--%s is a number of %s with %u digits behind a point, or in its smallest unit",
            name,
            currency->code,
            (unsigned)currency->api_exponent);
    }
    tell_plain(name, text, currency, *ret_api_amount);
    return COMMAND_GO_ON;
}
