#include "query.h"

#include "base/assert.h"

uint64_t
document_query_shape(const struct document_query *query)
{
    uint64_t shape = (query->all_scopes ? 1U : 0U) | (query->oldest_first ? 2U : 0U) |
                     (query->id_above.size > 0 ? 4U : 0U) | (query->id_below.size > 0 ? 8U : 0U);
    if (query->range_column != UINT32_MAX) {
        shape |= (uint64_t)(query->range_column + 1) << 4;
    }
    for (uint32_t i = 0; i < query->filter_count; i++) {
        const struct document_filter *filter = &query->filters[i];
        uint64_t bits = (uint64_t)(filter->column + 1) | (filter->any_case ? 8U : 0U) |
                        (filter->value.is_null ? 16U : 0U);
        shape |= bits << (8 + 5 * i);
    }
    return shape;
}

uint32_t
document_query_leading_column(const struct document_kind *kind, const struct document_query *query)
{
    if (query->range_column != UINT32_MAX && kind->columns[query->range_column].across_scopes) {
        return query->range_column;
    }
    for (uint32_t i = 0; i < query->filter_count; i++) {
        if (kind->columns[query->filters[i].column].across_scopes) {
            return query->filters[i].column;
        }
    }
    UNREACHABLE();
}

static int
compare_values(
    enum document_column_type type, const struct document_value *a, const struct document_value *b)
{
    if (type == DOCUMENT_TEXT) {
        return span_compare(a->text, b->text);
    }
    return a->integer < b->integer ? -1 : a->integer > b->integer;
}

int
document_query_compare(
    const struct document_kind *kind,
    const struct document_query *query,
    const struct document_row *a,
    const struct document_row *b)
{
    int order = 0;
    if (query->all_scopes) {
        uint32_t column = document_query_leading_column(kind, query);
        order =
            compare_values(kind->columns[column].type, &a->columns[column], &b->columns[column]);
        if (order == 0) {
            order = a->scope < b->scope ? -1 : a->scope > b->scope;
        }
    }
    if (order == 0) {
        order = span_compare(a->id, b->id);
    }
    return query->oldest_first ? order : -order;
}
