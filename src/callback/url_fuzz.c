/* Any bytes as an endpoint's URL: refused, or parts that make the same request when they are put
 * together again, and that no header can be ended with. */
#include "callback/url.h"

#include "base/assert.h"
#include "base/buf.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_bytes(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        ASSERT(text.data[i] > ' ');
        ASSERT(text.data[i] <= '~');
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[CALLBACK_URL_MAX + 64];
    struct callback_url url, again;
    struct buf out;
    if (callback_url_parse(span_of(data, size), &url) != NULL) {
        return 0;
    }
    ASSERT(url.host.size > 0);
    ASSERT(url.port > 0);
    ASSERT(url.target.size > 0);
    ASSERT(url.target.data[0] == '/');
    check_bytes(url.host);
    check_bytes(url.target);
    bool is_v6 = memchr(url.host.data, ':', url.host.size) != NULL;
    buf_init_fixed(&out, text, sizeof(text));
    buf_append_format(
        &out,
        is_v6 ? "%s://[%.*s]:%u%.*s" : "%s://%.*s:%u%.*s",
        url.tls ? "https" : "http",
        SPAN_PRINTF(url.host),
        (unsigned)url.port,
        SPAN_PRINTF(url.target));
    if (out.size > CALLBACK_URL_MAX) {
        return 0;
    }
    ASSERT(!buf_failed(&out));
    ASSERT(callback_url_parse(buf_span(&out), &again) == NULL);
    ASSERT(again.tls == url.tls);
    ASSERT(again.port == url.port);
    ASSERT(span_equal(again.host, url.host));
    ASSERT(span_equal(again.target, url.target));
    return 0;
}
