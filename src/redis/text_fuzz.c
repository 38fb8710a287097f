/* Any bytes as what Redis says, and as a URL: refused, or what is written again as it was. */
#include "text.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_value(struct span text)
{
    uint64_t version;
    struct span value;
    if (redis_value_decode(text, &version, &value)) {
        char digits[REDIS_VERSION_SIZE + 1];
        redis_version_text(version, digits);
        ASSERT(memcmp(text.data + 1, digits, REDIS_VERSION_SIZE) == 0);
        ASSERT(value.size == text.size - 1 - REDIS_VERSION_SIZE);
        ASSERT(value.size <= PORT_CACHE_VALUE_MAX);
    }
}

static void
fuzz_told(struct span text)
{
    struct cache_key key;
    uint64_t version;
    if (redis_told_decode(text, &key, &version) == REDIS_TOLD_FORGET) {
        char again[REDIS_TOLD_SIZE + 1];
        redis_told_encode(&key, version, again);
        ASSERT(span_equal_cstr(text, again));
    }
}

static void
fuzz_url(struct span text)
{
    struct redis_url url;
    char message[REDIS_MESSAGE_SIZE] = "";
    if (!redis_url_parse(text, &url, message)) {
        ASSERT(message[0] != '\0');
        return;
    }
    ASSERT(url.port > 0);
    ASSERT(strnlen(url.host, sizeof(url.host)) > 0);
    ASSERT(strnlen(url.host, sizeof(url.host)) < sizeof(url.host));
    ASSERT(strnlen(url.password, sizeof(url.password)) < sizeof(url.password));
    ASSERT(url.user[0] == '\0' || url.password[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    fuzz_value(text);
    fuzz_told(text);
    fuzz_url(text);
    return 0;
}
