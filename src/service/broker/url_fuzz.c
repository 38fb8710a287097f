/* Any bytes as a broker's URL: refused, or parts that are texts of their own, without control
 * bytes. */
#include "url.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const char *text, size_t room, bool may_be_empty)
{
    size_t size = strnlen(text, room);
    ASSERT(size < room);
    ASSERT(may_be_empty || size > 0);
    for (size_t i = 0; i < size; i++) {
        ASSERT((unsigned char)text[i] >= ' ');
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct broker_url url;
    if (broker_url_parse(span_of(data, size), &url) != NULL) {
        return 0;
    }
    check_text(url.hosts, sizeof(url.hosts), false);
    check_text(url.name, sizeof(url.name), false);
    if (url.kind == BROKER_RABBITMQ) {
        check_text(url.user, sizeof(url.user), false);
        check_text(url.password, sizeof(url.password), true);
        check_text(url.vhost, sizeof(url.vhost), false);
        ASSERT(url.port > 0);
    }
    return 0;
}
