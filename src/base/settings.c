#include "base/settings.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define VARIABLE_PREFIX "TAEL_"
/* The longest name a table may have; an environment variable is this and its prefix. */
#define NAME_MAX_BYTES 64
/* Of what the user wrote, at most this much is quoted in a message. */
#define QUOTED_MAX_BYTES 60

struct scale {
    const char *suffix;
    int64_t factor;
};

static const struct scale duration_scales[] = {
    {"ms", 1},
    {"s", 1000},
    {"m", 60000},
    {"h", 3600000},
    {"d", 86400000},
    {NULL, 0},
};

static const struct scale size_scales[] = {
    {"", 1},
    {"k", 1 << 10},
    {"m", 1 << 20},
    {"g", 1 << 30},
    {NULL, 0},
};

__attribute__((format(printf, 2, 3))) static void
explain(char message[SETTING_MESSAGE_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, SETTING_MESSAGE_SIZE, format, arguments);
    va_end(arguments);
}

/* Writes what stands in the message behind `prefix`, cut to what fits. */
static void
explain_where(char message[SETTING_MESSAGE_SIZE], const char *prefix, size_t number)
{
    char reason[SETTING_MESSAGE_SIZE];
    memcpy(reason, message, sizeof(reason));
    reason[sizeof(reason) - 1] = '\0';
    explain(message, "%s %zu: %.*s", prefix, number, SETTING_MESSAGE_SIZE - 48, reason);
}

/* A number and one of the suffixes. ERR_RANGE if it does not fit. */
static err_t
parse_scaled(struct span text, const struct scale *scales, int64_t *ret_value)
{
    size_t digits = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9') {
        digits++;
    }
    struct span suffix = span_slice(text, digits, text.size);
    if (digits == 0) {
        return ERR_INVALID;
    }
    for (; scales->suffix != NULL; scales++) {
        if (span_equal_cstr(suffix, scales->suffix)) {
            int64_t number;
            if (!span_parse_i64(span_slice(text, 0, digits), &number) ||
                __builtin_mul_overflow(number, scales->factor, ret_value)) {
                return ERR_RANGE;
            }
            return ERR_OK;
        }
    }
    return ERR_INVALID;
}

static err_t
parse_boolean(struct span text, int64_t *ret_value)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (span_equal_cstr(text, words[i])) {
            *ret_value = (int64_t)(i % 2);
            return ERR_OK;
        }
    }
    return ERR_INVALID;
}

static err_t
parse_integer(struct span text, int64_t *ret_value)
{
    struct span digits = span_slice(text, text.size > 0 && text.data[0] == '-' ? 1 : 0, text.size);
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') {
            return ERR_INVALID;
        }
    }
    if (digits.size == 0) {
        return ERR_INVALID;
    }
    return span_parse_i64(text, ret_value) ? ERR_OK : ERR_RANGE;
}

static const char *
expected_form(enum setting_kind kind)
{
    switch (kind) {
    case SETTING_BOOLEAN:
        return "true or false";
    case SETTING_INTEGER:
        return "a whole number";
    case SETTING_TEXT:
        return "text without zero bytes";
    case SETTING_DURATION:
        return "a duration such as 250ms, 5s, 2m, 1h or 7d";
    case SETTING_SIZE:
        return "a size such as 4096, 64k, 16m or 2g";
    }
    UNREACHABLE();
}

static err_t
parse_number(enum setting_kind kind, struct span text, int64_t *ret_value)
{
    switch (kind) {
    case SETTING_BOOLEAN:
        return parse_boolean(text, ret_value);
    case SETTING_INTEGER:
        return parse_integer(text, ret_value);
    case SETTING_DURATION:
        return span_equal_cstr(text, "0") ? parse_integer(text, ret_value)
                                          : parse_scaled(text, duration_scales, ret_value);
    case SETTING_SIZE:
        return parse_scaled(text, size_scales, ret_value);
    case SETTING_TEXT:
        break;
    }
    UNREACHABLE();
}

/* The largest suffix that leaves no fraction. */
static void
append_scaled(struct buf *out, int64_t value, const struct scale *scales)
{
    const struct scale *best = &scales[0];
    for (const struct scale *scale = scales; value != 0 && scale->suffix != NULL; scale++) {
        if (value % scale->factor == 0) {
            best = scale;
        }
    }
    buf_append_i64(out, value / best->factor);
    buf_append_cstr(out, best->suffix);
}

static void
append_bound(struct buf *out, const struct setting *setting, int64_t value)
{
    if (setting->kind == SETTING_DURATION) {
        append_scaled(out, value, duration_scales);
    } else if (setting->kind == SETTING_SIZE) {
        append_scaled(out, value, size_scales);
    } else {
        buf_append_i64(out, value);
    }
    if (setting->unit != NULL) {
        buf_append_byte(out, ' ');
        buf_append_cstr(out, setting->unit);
    }
}

static void
explain_bound(
    char message[SETTING_MESSAGE_SIZE],
    const struct setting *setting,
    const char *what,
    int64_t bound)
{
    char memory[96];
    struct buf text;
    buf_init_fixed(&text, memory, sizeof(memory));
    append_bound(&text, setting, bound);
    explain(
        message,
        "setting '%s' must be at %s %.*s",
        setting->name,
        what,
        SPAN_PRINTF(buf_span(&text)));
}

static err_t
set_text(
    const struct setting *setting,
    void *values,
    struct span text,
    char message[SETTING_MESSAGE_SIZE])
{
    ASSERT(setting->maximum > 0);
    ASSERT(setting->minimum <= setting->maximum - 1);
    if (span_find(text, '\0', 0) < text.size) {
        explain(message, "setting '%s' must be %s", setting->name, expected_form(setting->kind));
        return ERR_INVALID;
    }
    if (text.size > (size_t)setting->maximum - 1) {
        explain(
            message,
            "setting '%s' must have at most %lld bytes",
            setting->name,
            (long long)(setting->maximum - 1));
        return ERR_RANGE;
    }
    if (setting->minimum > 0 && text.size < (size_t)setting->minimum) {
        explain(
            message,
            "setting '%s' must have at least %lld bytes",
            setting->name,
            (long long)setting->minimum);
        return ERR_RANGE;
    }
    char *out = (char *)values + setting->offset;
    /* The rest too: no piece of a longer, earlier value stays behind. */
    memset(out, 0, (size_t)setting->maximum);
    if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    return ERR_OK;
}

static err_t
set_number(
    const struct setting *setting,
    void *values,
    struct span text,
    char message[SETTING_MESSAGE_SIZE])
{
    int64_t value;
    err_t error = parse_number(setting->kind, text, &value);
    if (error == ERR_INVALID && setting->secret) {
        explain(message, "setting '%s' must be %s", setting->name, expected_form(setting->kind));
        return error;
    }
    if (error == ERR_INVALID) {
        explain(
            message,
            "setting '%s' must be %s, not '%.*s'",
            setting->name,
            expected_form(setting->kind),
            SPAN_PRINTF(span_slice(text, 0, QUOTED_MAX_BYTES)));
        return error;
    }
    if (setting->kind == SETTING_BOOLEAN) {
        bool flag = value != 0;
        memcpy((char *)values + setting->offset, &flag, sizeof(flag));
        return ERR_OK;
    }
    bool negative = text.data[0] == '-';
    if (error != ERR_OK ? negative : value < setting->minimum) {
        explain_bound(message, setting, "least", setting->minimum);
        return ERR_RANGE;
    }
    if (error != ERR_OK || value > setting->maximum) {
        explain_bound(message, setting, "most", setting->maximum);
        return ERR_RANGE;
    }
    memcpy((char *)values + setting->offset, &value, sizeof(value));
    return ERR_OK;
}

static err_t
set_one(
    const struct setting *setting,
    void *values,
    struct span text,
    char message[SETTING_MESSAGE_SIZE])
{
    message[0] = '\0';
    if (setting->kind == SETTING_TEXT) {
        return set_text(setting, values, text, message);
    }
    return set_number(setting, values, text, message);
}

static const struct setting *
find_setting(const struct setting *table, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++) {
        if (span_equal_cstr(name, table[i].name)) {
            return &table[i];
        }
    }
    return NULL;
}

static err_t
explain_unknown(char message[SETTING_MESSAGE_SIZE], const char *what, struct span name)
{
    explain(message, "unknown %s '%.*s'", what, SPAN_PRINTF(span_slice(name, 0, QUOTED_MAX_BYTES)));
    return ERR_NOT_FOUND;
}

void
settings_defaults(const struct setting *table, size_t count, void *values)
{
    for (size_t i = 0; i < count; i++) {
        char message[SETTING_MESSAGE_SIZE];
        ASSERT(table[i].fallback != NULL);
        ASSERT(strlen(table[i].name) <= NAME_MAX_BYTES);
        err_t error = set_one(&table[i], values, span_from_cstr(table[i].fallback), message);
        ASSERT(error == ERR_OK);
    }
}

err_t
settings_set(
    const struct setting *table,
    size_t count,
    void *values,
    struct span name,
    struct span text,
    char message[SETTING_MESSAGE_SIZE])
{
    const struct setting *setting = find_setting(table, count, name);
    if (setting == NULL) {
        return explain_unknown(message, "setting", name);
    }
    return set_one(setting, values, text, message);
}

err_t
settings_from_file(
    const struct setting *table,
    size_t count,
    void *values,
    struct span content,
    char message[SETTING_MESSAGE_SIZE])
{
    for (size_t number = 1; content.size > 0; number++) {
        struct span line = span_cut(&content, '\n');
        if (line.size > 0 && line.data[line.size - 1] == '\r') {
            line.size--;
        }
        line = span_trim(line);
        if (line.size == 0 || line.data[0] == '#') {
            continue;
        }
        err_t error;
        if (span_find(line, '=', 0) == line.size) {
            explain(message, "expected 'name = value'");
            error = ERR_INVALID;
        } else {
            struct span name = span_trim(span_cut(&line, '='));
            error = settings_set(table, count, values, name, span_trim(line), message);
        }
        if (error != ERR_OK) {
            explain_where(message, "line", number);
            return error;
        }
    }
    message[0] = '\0';
    return ERR_OK;
}

static bool
is_ignored(struct span name, const char *const *ignored)
{
    for (; ignored != NULL && *ignored != NULL; ignored++) {
        if (span_equal_cstr(name, *ignored)) {
            return true;
        }
    }
    return false;
}

/* TAEL_MAX_CONNECTIONS without its prefix to max-connections; the empty span if it cannot be one:
 * lower case and dashes are refused, so that one setting has one variable. */
static struct span
setting_of_variable(struct span variable, char out[NAME_MAX_BYTES])
{
    if (variable.size > NAME_MAX_BYTES) {
        return SPAN_EMPTY;
    }
    for (size_t i = 0; i < variable.size; i++) {
        char byte = variable.data[i];
        if (byte == '_') {
            out[i] = '-';
        } else if (byte >= 'A' && byte <= 'Z') {
            out[i] = (char)(byte + ('a' - 'A'));
        } else if (byte >= '0' && byte <= '9') {
            out[i] = byte;
        } else {
            return SPAN_EMPTY;
        }
    }
    return span_of(out, variable.size);
}

/* Names that others gave: whatever else begins like them is not ours to refuse. An empty value is
 * as none, which OpenTelemetry asks for. */
static err_t
set_from_usual(
    const struct setting *table,
    size_t count,
    void *values,
    char *const *environment,
    char message[SETTING_MESSAGE_SIZE])
{
    for (; *environment != NULL; environment++) {
        struct span value = span_from_cstr(*environment);
        struct span variable = span_cut(&value, '=');
        for (size_t i = 0; i < count && value.size > 0; i++) {
            if (table[i].variable != NULL && span_equal_cstr(variable, table[i].variable)) {
                TRY(set_one(&table[i], values, value, message));
            }
        }
    }
    return ERR_OK;
}

err_t
settings_from_environment(
    const struct setting *table,
    size_t count,
    void *values,
    char *const *environment,
    const char *const *ignored,
    char message[SETTING_MESSAGE_SIZE])
{
    TRY(set_from_usual(table, count, values, environment, message));
    for (; *environment != NULL; environment++) {
        struct span value = span_from_cstr(*environment);
        struct span variable = span_cut(&value, '=');
        if (!span_starts_with(variable, SPAN(VARIABLE_PREFIX)) || is_ignored(variable, ignored)) {
            continue;
        }
        char memory[NAME_MAX_BYTES];
        struct span name = setting_of_variable(
            span_slice(variable, sizeof(VARIABLE_PREFIX) - 1, variable.size), memory);
        const struct setting *setting = find_setting(table, count, name);
        if (setting == NULL) {
            return explain_unknown(message, "environment variable", variable);
        }
        TRY(set_one(setting, values, value, message));
    }
    message[0] = '\0';
    return ERR_OK;
}

/* One "--name=value", "--name value" or "--name"; *at is moved to its last word. */
static err_t
set_from_flag(
    const struct setting *setting,
    void *values,
    char **argv,
    int *at,
    char message[SETTING_MESSAGE_SIZE])
{
    struct span value = span_from_cstr(argv[*at] + 2);
    bool attached = span_find(value, '=', 0) < value.size;
    (void)span_cut(&value, '=');
    if (attached) {
        return set_one(setting, values, value, message);
    }
    if (setting->kind == SETTING_BOOLEAN) {
        return set_one(setting, values, SPAN("true"), message);
    }
    /* Two dashes are more likely the next flag than a value; --name=value can still say them. */
    if (argv[*at + 1] == NULL || strncmp(argv[*at + 1], "--", 2) == 0) {
        explain(message, "--%s needs a value", setting->name);
        return ERR_INVALID;
    }
    (*at)++;
    return set_one(setting, values, span_from_cstr(argv[*at]), message);
}

err_t
settings_from_arguments(
    const struct setting *table,
    size_t count,
    void *values,
    char **argv,
    int *ret_positional,
    char message[SETTING_MESSAGE_SIZE])
{
    int positional = 0;
    bool flags_ended = false;
    for (int i = 1; argv[i] != NULL; i++) {
        struct span word = span_from_cstr(argv[i]);
        if (!flags_ended && span_equal_cstr(word, "--")) {
            flags_ended = true;
            continue;
        }
        if (flags_ended || word.size < 2 || word.data[0] != '-') {
            argv[++positional] = argv[i];
            continue;
        }
        struct span rest = span_slice(word, 2, word.size);
        struct span name = span_cut(&rest, '=');
        const struct setting *setting =
            span_starts_with(word, SPAN("--")) ? find_setting(table, count, name) : NULL;
        if (setting == NULL) {
            return explain_unknown(message, "flag", span_slice(word, 0, span_find(word, '=', 0)));
        }
        TRY(set_from_flag(setting, values, argv, &i, message));
    }
    *ret_positional = positional;
    message[0] = '\0';
    return ERR_OK;
}

static const char *
placeholder(enum setting_kind kind)
{
    switch (kind) {
    case SETTING_BOOLEAN:
        return "[=BOOLEAN]";
    case SETTING_INTEGER:
        return "=NUMBER";
    case SETTING_TEXT:
        return "=TEXT";
    case SETTING_DURATION:
        return "=DURATION";
    case SETTING_SIZE:
        return "=SIZE";
    }
    UNREACHABLE();
}

static void
append_help(struct buf *out, const struct setting *setting)
{
    buf_append_format(out, "  --%s%s\n", setting->name, placeholder(setting->kind));
    buf_append_format(out, "      %s\n      ", setting->help);
    if (setting->kind != SETTING_BOOLEAN && setting->kind != SETTING_TEXT) {
        append_bound(out, &(struct setting){.kind = setting->kind}, setting->minimum);
        buf_append_cstr(out, " to ");
        append_bound(out, setting, setting->maximum);
        buf_append_cstr(out, "; ");
    }
    if (setting->secret) {
        buf_append_cstr(out, "secret");
    } else if (setting->fallback[0] == '\0') {
        buf_append_cstr(out, "no default");
    } else {
        buf_append_format(out, "default %s", setting->fallback);
    }
    buf_append_cstr(out, "; environment " VARIABLE_PREFIX);
    for (const char *at = setting->name; *at != '\0'; at++) {
        bool is_letter = *at >= 'a' && *at <= 'z';
        buf_append_byte(out, *at == '-' ? '_' : is_letter ? (char)(*at - ('a' - 'A')) : *at);
    }
    if (setting->variable != NULL) {
        buf_append_format(out, " or %s", setting->variable);
    }
    buf_append_byte(out, '\n');
}

void
settings_help(const struct setting *table, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        append_help(out, &table[i]);
    }
}
