/* What a payer enters on the page: what is taken for an expiry, an address or a name is one. */
#include "checkout_form.h"

#include "base/assert.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Written as cards write it, it reads the same. */
static void
check_expiry(struct span text)
{
    int64_t month = 0;
    int64_t year = 0;
    if (!payments_checkout_expiry_read(text, &month, &year)) {
        ASSERT(month == 0 && year == 0);
        return;
    }
    ASSERT(month >= 1 && month <= 12);
    ASSERT(year >= 2000 && year < 2100);
    char plain[16];
    int64_t month_again = 0;
    int64_t year_again = 0;
    (void)snprintf(plain, sizeof(plain), "%02d/%02d", (int)month, (int)(year % 100));
    ASSERT(payments_checkout_expiry_read(span_from_cstr(plain), &month_again, &year_again));
    ASSERT(month_again == month && year_again == year);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    check_expiry(text);
    if (payments_checkout_email_is_sound(text)) {
        ASSERT(size >= 3 && span_find(text, '@', 0) < size);
        ASSERT(span_find(text, '\n', 0) == size); /* it goes into a header of a message */
    }
    if (payments_checkout_name_is_sound(text)) {
        ASSERT(span_trim(text).size > 0);
    }
    return 0;
}
