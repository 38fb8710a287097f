/* Any entry gives one line of valid JSON within the limit; the walk of a redactor covers its text
 * once. */
#include "base/assert.h"
#include "trace/log.h"
#include "trace/redact.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size);
    struct span message = span_cut(&rest, '\n');
    struct span trace_id = span_cut(&rest, '\n');
    const struct trace_field fields[] = {trace_text("value", rest), trace_u64("bytes", size)};
    const struct trace_entry entry = {
        .level = TRACE_INFO,
        .component = "fuzz",
        .trace_id = trace_id,
        .message = message,
        .fields = fields,
        .field_count = 2,
    };
    char line[TRACE_LINE_MAX];
    size_t line_size = trace_line_format(&entry, size, line);
    ASSERT(line_size <= TRACE_LINE_MAX);
    ASSERT(span_ends_with(span_of(line, line_size), SPAN("}\n")));
    ASSERT(span_is_utf8(span_of(line, line_size)));
    ASSERT(span_find(span_of(line, line_size), '\n', 0) == line_size - 1);
    json_t *json = json_loadb(line, line_size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    ASSERT(json != NULL);
    json_decref(json);

    /* What a redactor shows of a number is its ends; between them are stars. */
    struct trace_redactor redactor;
    struct span piece;
    size_t seen = 0;
    trace_redactor_init(&redactor, message);
    while (trace_redactor_next(&redactor, &piece)) {
        ASSERT(piece.size > 0);
        ASSERT(redactor.at > seen);
        seen = redactor.at;
        bool is_mask = piece.data == redactor.mask;
        ASSERT(!is_mask || (piece.size >= 13 && span_find(piece, '*', 0) == 6));
    }
    ASSERT(seen == message.size);
    return 0;
}
