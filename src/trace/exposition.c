#include "trace/exposition.h"

#include "base/assert.h"

#define NS_DECIMALS 9

/* Help texts and label values: the format escapes backslash, newline and, in values, the quote. */
static void
append_escaped(struct buf *out, const char *text, bool in_quotes)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            buf_append_cstr(out, "\\n");
        } else if (*text == '\\' || (in_quotes && *text == '"')) {
            buf_append_byte(out, '\\');
            buf_append_byte(out, *text);
        } else {
            buf_append_byte(out, *text);
        }
    }
}

void
trace_exposition_head(struct buf *out, const char *name, const char *kind, const char *help)
{
    buf_append_format(out, "# HELP %s ", name);
    append_escaped(out, help, false);
    buf_append_format(out, "\n# TYPE %s %s\n", name, kind);
}

void
trace_exposition_series(struct buf *out, const char *name, const char *const *labels)
{
    char separator = '{';
    buf_append_cstr(out, name);
    for (; labels != NULL && labels[0] != NULL; labels += 2) {
        ASSERT(labels[1] != NULL);
        buf_append_byte(out, separator);
        buf_append_cstr(out, labels[0]);
        buf_append_cstr(out, "=\"");
        append_escaped(out, labels[1], true);
        buf_append_byte(out, '"');
        separator = ',';
    }
    buf_append_cstr(out, separator == '{' ? " " : "} ");
}

void
trace_exposition_value(struct buf *out, const char *name, const char *const *labels, uint64_t value)
{
    trace_exposition_series(out, name, labels);
    buf_append_u64(out, value);
    buf_append_byte(out, '\n');
}

void
trace_exposition_seconds(struct buf *out, const char *name, const char *const *labels, uint64_t ns)
{
    trace_exposition_series(out, name, labels);
    trace_exposition_scaled(out, ns, NS_DECIMALS);
    buf_append_byte(out, '\n');
}

void
trace_exposition_scaled(struct buf *out, uint64_t value, unsigned decimals)
{
    uint64_t unit = 1;
    for (unsigned i = 0; i < decimals; i++) {
        unit *= 10;
    }
    buf_append_u64(out, value / unit);
    uint64_t rest = value % unit;
    if (rest == 0) {
        return;
    }
    buf_append_byte(out, '.');
    while (rest > 0) {
        unit /= 10;
        buf_append_byte(out, (char)('0' + rest / unit));
        rest %= unit;
    }
}

void
trace_exposition_single(
    struct buf *out, const char *name, const char *kind, const char *help, uint64_t value)
{
    trace_exposition_head(out, name, kind, help);
    trace_exposition_value(out, name, TRACE_NO_LABELS, value);
}
