/* Arbitrary scripts: every line is answered by one line, and nothing stops the process. */
#include "engine/replay.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
count_line(void *context, struct span text)
{
    ASSERT(text.size > 0);
    ASSERT(memchr(text.data, '\n', text.size) == NULL);
    (*(uint64_t *)context)++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t lines = 0;
    struct ledger_replay_settings settings = {
        .url = "memory:", .disk = os_disk_real(), .line = count_line, .context = &lines};
    struct ledger_replay_summary summary;
    struct store_error error;
    err_t code = ledger_engine_replay(&settings, span_of(data, size), &summary, &error);
    ASSERT(code == ERR_OK || code == ERR_INVALID);
    ASSERT(lines == summary.lines);
    return 0;
}
