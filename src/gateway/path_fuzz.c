/* Any bytes as a path: what is accepted is unchanged by a second pass and has no second reading. */
#include "path.h"

#include "base/assert.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char first[65536];
    static char second[65536];
    struct span once;
    struct span twice;
    if (size > sizeof(first) ||
        gateway_path_normalize(span_of(data, size), first, &once) != ERR_OK) {
        return 0;
    }
    ASSERT(once.size <= size);
    err_t again = gateway_path_normalize(once, second, &twice);
    ASSERT(again == ERR_OK);
    ASSERT(span_equal(once, twice));
    for (size_t i = 0; i + 1 < once.size; i++) {
        ASSERT(once.data[i] != '/' || once.data[i + 1] != '/');
    }
    ASSERT(memchr(once.data, '\\', once.size) == NULL);
    return 0;
}
