/* Any bytes as a UPI address: what is accepted is UTF-8 within the caller's memory. */
#include "emvqr/upi.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char memory[EMVQR_UPI_BYTES_MAX];
    struct emvqr_upi upi;
    struct emvqr_refusal refusal;
    struct span text = span_of(data, size);
    (void)emvqr_kind_of(text);
    if (emvqr_upi_parse(text, memory, &upi, &refusal) != ERR_OK) {
        ASSERT(refusal.problem != EMVQR_FINE);
        ASSERT(refusal.position <= size);
        ASSERT(memchr(refusal.path, 0, sizeof(refusal.path)) != NULL);
        return 0;
    }
    const struct span texts[] = {
        upi.payee,
        upi.payee_name,
        upi.category,
        upi.terminal_transaction,
        upi.reference,
        upi.note,
        upi.url,
        upi.mode,
        upi.purpose,
        upi.organisation,
        upi.sign};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ASSERT(span_is_utf8(texts[i]));
        ASSERT(texts[i].size <= size);
    }
    ASSERT(upi.payee.size >= 3);
    ASSERT(!upi.has_amount || upi.amount > 0);
    ASSERT(!upi.has_minimum || upi.minimum >= 0);
    return 0;
}
