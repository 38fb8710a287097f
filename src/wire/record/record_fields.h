/* The tables from which records are read and written: names, places, sizes, flags. */
#ifndef RECORD_RECORD_FIELDS_H
#define RECORD_RECORD_FIELDS_H

#include "record/record.h"

struct record_flag {
    const char *name;
    uint32_t bit;
};

struct record_field {
    const char *name;
    uint16_t offset;
    uint8_t size;                    /* bytes: 2, 4, 8 or 16 */
    bool hidden;                     /* read, but not written */
    const struct record_flag *flags; /* NULL: a plain integer */
};

struct record_table {
    const struct record_field *fields;
    uint32_t field_count;
};

extern const struct record_table record_account_table;
extern const struct record_table record_transfer_table;
/* By enum record_filter_kind; flags are read into `struct record_filter_in`. */
extern const struct record_table record_filter_tables[3];

/* A filter as it is read: its flags still a number. */
struct record_filter_in {
    struct record_filter filter;
    uint32_t flags;
};

enum {
    RECORD_FILTER_DEBITS = 1,
    RECORD_FILTER_CREDITS = 2,
    RECORD_FILTER_REVERSED = 4,
    RECORD_QUERY_REVERSED = 1,
};

#endif
