#include "headers.h"

#include "http/writer.h"

#define HEAD_MAX 16384

/* As the client will write it: neither what ends a line nor what the writer decides itself. */
static bool
can_be_written(const struct http_header *header)
{
    const struct http_request request = {
        .method = SPAN("POST"),
        .target = SPAN("/"),
        .host = SPAN("h"),
        .content_length = 1,
        .headers = header,
        .header_count = 1,
    };
    struct buf out;
    buf_init(&out, HEAD_MAX);
    bool written = http_request_write_head(&out, &request) == ERR_OK && !buf_failed(&out);
    buf_wipe(&out);
    buf_release(&out);
    return written;
}

const char *
traces_headers_parse(struct span text, struct traces_headers *ret_headers, uint32_t *ret_line)
{
    struct traces_headers *headers = ret_headers;
    headers->count = 0;
    *ret_line = 0;
    while (text.size > 0) {
        struct span line = span_cut(&text, '\n');
        bool has_return = span_ends_with(line, SPAN("\r"));
        line = span_trim(span_slice(line, 0, line.size - (has_return ? 1 : 0)));
        ++*ret_line;
        if (line.size == 0 || line.data[0] == '#') {
            continue;
        }
        size_t colon = span_find(line, ':', 0);
        if (colon == line.size) {
            return "it is not NAME: VALUE";
        }
        if (headers->count == TRACES_HEADERS_MAX) {
            return "there are more than 16 headers";
        }
        struct http_header *header = &headers->list[headers->count];
        header->name = span_slice(line, 0, colon);
        header->value = span_trim(span_slice(line, colon + 1, line.size));
        if (header->value.size == 0 || !can_be_written(header)) {
            return "it is no header that may be sent";
        }
        headers->count++;
    }
    return NULL;
}
