/*
 * Rows of a table of resource_field (resource.h), for documents whose members are named as the
 * struct's are:
 *
 *     static const struct resource_field refund_fields[] = {
 *         RESOURCE_INTEGER(payments_refund, amount),
 *         RESOURCE_TEXT_COLUMN(payments_refund, charge, PAYMENTS_REFUND_CHARGE),
 *         RESOURCE_NAMED(payments_refund, "attempt_key", TEXT, attempt.key),
 *     };
 *
 *     const struct resource_type payments_refund_type = {... RESOURCE_FIELDS(refund_fields), ...};
 *
 * `type` is the tag of the struct; a column is an index into the kind's columns.
 */
#ifndef RESOURCE_FIELDS_H
#define RESOURCE_FIELDS_H

#include "resource/object.h"

#define RESOURCE_FIELD(type, name_, kind_, member, column_)                                        \
    {                                                                                              \
        .name = (name_), .kind = RESOURCE_FIELD_##kind_, .offset = offsetof(struct type, member),  \
        .column = (column_)                                                                        \
    }

#define RESOURCE_TEXT(type, member)    RESOURCE_FIELD(type, #member, TEXT, member, -1)
#define RESOURCE_JSON(type, member)    RESOURCE_FIELD(type, #member, JSON, member, -1)
#define RESOURCE_INTEGER(type, member) RESOURCE_FIELD(type, #member, INTEGER, member, -1)
#define RESOURCE_BOOLEAN(type, member) RESOURCE_FIELD(type, #member, BOOLEAN, member, -1)

#define RESOURCE_TEXT_COLUMN(type, member, column)                                                 \
    RESOURCE_FIELD(type, #member, TEXT, member, column)
#define RESOURCE_INTEGER_COLUMN(type, member, column)                                              \
    RESOURCE_FIELD(type, #member, INTEGER, member, column)

/* A member that is called otherwise in the document. */
#define RESOURCE_NAMED(type, name, kind, member) RESOURCE_FIELD(type, name, kind, member, -1)

/* Both members of resource_type that the table fills. */
#define RESOURCE_FIELDS(table) .fields = (table), .field_count = sizeof(table) / sizeof((table)[0])

/* Columns of a kind: one that lists filter by, and one by which a sweeper finds what is due, of all
 * merchants. */
#define RESOURCE_INDEXED(column_name)                                                              \
    {                                                                                              \
        .name = (column_name), .type = DOCUMENT_TEXT, .indexed = true                              \
    }
#define RESOURCE_SWEPT(column_name)                                                                \
    {                                                                                              \
        .name = (column_name), .type = DOCUMENT_INTEGER, .indexed = true, .across_scopes = true    \
    }

#endif
