#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void
assert_fail(const char *file, int line, const char *function, const char *condition)
{
    (void)fprintf(stderr, "tael: bug: %s:%d: %s: %s\n", file, line, function, condition);
    (void)fflush(stderr);
    abort();
}
