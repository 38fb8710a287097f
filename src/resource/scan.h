/*
 * Reading JSON text that Tael's own writer produced (documents' bodies): compact, no spaces.
 * Strict: whatever is not exactly one JSON text is refused. Allocates only for texts with escapes.
 */
#ifndef RESOURCE_SCAN_H
#define RESOURCE_SCAN_H

#include "base/arena.h"
#include "base/err.h"

#define RESOURCE_SCAN_DEPTH_MAX 64

struct resource_scan {
    const char *at;
    const char *end;
};

static inline struct resource_scan
resource_scan_of(struct span text)
{
    return (struct resource_scan){.at = text.data, .end = text.data + text.size};
}

/* True and past it, if this byte comes next. */
static inline bool
resource_scan_byte(struct resource_scan *scan, char byte)
{
    if (scan->at == scan->end || *scan->at != byte) {
        return false;
    }
    scan->at++;
    return true;
}

/* The text between quotes; into `scan`'s text itself unless it holds escapes. ERR_CORRUPT,
 * ERR_FULL. */
MUST_USE err_t
resource_scan_text(struct resource_scan *scan, struct arena *arena, struct span *ret_text);
/* The raw text of a value of any kind. */
MUST_USE err_t resource_scan_value(struct resource_scan *scan, struct span *ret_raw);
MUST_USE err_t resource_scan_integer(struct resource_scan *scan, int64_t *ret_value);
MUST_USE err_t resource_scan_boolean(struct resource_scan *scan, bool *ret_value);

/* Walks an object: false at its end or when it is damaged (then *error is not ERR_OK). The caller
 * scans the value behind each name. Begin with *first true. */
bool resource_scan_member(
    struct resource_scan *scan,
    struct arena *arena,
    bool *first,
    struct span *ret_name,
    err_t *error);

#endif
