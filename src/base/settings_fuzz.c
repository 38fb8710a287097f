/* Any configuration file is taken or refused with a message that is zero-terminated, and the values
 * stay within their bounds either way. */
#include "base/assert.h"
#include "base/settings.h"

#include <stddef.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct t_values {
    int64_t number;
    int64_t duration_ms;
    int64_t size_bytes;
    char text[8];
    bool flag;
};

static const struct setting t_table[] = {
    {"n",
     SETTING_INTEGER,
     offsetof(struct t_values, number),
     "0",
     -10,
     10,
     "things",
     "N.",
     false,
     NULL},
    {"d",
     SETTING_DURATION,
     offsetof(struct t_values, duration_ms),
     "1s",
     1,
     5000,
     NULL,
     "D.",
     false,
     NULL},
    {"s",
     SETTING_SIZE,
     offsetof(struct t_values, size_bytes),
     "1k",
     1,
     1 << 20,
     NULL,
     "S.",
     true,
     NULL},
    {"t", SETTING_TEXT, offsetof(struct t_values, text), "", 0, 8, NULL, "T.", false, NULL},
    {"f", SETTING_BOOLEAN, offsetof(struct t_values, flag), "no", 0, 0, NULL, "F.", false, NULL},
};

#define T_COUNT (sizeof(t_table) / sizeof(t_table[0]))

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct t_values values;
    char message[SETTING_MESSAGE_SIZE];
    memset(message, 'x', sizeof(message));
    settings_defaults(t_table, T_COUNT, &values);
    err_t error = settings_from_file(t_table, T_COUNT, &values, span_of(data, size), message);
    const char *end = memchr(message, '\0', sizeof(message));
    ASSERT(end != NULL);
    ASSERT((error == ERR_OK) == (end == message));
    ASSERT(error == ERR_OK || err_category(error) == ERR_CATEGORY_INVALID);
    ASSERT(values.number >= -10 && values.number <= 10);
    ASSERT(values.duration_ms >= 1 && values.duration_ms <= 5000);
    ASSERT(values.size_bytes >= 1 && values.size_bytes <= 1 << 20);
    ASSERT(memchr(values.text, '\0', sizeof(values.text)) != NULL);
    return 0;
}
